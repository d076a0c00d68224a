"""What can go wrong on the way or at a site: rounds say what happened, and nothing is counted or charged twice."""

import pytest

import fedlab_nb as fl
from fedlab_nb.errors import RoundError
from fedlab_nb.flower import news
from fedlab_nb.flower.orders.arrived import began_again, other_trip
from fedlab_nb.flower.party.place import ORDERS
from fedlab_nb.flower.watch import WatchedCourse
from fedlab_nb.worker import Worker
from tests.flower.deploy.common import with_flower
from tests.flower.net import FIRST, SECOND, THIRD, after, answered, cut_off, failing, lost_once, net, rounds_of

__all__ = ["net"]
pytestmark = with_flower
BUDGET = {"protect": fl.RowLevelDP(), "budget": fl.Budget(8.0, 1e-3), "noise_seed": 5}


def messages_of(told):
    return [message for said in told if isinstance(said, news.Played) for message in said.messages]


def weights_of(told):
    return [record.state.weights["server"].tobytes() for record in rounds_of(told)]


def spent_of(net):
    """What each owner's own vault has written down."""
    return [dict(party._site._verbs["introduce"].__self__._books.accounts[name].counts) for name, party in by_name(net)]


def by_name(net):
    return zip(net.agreement.names, (net.parties[node] for node in (FIRST, SECOND, THIRD)), strict=True)


def every_one_twice(data, ask):
    reply = ask(data)
    assert data[:1] != ORDERS or ask(data) == reply
    return [reply, reply]


def test_messages_and_replies_that_come_twice_change_nothing(net):
    known, twice = net(), net()
    twice.grid.ways = dict.fromkeys(twice.parties, every_one_twice)
    expected, got = [*known.told()], [*twice.told()]
    assert weights_of(got) == weights_of(expected)
    sizes = [[(m.kind, m.nbytes) for m in messages_of(t) if m.kind != "public key"] for t in (got, expected)]
    assert sizes[0] == sizes[1]


def test_what_comes_twice_is_debited_once(net):
    known, twice = net(shift=0.001, **BUDGET), net(shift=0.002, **BUDGET)
    twice.grid.ways = dict.fromkeys(twice.parties, every_one_twice)
    expected, got = [*known.told()], [*twice.told()]
    assert spent_of(twice) == spent_of(known)
    assert sum(spent_of(known)[0].values()) > 4
    assert [said.spent for said in got[1:-1]] == [said.spent for said in expected[1:-1]]


def test_a_late_reply_is_nobodys_answer_and_is_never_counted(net):
    run = net(min_owners=2, num_rounds=3)
    off, late = cut_off(run, THIRD, "update", 2), []

    def slow(data, ask):
        reply = answered(ask(data), THIRD)
        if off and not late:
            reply.metadata.reply_to_message_id = run.grid.message
            late.append(reply)
            return []
        return [*late, reply]  # it comes with the answer to the next question, and with every other one

    run.grid.ways[THIRD] = slow
    records = rounds_of([*run.told()])
    assert len(late) == 1
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

    run.grid.ways[node] = lost_once(off)
    return run.told()


def test_what_was_lost_on_the_way_is_debited_once_and_the_owner_has_said_so_in_its_vault(net):
    run, known = (net(shift=shift, min_owners=2, num_rounds=3, **BUDGET) for shift in (0.003, 0.004))
    rounds_of([*known.told()])
    off = cut_off(run, THIRD, "update", 2)

    run.grid.ways[THIRD] = lost_once(off)
    assert [[f.party for f in r.lost] for r in rounds_of([*run.told()])] == [[], ["Owner 3"], []]
    everything, (*others, third) = spent_of(known), spent_of(run)
    assert others == everything[:2]
    assert all(times <= everything[2][key] for key, times in third.items())
    assert sum(third.values()) < sum(everything[2].values())


def test_a_node_that_flower_calls_gone_is_left_out(net):
    run = net(min_owners=2)
    off = cut_off(run, SECOND, "update", 2)
    gone = "Node Unavailable"
    run.grid.ways[SECOND] = after(off, lambda _: [failing(5, gone)])
    first, second = rounds_of([*run.told()])
    assert first.lost == ()
    assert [(f.party, f.error.what) for f in second.lost] == [("Owner 2", f"'Owner 2' could not answer: {gone}")]
    assert "if the run has ended, start another" in second.lost[0].error.do


def test_a_process_that_was_ended_and_started_again_takes_part_in_the_next_round(net):
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
    assert [[f.party for f in record.lost] for record in records] == [[], ["Owner 2"], []]
    assert "the process ended" in records[1].lost[0].error.what


def test_a_process_that_began_anew_between_rounds_misses_none(net):
    run, known = net(min_owners=2, num_rounds=4), net(min_owners=2, num_rounds=4)
    told = []
    for said in run.told():
        told.append(said)
        if isinstance(said, news.Played) and said.record.number == 1:
            run.begin_anew(SECOND)
    assert [record.lost for record in rounds_of(told)] == [()] * 4
    assert weights_of(told) == weights_of([*known.told()])


def test_the_vault_of_a_process_that_began_anew_is_as_it_was(net):
    run, known = (net(shift=shift, min_owners=2, num_rounds=3, **BUDGET) for shift in (0.005, 0.006))
    rounds_of([*known.told()])
    told = []
    for said in run.told():
        told.append(said)
        if isinstance(said, news.Played) and said.record.number == 1:
            run.begin_anew(SECOND)
    assert [record.lost for record in rounds_of(told)] == [()] * 3
    assert spent_of(run) == spent_of(known)


def test_an_owner_that_is_lost_when_the_sum_may_be_open_fails_a_round_that_the_watched_run_outlives(net):
    run = net(min_owners=2, num_rounds=4)
    site, inner, off = run.parties[THIRD]._site, run.parties[THIRD]._site._carried_out, []

    def carried_out(request, reading):
        vouched = [order for order in request.orders if getattr(order.what, "path", ())[-1:] == ("vouch",)]
        off.extend([1] * bool(vouched and len(played) == 1 and not off))
        return inner(request, reading)

    site._carried_out = carried_out
    run.grid.ways[THIRD] = lost_once(off)
    told, played = [], []
    for said in run.told():
        told.append(said)
        played += [said] * isinstance(said, news.Played)
    worker = Worker(WatchedCourse(run.agreement, iter(told)))
    worker.work(lambda: None, lambda: None)
    assert (worker.state, worker.error) == ("finished", None)
    assert [record.failed is not None for record in worker.history] == [False, True, False, False]
    assert len(worker.history.completed) == 3
    assert any(note.words.startswith("Round 2 failed and the run goes on: ") for note in worker.notes)


def test_without_min_owners_the_round_says_who_and_the_run_ends_there(net):
    run = net()
    off = cut_off(run, SECOND, "update", 2)
    run.grid.ways[SECOND] = after(off, lambda _: [])
    *_, last, end = run.told()
    assert last.record.number == 1  # its score was to come on the trip for the update of round 2
    assert last.record.failed.party == end.error.party == "Owner 2"
    assert "nothing back in time" in str(end.error)
    # What crossed for round 2 by then is told.
    assert {message.round for message in last.messages} >= {1, 2}


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


def test_a_run_whose_end_nobody_tells_of_is_not_called_finished(net):
    run = net()
    told = run.told()
    course = WatchedCourse(run.agreement, iter([next(told), next(told)]))
    course.keep(course.next())
    with pytest.raises(RoundError, match=r"ended after 1 round of 2 without a word\."):
        course.next()


def test_a_run_that_was_left_says_nothing_of_its_end(net):
    run = net()
    told = run.told()
    course = WatchedCourse(run.agreement, iter([next(told)]))
    course.left = True
    assert course.next() is None


@pytest.mark.parametrize("error", [began_again("Owner 2"), other_trip("Owner 2", 3, 4)])
def test_nobody_is_told_to_go_on_with_a_run_that_may_have_ended(error):
    assert "if the run has ended, start another" in error.do
