"""Sites that send something else than they should, or that do not belong to the run: they are named, and left out."""

import re
import warnings
from dataclasses import replace

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.errors import RoundError
from fedlab_nb.flower.codec import Allowed, decode, encode
from fedlab_nb.flower.orders.owner import Readable
from fedlab_nb.flower.party.place import HELLO, ORDERS
from tests.flower.common import Apart, House, owners, played
from tests.flower.deploy.common import with_flower
from tests.flower.net import HOLDER, SECOND, STRATEGY, cut_off, failing, net, rounds_of, why_not

__all__ = ["net"]
PLAIN = Allowed()
GARBLED = {
    "no message": lambda _: b"garbage",
    "something else": lambda _: encode([1, 2], PLAIN),
    "no text of it": lambda reply: encode(replace(reply, process=7), PLAIN),
    "too few": lambda reply: encode(replace(reply, values=reply.values[:-1]), PLAIN),
    "too many": lambda reply: encode(replace(reply, values=(*reply.values, 1)), PLAIN),
    "none": lambda reply: encode(replace(reply, values=(None,) * len(reply.values)), PLAIN),
    "another's fault": lambda reply: encode(replace(reply, error=RoundError("Owner 1", "x", "a", "b", "c")), PLAIN),
}


@with_flower
@pytest.mark.parametrize("what", GARBLED)
def test_who_sends_what_is_no_reply_is_named_and_nobody_else(net, what):
    run = net(min_owners=2, encrypt=None)
    off = cut_off(run, SECOND, "update", 2)

    def garbles(data, ask):
        reply = ask(data)
        return [GARBLED[what](decode(reply, PLAIN)) if off and data[:1] == ORDERS else reply]

    run.grid.ways[SECOND] = garbles
    _, second = rounds_of([*run.told()])
    assert {f.party for f in second.lost} == {"Owner 2"}


def nan(vector):
    return np.append(vector[:-1] * np.nan, vector[-1])


LIES = {
    "no numbers": lambda sent: replace_sent(sent, nan(sent.sent)),
    "infinite": lambda sent: replace_sent(sent, sent.sent * np.inf if sent.sent.all() else nan(sent.sent)),
    "too long": lambda sent: replace_sent(sent, np.append(sent.sent, 1.0)),
    "too short": lambda sent: replace_sent(sent, sent.sent[:1]),
    "another shape": lambda sent: replace_sent(sent, sent.sent[None]),
    "beyond the bound": lambda sent: replace_sent(sent, np.append(sent.sent[:-1] + 1e9, sent.sent[-1])),
    "too many rows": lambda sent: replace_sent(sent, np.append(sent.sent[:-1], 1e9)),
    "fewer than no rows": lambda sent: replace_sent(sent, np.append(sent.sent[:-1], -40.0)),
    "whole numbers": lambda sent: replace_sent(sent, np.zeros(sent.sent.size, dtype=np.int64)),
    "text": lambda sent: replace_sent(sent, "a lot"),
    "nothing": lambda _: None,
    "no weight": lambda sent: Readable(sent.sent, None),
}


def replace_sent(sent, vector):
    return Readable(vector, sent.weight)


def lying(apart, name, lie):
    """From now on this site's process sends something else than it should."""
    site, inner = apart.sites[name], apart.sites[name].answer

    def answer(data, reading):
        reply = decode(inner(data, reading), PLAIN)
        with warnings.catch_warnings(action="ignore"):
            values = tuple(lie(value) if isinstance(value, Readable) else value for value in reply.values)
        return encode(replace(reply, values=values), PLAIN)

    site.answer = answer


@pytest.mark.parametrize("what", LIES)
def test_an_owner_that_lies_about_its_size_is_named_and_left_out(what):
    here, gone = (Apart(owners(), House(min_owners=2)) for _ in range(2))
    lying(here, "Owner 2", LIES[what])
    silent = gone.federation(STRATEGY)
    gone.lost.add("Owner 2")
    got, expected = played(here.federation(STRATEGY), STRATEGY), played(silent, STRATEGY)
    assert [r.failed for r in got] == [None, None]
    assert {f.party for r in got for f in r.lost} == {"Owner 2"}
    for one, other in zip(got, expected, strict=True):
        assert np.array_equal(one.state.weights["server"], other.state.weights["server"])


@pytest.mark.parametrize("what", LIES)
def test_an_owner_that_lies_about_its_size_fails_the_round_where_nobody_may_be_missing(what):
    apart = Apart(owners(), House())
    lying(apart, "Owner 2", LIES[what])
    (record,) = played(apart.federation(STRATEGY), STRATEGY, 1)
    assert record.failed.party == "Owner 2"


@pytest.mark.parametrize("what", ["no numbers", "too long", "too short", "beyond the bound", "too many rows"])
@pytest.mark.parametrize("scheme", [fl.CKKS(), fl.SecAgg()], ids=["key holder", "masks"])
def test_under_encryption_the_owners_own_process_refuses_what_no_sum_can_take(what, scheme):
    apart = Apart(owners(), House(encrypt=scheme))
    far, side = apart.federation(STRATEGY), apart.sides["Owner 2"]

    def protect(computed, cover):
        held = side.protect(computed, cover)
        held.vector = LIES[what](Readable(held.vector, 1.0)).sent
        return held

    apart.sites["Owner 2"]._verbs["protect"] = protect
    (record,) = played(far, STRATEGY, 1)
    assert "'Owner 2'" in str(record.failed.error)
    assert "sum of range counts, opened" not in {m.kind for m in far.ledger.messages}


@with_flower
def test_a_key_holder_that_opens_to_something_else_is_named(net):
    run = net()
    site, done = run.parties[HOLDER]._site, run.parties[HOLDER]._site._done

    def wrongly_done(*given):
        found = done(*given)
        return found * np.nan if isinstance(found, np.ndarray) else found

    site._done = wrongly_done
    *_, end = run.told()
    assert end.error.party == "key holder"


def old_flower(data, ask):
    return [ask(data).replace(b'"flower": "1.42"', b'"flower": "1.41"')]


def other_code(data, ask):
    return [ask(data).replace(b'"code": "', b'"code": "0')]


REFUSED = {
    "a name that nobody has": (
        lambda run: run.change(SECOND, name="Owner 9"),
        r"'Owner 9' is not among the owners of the agreement: Owner 1, Owner 2, Owner 3\.",
    ),
    "a name that another has": (
        lambda run: run.change(SECOND, name="Owner 1"),
        r"Two nodes say that they are 'Owner 1'\.",
    ),
    "another agreement": (
        lambda run: run.change(SECOND, agreement="0" * 64),
        r"'Owner 2' takes part in the agreement 000000000000 alone, and was sent [0-9a-f]{12}\.",
    ),
    "other code": (lambda run: run.grid.ways.update({SECOND: other_code}), r"'Owner 2' runs the code 0"),
    "another Flower": (
        lambda run: run.grid.ways.update({SECOND: old_flower}),
        r"'Owner 2' has Flower 1\.41, and the server 1\.42\.",
    ),
    "rows that are not there": (lambda run: run.change(SECOND, data="none.parquet"), r"none\.parquet"),
    "nobody at home": (
        lambda run: run.grid.ways.update({SECOND: lambda *_: []}),
        r"'Owner 2' did not come within 3 s; there: Owner 1, Owner 3, key holder, 1 node that did not answer\.",
    ),
    "no key holder": (lambda run: run.grid.parties.pop(HOLDER), r"'key holder' did not come within 3 s"),
    "something else": (lambda run: run.grid.ways.update({SECOND: lambda *_: [b"{"]}), r"Node 2 says something else"),
    "a list": (lambda run: run.grid.ways.update({SECOND: lambda *_: [b"[3]"]}), r"Node 2 says something else"),
    "an error": (lambda run: run.grid.ways.update({SECOND: lambda *_: [failing(3)]}), r"'2' could not answer"),
}


@with_flower
@pytest.mark.parametrize("what", REFUSED)
def test_a_party_that_does_not_belong_to_the_run_is_refused_before_anything_is_asked(net, what):
    run, asked = net(), []
    prepare, words = REFUSED[what]
    prepare(run)
    for node in run.grid.parties:
        run.begin_anew(node)  # settings are read when a process begins
        way = run.grid.ways.get(node, lambda data, ask: [ask(data)])
        run.grid.ways[node] = lambda data, ask, way=way: asked.append(data[:1]) or way(data, ask)
    assert re.search(words, why_not([*run.told()]))
    assert set(asked) == {HELLO}
