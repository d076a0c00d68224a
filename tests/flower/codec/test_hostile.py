"""Bytes of a stranger: whatever they say, nothing runs but what was agreed on, and what is refused says so."""

import json
import sys
from functools import partial

import pytest

from fedlab_nb.errors import SettingError
from fedlab_nb.flower.codec import Allowed, Hooks, decode, decode_work, encode
from fedlab_nb.flower.codec.allowed import DENIED
from fedlab_nb.horizontal.prepare import encoded
from tests.flower.codec.common import ALLOWED, HERE, Armed, Watchful, adder, message

SIDE = ["fedlab_nb.horizontal.side.local", "Side", ["lr"]]
LINE = adder(1)[0].__code__.co_firstlineno
ADD = [HERE, "adder.<locals>.add", LINE, 0]
EMPTY = ["cell", None, []]

HOSTILE = {
    "a command of the system": [["named", ["os", "system"], []]],
    "the same under its real name": [["named", ["posix", "system"], []]],
    "evaluation": [["named", ["builtins", "eval"], []]],
    "a function of the package that is not on the list": [["named", ["fedlab_nb.horizontal.prepare", "encoded"], []]],
    "something that an allowed module imported": [["named", [HERE, "np.load"], []]],
    "the same by its short name": [["named", [HERE, "json.loads"], []]],
    "a class to be called": [["named", ["fedlab_nb.privacy.vault.vault", "Vault"], []]],
    "a call of something unnamed": [["partial", None, [[1], [2], [3]]], ["named", ["os", "system"], []],
                                    ["tuple", None, ["id"]], ["dict", None, []]],
    "a method of another class": [["method", [HERE, "Ways.half"], [[1]]], ["list", None, []]],
    "a method that is none": [["method", [HERE, "twice"], [[1]]], ["object", [HERE, "Plain", []], []]],
    "code of another place": [["inner", [HERE, "adder.<locals>.add", LINE + 1, 0], [None, None, [1]]], EMPTY],
    "code of another number": [["inner", [HERE, "adder.<locals>.add", LINE, 1], [None, None, [1]]], EMPTY],
    "code of a number below none": [["inner", [HERE, "adder.<locals>.add", LINE, -1], [None, None, [1]]], EMPTY],
    "code with too few variables": [["inner", ADD, [None, None]]],
    "code with other things than variables": [["inner", ADD, [None, None, 1]]],
    "code with defaults that are none": [["inner", ADD, [1, None, [1]]], EMPTY],
    "code of the system": [["inner", ["os", "system", 1, 0], [None, None]]],
    "an object of a class of others": [["object", ["subprocess", "Popen", []], []]],
    "an object of a class that runs code when let go": [["object", [HERE, "Armed", []], []]],
    "an object with such a base": [["object", [HERE, "MyLedger", []], []]],
    "an object of no class": [["object", [HERE, "twice", []], []]],
    "an object of a class that is imported there": [["object", [HERE, "NamedTuple", []], []]],
    "an object with another class": [["object", [HERE, "Plain", ["__class__"]], [1]]],
    "an object with another dictionary": [["object", [HERE, "Plain", ["__dict__"]], [[1]]], ["dict", None, []]],
    "an object with a value in place of a method": [["object", [HERE, "Plain", ["method"]], [1]]],
    "an object with what it computes itself": [["object", [HERE, "Settings", ["long", "lr", "names"]], [1, 1, 1]]],
    "an object without its fields": [["object", [HERE, "Settings", ["lr"]], [0.5]]],
    "an object with more names than values": [["object", [HERE, "Plain", ["a", "b"]], [1]]],
    "an object with a name that is no text": [["object", [HERE, "Plain", [1]], [1]]],
    "an object of a list": [["object", [HERE, "Listed", []], []]],
    "an object of an error": [["object", ["fedlab_nb.errors", "SettingError", []], []]],
    "a value of an enumeration that it has not": [["enum", [HERE, "Colour", "GREEN"], []]],
    "a value of an enumeration made by hand": [["object", [HERE, "Colour", []], []]],
    "a named tuple of another length": [["row", [HERE, "Spot"], [1]]],
    "a named tuple that is none": [["row", [HERE, "Plain"], [1]]],
    "an error of others": [["error", ["builtins", "SystemExit", []], [[1]]], ["tuple", None, []]],
    "an error that is none": [["error", [HERE, "Plain", []], [[1]]], ["tuple", None, []]],
    "an error without words": [["error", ["fedlab_nb.errors", "SettingError", []], [[1]]], ["tuple", None, []]],
    "a kind that there is not": [["code", "x", []]],
    "a kind that is no text": [[["list"], None, []]],
    "a value of no kind": [[]],
    "a value that is none": ["list"],
    "a tag that nobody knows": [["special", "federation", [None]]],
    "a tag that is no text": [["special", [], [None]]],
    "a tag with two values": [["special", "it", [1, 2]]],
    "a place after the last": [["list", None, [[7]]]],
    "a place before the first": [["list", None, [[-1]]]],
    "a place that is no number": [["list", None, [["0"]]]],
    "a place that is true": [["list", None, [[True]]], ["list", None, []]],
    "two places at once": [["list", None, [[0, 0]]]],
    "a tuple in itself": [["tuple", None, [[0]]]],
    "tuples in each other": [["tuple", None, [[1]]], ["frozenset", None, [[0]]]],
    "a dictionary with half a pair": [["dict", None, [1]]],
    "a key that cannot be one": [["dict", None, [[1], 2]], ["list", None, []]],
    "a key that is not made yet": [["object", [HERE, "Tight", ["a", "b"]], [[1], 0]], ["dict", None, [[0], 1]]],
    "a set of lists": [["set", None, [[1]]], ["list", None, []]],
    "an array larger than its bytes": [["array", ["<f8", [2**40], False, True, 0], []]],
    "an array of a size below none": [["array", ["<f8", [-1], False, True, 0], []]],
    "an array of a size that is no number": [["array", ["<f8", [1.0], False, True, 0], []]],
    "an array of objects": [["array", ["|O", [1], False, True, 0], []]],
    "an array of records": [["array", ["f8,f8", [1], False, True, 0], []]],
    "an array of arrays": [["array", ["(9,)f8", [1], False, True, 0], []]],
    "an array without bytes": [["array", ["<f8", [1], False, True, 9], []]],
    "an array with bytes before the first": [["array", ["<f8", [1], False, True, -1], []]],
    "a number with too many bytes": [["number", ["<f8", "00" * 16], []]],
    "a number that is none": [["int", "0xzz", []]],
    "a number of many digits": [["int", 10, []]],
    "bytes that are taken twice": [["list", None, [[1], [2]]], ["bytes", 0, []], ["bytes", 0, []]],
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_message_is_refused_with_a_taught_error(case):
    data = message(HOSTILE[case], segments=[bytes(8)])
    with pytest.raises(SettingError) as caught:
        decode(data, ALLOWED, Hooks(made={"it": list}))
    assert caught.value.do
    assert Armed.ran == []
    assert Watchful.ran == []


@pytest.mark.parametrize("name", sorted(DENIED), ids=".".join)
@pytest.mark.parametrize("kind", ["object", "row", "error", "enum"])
def test_no_object_that_belongs_to_one_party_is_made(kind, name):
    with pytest.raises(SettingError, match=f"A {name[1]} was to be sent or made from a message"):
        decode(message([[kind, [*name, []], []]]))


def test_a_module_that_was_not_agreed_on_is_not_even_loaded(tmp_path, monkeypatch):
    (tmp_path / "loaded_by_a_message.py").write_text("class Plain:\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for kind, facts in (("object", ["Plain", []]), ("named", ["Plain"]), ("inner", ["Plain", 1, 0])):
        with pytest.raises(SettingError):
            decode(message([[kind, ["loaded_by_a_message", *facts], [None, None]]]))
    assert "loaded_by_a_message" not in sys.modules


def test_a_function_of_the_package_is_no_work_though_it_takes_rows():
    with pytest.raises(SettingError, match=r"'encoded' of 'fedlab_nb\.horizontal\.prepare' is not among those"):
        encode(encoded)
    data = message([["named", ["fedlab_nb.horizontal.prepare", "encoded"], []]])
    with pytest.raises(SettingError, match=r"'encoded' of 'fedlab_nb\.horizontal\.prepare' is not among those"):
        decode_work(data)
    helper = Allowed(helpers=frozenset({("fedlab_nb.horizontal.prepare", "encoded")}))
    assert decode(data, helper) is encoded
    with pytest.raises(SettingError, match="The work 'encoded'"):
        decode_work(data, helper)


def test_a_chain_that_is_told_from_its_end_is_measured_all_the_same():
    many = 20_000
    chain = [["list", None, [[i] for i in range(1, many)]], ["tuple", None, []]]
    chain += [["tuple", None, [[i - 1]]] for i in range(2, many)]
    with pytest.raises(SettingError, match="more than 400 deep"):
        decode(message(chain))
    downwards = [["tuple", None, [[i + 1]]] for i in range(many)] + [["tuple", None, []]]
    with pytest.raises(SettingError, match="more than 400 deep"):
        decode(message(downwards))


def test_brackets_without_end_are_refused():
    head = b"[" * 1_000_000
    with pytest.raises(SettingError, match="RecursionError"):
        decode(b"FEDLAB1\n" + len(head).to_bytes(8, "little") + head)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"FEDLAB1\n",
        b"FEDLAB1\n" + bytes(7),
        b"FEDLAB1\n" + bytes(8),
        b"FEDLAB2\n" + message([])[8:],
        b"FEDLAB1\n" + b"\xff" * 8 + b"{}",
        message([], root=1)[:-1],
        message([], root=1) + b"x",
        message([], root=None),
        message([["list", None, []]], root=[1]),
        message([], root=1).replace(b"1,", b"NaN,"),
        message([], root=1).replace(b"[]", b"{}"),
        message("text"),
        message([], root={"a": 1}, segments=[b"x"])[:-1],
        json.dumps([1]).encode(),
        b"\x80\x04\x95\x1c\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x01:\x94\x85\x94R\x94.",
    ],
    ids=lambda data: data[:40].hex(),
)
def test_bytes_that_are_no_message_are_refused(data):
    with pytest.raises(SettingError, match="What arrived could not be read"):
        decode(data)


def test_a_size_below_none_does_not_move_the_others():
    data = message([["list", None, [[1], [2]]], ["bytes", 0, []], ["bytes", 1, []]], segments=[b"abcd", b"ef"])
    assert decode(data) == [b"abcd", b"ef"]
    with pytest.raises(SettingError, match="not as long as it says"):
        decode(data.replace(b'"sizes": [4, 2]', b'"sizes": [8,-2]'))


def test_who_makes_a_special_object_may_refuse_it_or_fail():
    def refuse(inside):
        raise SettingError("No.", "Never.", "Stop.")

    data = message([["special", "it", [1]]])
    with pytest.raises(SettingError, match=r"^No\. Never\. Stop\.$"):
        decode(data, hooks=Hooks(made={"it": refuse}))
    with pytest.raises(SettingError, match="ZeroDivisionError") as caught:
        decode(data, hooks=Hooks(made={"it": lambda one: one // 0}))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert decode(data, hooks=Hooks(made={"it": partial(int.__add__, 1)})) == 2


def test_work_with_other_values_than_it_expects_fails_only_where_it_is_called():
    work = decode_work(message([["object", SIDE, [1.0]]]))
    with pytest.raises(AttributeError):
        work("Owner 1", None)
