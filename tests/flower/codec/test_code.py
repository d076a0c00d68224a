"""Functions arrive by name and place, with what they remember; no code is in a message."""

from functools import partial

import numpy as np
import pytest

import fedlab_nb
from fedlab_nb.errors import SettingError
from fedlab_nb.flower.codec import Allowed, decode, decode_work, encode, same_code
from tests.flower.codec import common
from tests.flower.codec.common import ALLOWED, HERE, Plain, Ways, adder, counter, defaults, inside, pair, sent, twice


def test_a_function_of_a_module_is_the_one_that_is_installed():
    assert sent(twice) is twice
    assert sent([Ways.half, Ways.third, Plain]) == [Ways.half, Ways.third, Plain]


def test_an_inner_function_keeps_what_it_remembers_and_its_defaults():
    add, minus = sent(adder(5))
    assert (add(1), add(1, 0, k=0), minus(7)) == (9, 6, 2)
    assert add.__qualname__ == "adder.<locals>.add"
    assert add.__globals__ is vars(common)
    found = sent(defaults())
    assert found(2)[0].tolist() == [0.0, 2.0, 4.0]
    assert found(2)[1] == {"a": (1, 2)}


def test_lambdas_of_one_line_are_told_apart():
    (plus, times), power = sent(pair(3))
    assert (plus(5), times(5), power(5)) == (8, 15, 125)


def test_two_functions_share_a_variable_as_before():
    more, read = sent(counter())
    more()
    more()
    assert read() == 2


@pytest.mark.parametrize(
    ("function", "value"),
    [
        (Ways().inner(), (10, 2)),
        (Ways().lazy, 20),
        (Ways.still(1), 1),
        (Ways.default[0], 102),
        (common.TABLE["a"], 2.5),
    ],
    ids=["method", "property", "static method", "body of a class", "module"],
)
def test_functions_of_all_places_are_found(function, value):
    allowed = Allowed(ALLOWED.modules, ALLOWED.work, ALLOWED.helpers)
    assert decode(encode(function, allowed), allowed)(2) == value


def test_a_method_stays_bound_to_its_object():
    value = Ways()
    vars(value)["factor"] = 3
    found, also = sent((value.half, value))
    assert found(8) == 4.0
    assert found.__self__ is also
    assert sent(partial(twice, 4))() == 8
    assert sent(partial(partial(adder(1)[0], k=0), 1))(m=2) == 4


def test_a_method_of_a_class_stays_bound_to_it():
    allowed = Allowed(ALLOWED.modules, ALLOWED.work, ALLOWED.helpers | {(HERE, "Ways")})
    assert decode(encode(Ways.made, allowed), allowed)(2) == 20


def test_a_variable_that_has_no_value_yet_arrives_without_one():
    with pytest.raises(NameError):
        sent(common.waiting())()


def test_a_message_holds_names_and_no_code():
    data = encode(adder(5)[0], ALLOWED)
    (kind, (module, name, line, number), _), *_ = inside(data)
    assert (kind, module, name, number) == ("inner", HERE, "adder.<locals>.add", 0)
    assert line == adder(5)[0].__code__.co_firstlineno
    assert len(data) < 300


def test_a_function_that_remembers_itself_is_refused_where_it_is_read():
    data = encode(common.itself(), ALLOWED)
    with pytest.raises(SettingError, match="a value in it is part of itself"):
        decode(data, ALLOWED)


def test_a_function_that_is_not_on_the_list_is_neither_sent_nor_taken():
    only = Allowed(frozenset({HERE}))
    for function in (twice, adder(1)[0], Ways().half, Plain):
        with pytest.raises(SettingError, match="is not among those that a message may name"):
            encode(function, only)
        data = encode(function, ALLOWED)
        with pytest.raises(SettingError, match="is not among those that a message may name"):
            decode(data, only)


def test_a_function_of_a_notebook_cell_is_refused_with_what_to_do():
    space = {"__name__": "__main__"}
    exec("def mine(x):\n    return x\nlater = lambda x: mine(x)\nfrom functools import partial", space)
    for function in (space["mine"], space["later"], partial(space["mine"], 1)):
        with pytest.raises(SettingError, match="was defined in a notebook cell") as caught:
            encode(function, ALLOWED)
        assert "such as task.py" in caught.value.do


@pytest.mark.parametrize(
    "function", [len, np.sum, np.add, __import__("os").system, {}.get], ids=["len", "sum", "add", "system", "get"]
)
def test_functions_of_others_are_refused(function):
    with pytest.raises(SettingError):
        encode(function, ALLOWED)


def test_a_function_whose_file_changed_since_is_refused():
    space = dict(vars(common))
    exec(
        compile("\n\ndef adder(n):\n    def add(x):\n        return x\n    return add", common.__file__, "exec"), space
    )
    with pytest.raises(SettingError, match="is not the one that its file has now"):
        encode(space["adder"](1), ALLOWED)


def test_a_function_with_values_of_its_own_is_refused():
    add = adder(1)[0]
    add.note = 1
    with pytest.raises(SettingError, match="which has values of its own"):
        encode(add, ALLOWED)


def test_only_work_may_be_called_beside_rows():
    work = Allowed(
        frozenset({HERE}), frozenset({(HERE, "twice"), (HERE, "Plain"), (HERE, "Ways.half")}), ALLOWED.helpers
    )
    for value in (twice, Plain(a=1), Ways().half, partial(twice, 2), partial(Plain(a=1))):
        assert callable(decode_work(encode(value, work), work))
    for value in (adder(1)[0], Ways.third, partial(Ways().lazy), Ways(), [twice], None, 3, "twice"):
        with pytest.raises(SettingError, match="is not among those that a message may name"):
            decode_work(encode(value, work), work)


def test_the_same_code_has_one_digest_and_other_code_another(tmp_path, monkeypatch):
    assert same_code() == same_code()
    assert len(same_code()) == 64
    assert same_code(HERE) != same_code()
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "task_a.py").write_text("x = 1\n")
    (tmp_path / "task_b").mkdir()
    (tmp_path / "task_b" / "__init__.py").write_text("x = 1\n")
    (tmp_path / "task_b" / "more.py").write_text("x = 2\n")
    before = same_code("task_a", "task_b")
    assert before == same_code("task_b", "task_a")
    same_code.cache_clear()
    (tmp_path / "task_b" / "more.py").write_text("x = 3\n")
    assert same_code("task_a", "task_b") != before
    same_code.cache_clear()
    assert fedlab_nb.__file__
