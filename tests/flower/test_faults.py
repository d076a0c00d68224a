"""What can go wrong on the way or at a site: rounds say what happened, and nothing is counted or charged twice."""

import re
import warnings
from dataclasses import replace

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.errors import FedLabError, RoundError
from fedlab_nb.flower import news, server
from fedlab_nb.flower.codec import Allowed, decode, encode
from fedlab_nb.flower.orders.owner import Readable
from fedlab_nb.flower.party.party import Party
from fedlab_nb.flower.party.place import END, HELLO, ORDERS
from fedlab_nb.flower.watch import WatchedCourse
from tests.flower.common import Apart, House, owners, played
from tests.flower.deploy.common import with_flower
from tests.flower.net import Net, answered, failing

STRATEGY = fl.FedAvg(fl.models.logistic(), executor="sequential")
BUDGET = {"protect": fl.RowLevelDP(), "budget": fl.Budget(8.0, 1e-3), "noise_seed": 5}
PLAIN = Allowed()
FIRST, SECOND, THIRD, HOLDER = 1, 2, 3, 4


@pytest.fixture
def net(monkeypatch):
    """Makes federations in this process, and clears them away."""
    made = []

    def make(num_rounds=2, first=0, **settings):
        settings = {"encrypt": fl.CKKS(), **settings}
        made.append(Net(fl.Federation(owners(first=first), **settings), STRATEGY, monkeypatch, num_rounds))
        return made[-1]

    yield make
    for each in made:
        each.close()


def rounds_of(told):
    """The rounds that were told of, after which the run ended well."""
    *begun, end = told
    assert isinstance(end, news.Ended)
    assert end.error is None, end.error
    return [said.record for said in begun if isinstance(said, news.Played)]


def why_not(told):
    """Why a run ended before it had begun."""
    (end,) = told
    assert isinstance(end.error, FedLabError)
    assert all((end.error.what, end.error.why, end.error.do))
    return str(end.error)


def messages_of(told):
    return [message for said in told if isinstance(said, news.Played) for message in said.messages]


def weights_of(told):
    return [record.state.weights["server"].tobytes() for record in rounds_of(told)]


def spent_of(net):
    """What each owner's own vault has written down."""
    return [dict(party._site._verbs["introduce"].__self__._books.accounts[name].counts) for name, party in by_name(net)]


def by_name(net):
    return zip(net.agreement.names, (net.parties[node] for node in (FIRST, SECOND, THIRD)), strict=True)


@with_flower
@pytest.mark.parametrize("house", [{}, BUDGET], ids=["no budget", "budget"])
def test_messages_and_replies_that_come_twice_change_nothing(net, house):
    known, twice = net(first=100, **house), net(first=100, **house)
    expected = [*known.told()]

    def every_one(data, ask):
        again = ask(data)
        assert data[:1] != ORDERS or ask(data) == again
        return [answered(again, 0), answered(again, 0)]

    twice.grid.ways = dict.fromkeys(twice.parties, every_one)
    got = [*twice.told()]
    assert weights_of(got) == weights_of(expected)
    sizes = [[(m.kind, m.nbytes) for m in messages_of(t) if m.kind != "public key"] for t in (got, expected)]
    assert sizes[0] == sizes[1]
    assert spent_of(twice) == spent_of(known)
    assert got[-2].spent == expected[-2].spent


def cut_off(net, node, kind, number):
    """From the first order on that has ``node`` compute ``kind`` of round ``number``, nothing comes back from it."""
    side = net.parties[node]._site._verbs["introduce"].__self__
    inner, off = side.compute, []

    def compute(what, work, look, *more):
        off.extend([1] * ((what, look.number) == (kind, number)))
        return inner(what, work, look, *more)

    net.parties[node]._site._verbs["compute"] = compute
    return off


@with_flower
def test_a_late_reply_is_nobodys_answer_and_is_never_counted(net):
    run = net(min_owners=2, num_rounds=3)
    off, late = cut_off(run, THIRD, "update", 2), []

    def slow(data, ask):
        reply = answered(ask(data), THIRD)
        if off and not late:
            late.append(reply)
            return []
        if late and off:  # with the answer to the next question comes that to the last one
            off.clear()
            return [late[0], reply]
        return [reply]

    run.grid.ways[THIRD] = slow
    records = rounds_of([*run.told()])
    assert late
    assert [[(f.party, f.error.what) for f in record.lost] for record in records] == [
        [],
        [("Owner 3", "'Owner 3' sent nothing back in time.")],
        [],
    ]
    assert weights_of([*left_out(net, "Owner 3", rounds=3, number=2)]) == [
        r.state.weights["server"].tobytes() for r in records
    ]


def left_out(net, name, rounds, number):
    """What is told of a run in which an owner's update is missing in one round."""
    run = net(min_owners=2, num_rounds=rounds)
    node = run.agreement.names.index(name) + 1
    off = cut_off(run, node, "update", number)

    def silent(data, ask):
        reply = ask(data)
        if off:
            off.clear()
            return []
        return [reply]

    run.grid.ways[node] = silent
    return run.told()


@with_flower
def test_what_was_lost_on_the_way_is_debited_once_and_the_owner_has_said_so_in_its_vault(net):
    run, known = net(first=200, min_owners=2, num_rounds=3, **BUDGET), net(first=200, num_rounds=3, **BUDGET)
    rounds_of([*known.told()])
    off = cut_off(run, THIRD, "update", 2)
    run.grid.ways[THIRD] = lambda data, ask: [ask(data)] if not off else (ask(data), off.clear())[:0]
    assert [[f.party for f in r.lost] for r in rounds_of([*run.told()])] == [[], ["Owner 3"], []]
    everything, (*others, third) = spent_of(known), spent_of(run)
    assert others == everything[:2]
    assert all(times <= everything[2][key] for key, times in third.items())
    assert sum(third.values()) < sum(everything[2].values())


@with_flower
def test_a_node_that_flower_calls_gone_is_left_out(net):
    run = net(min_owners=2)
    off = cut_off(run, SECOND, "update", 2)
    gone = "Node Unavailable"
    run.grid.ways[SECOND] = lambda data, ask: (lambda reply: [failing(5, gone) if off else reply])(ask(data))
    first, second = rounds_of([*run.told()])
    assert first.lost == ()
    assert [(f.party, f.error.what) for f in second.lost] == [("Owner 2", f"'Owner 2' could not answer: {gone}")]


@with_flower
def test_a_process_that_was_ended_and_started_again_takes_part_from_the_next_round_on(net):
    run = net(min_owners=2, num_rounds=3)
    off = cut_off(run, SECOND, "update", 2)

    def dies(data, ask):
        reply = ask(data)
        if off:
            off.clear()
            run.begin_anew(SECOND)
            return [failing(0, "the process ended")]
        return [reply]

    run.grid.ways[SECOND] = dies
    records = rounds_of([*run.told()])
    assert [[f.party for f in record.lost] for record in records] == [[], ["Owner 2"], ["Owner 2"]]
    assert "started again" in records[2].lost[0].error.what


@with_flower
def test_a_process_that_began_anew_between_rounds_is_left_out_of_one(net):
    run = net(min_owners=2, num_rounds=4)
    told = []
    for said in run.told():
        told.append(said)
        if isinstance(said, news.Played) and said.record.number == 1:
            run.begin_anew(SECOND)
    records = rounds_of(told)
    assert [[f.party for f in record.lost] for record in records] == [[], ["Owner 2"], [], []]
    assert "started again" in records[1].lost[0].error.what


@with_flower
def test_without_min_owners_the_round_says_who_and_the_run_ends_there(net):
    run = net()
    off = cut_off(run, SECOND, "update", 2)
    run.grid.ways[SECOND] = lambda data, ask: (lambda reply: [] if off else [reply])(ask(data))
    *_, last, end = run.told()
    assert last.record.number == 2
    assert last.record.failed.party == end.error.party == "Owner 2"
    assert "nothing back in time" in str(end.error)


@with_flower
def test_an_answer_to_an_earlier_question_is_not_taken_for_this_one(net):
    run = net(min_owners=2, encrypt=None)
    off, before = cut_off(run, SECOND, "update", 2), []

    def stale(data, ask):
        reply = ask(data)
        before.append(reply)
        return [before[-2] if off else reply]

    run.grid.ways[SECOND] = stale
    _, second = rounds_of([*run.told()])
    assert {f.party for f in second.lost} == {"Owner 2"}
    assert "answers to trip" in second.lost[0].error.what


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
    site._done = lambda *given: (lambda found: found * np.nan if isinstance(found, np.ndarray) else found)(done(*given))
    *_, end = run.told()
    assert end.error.party == "key holder"


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
    "rows that are not there": (lambda run: run.change(SECOND, data="none.parquet"), r"none\.parquet"),
    "nobody at home": (
        lambda run: run.grid.ways.update({SECOND: lambda *_: []}),
        r"'Owner 2' did not come within 3 s; there: Owner 1, Owner 3, key holder\.",
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
