"""How the server finds out which node is which party: who is slow is waited for, and who is silent is told of."""

import pytest

from fedlab_nb.errors import SettingError
from fedlab_nb.flower.grid import meeting
from fedlab_nb.flower.party.place import HELLO
from tests.flower.net import FIRST, SECOND, answered, net, rounds_of

assert net  # a fixture
PATIENCE, WAIT = 1.0, 60.0


def slow(net, node, seconds):
    """A node that reads many rows answers who it is so much later; gives how often it was asked."""
    inner, hellos = net.grid.pull_messages, []
    until = meeting.time.now + seconds

    def way(data, ask):
        if data != HELLO:
            return [ask(data)]
        hellos.append((net.grid.message, ask(data)))
        return []

    def pull_messages(ids):
        late = [pair for pair in hellos if meeting.time.now >= until and pair[0] in ids]
        for message, data in late:
            reply = answered(data, node)
            reply.metadata.reply_to_message_id = message
            net.grid._ready.append(reply)
        return inner(ids)

    net.grid.ways[node], net.grid.pull_messages = way, pull_messages
    return hellos


def test_a_site_that_takes_longer_than_patience_to_read_its_rows_takes_part(net):
    run = net()
    hellos = slow(run, FIRST, 20 * PATIENCE)
    assert len(rounds_of([*run.told(PATIENCE, WAIT)])) == 2
    assert len(hellos) == 1


def test_who_comes_late_is_met_while_a_slow_one_is_waited_for(net):
    run = net()
    slow(run, FIRST, 20 * PATIENCE)
    late, asked = run.grid.parties.pop(SECOND), []
    nodes = run.grid.get_node_ids

    def get_node_ids():
        if meeting.time.now > 5 * PATIENCE:
            run.grid.parties[SECOND] = late
        return nodes()

    run.grid.get_node_ids = get_node_ids
    run.grid.ways[SECOND] = lambda data, ask: asked.append(meeting.time.now) or [ask(data)]
    assert [*meeting.meet(run.agreement, run.grid, WAIT)] == [*run.agreement.nodes]
    assert asked[0] < 6 * PATIENCE


def test_who_is_there_and_says_nothing_is_told_of(net):
    run = net()
    run.grid.ways[FIRST] = lambda data, ask: []
    words = r"'Owner 1' did not come within 60 s; there: .*, 1 node that did not answer\."
    with pytest.raises(SettingError, match=words):
        meeting.meet(run.agreement, run.grid, WAIT)
