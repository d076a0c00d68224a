"""What the messages of SecureBoost tell whom: no value of anybody's columns, and no label, crosses."""

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.vertical.secureboost import SecureBoost
from fedlab_nb.vertical.trees.asking import Ask, _packed, _told, _unpacked
from fedlab_nb.vertical.trees.columns.bins import Candidates
from fedlab_nb.vertical.trees.forest import read_labels_part
from tests.vertical.common import federation, owners, people, with_gaps
from tests.vertical.test_scan import leaks, private, readable
from tests.vertical.trees.oracle import common_rows, scores_of

PARTIES = ["server", "bank", "shop", "post"]
ENOUGH = 20
"""Rows of which a 0 or 1 is hardly a line of a column by chance."""


@pytest.fixture(scope="module")
def run():
    """A federation of three after a run and a question about it, its last state, and what each message leaks."""
    parts = owners(with_gaps(), parties=3)
    fed = federation(parts)
    strategy = SecureBoost("bank", depth=3, bins=8, min_rows=5)
    *_, last = fl.rounds(fed, strategy, num_rounds=2)
    strategy.importance(fed, last.state)
    assert not any(message.payload is None for message in fed.ledger.messages), "all of it is kept, and scanned"
    whole = {f"{owner}: {name}": values for owner, mine in private(parts).items() for name, values in mine.items()}
    # Bytes are keys and identities, four of them those of some number by chance. Whole numbers are no telling values;
    # whether they are a line of a column is another test.
    scanned = [m for m in fed.ledger.messages if not isinstance(m.payload, bytes) and not whole_numbers(m)]
    return fed, last.state, {message.number: leaks([message], whole) for message in scanned}


def whole_numbers(message):
    return isinstance(message.payload, np.ndarray) and bool((message.payload % 1 == 0).all())


def of_rows(message, rows):
    """A message as a number for each of the rows in common, where it can be read so."""
    if message.encrypted or not isinstance(message.payload, np.ndarray):
        return []
    if message.payload.size == rows:
        return [message.payload.astype(float)]
    if not message.kind.startswith("rows of nodes"):
        return []
    return [np.isin(np.arange(rows), ask.places).astype(float) for ask in _unpacked(message.payload)]


def told_sides(fed, rows):
    """Every answer of an owner as a number for each row in common; NaN where it was not asked."""
    found, asked = [], {}
    for message in fed.ledger.messages:
        if message.kind.startswith("rows of nodes"):
            asked[message.receiver] = _unpacked(message.payload)
        if not message.kind.startswith("left or right"):
            continue
        start = 0
        for ask in asked[message.sender]:
            count = 1 if message.payload[start] < 0 else len(ask.places)
            if count == len(ask.places) and ask.places.max() < rows:
                sides = np.full(rows, np.nan)
                sides[ask.places] = message.payload[start : start + count]
                found.append((message, sides))
            start += count
    return found


def correlated(one, other):
    known = ~np.isnan(one) & ~np.isnan(other)
    if known.sum() < ENOUGH or one[known].std() == 0 or other[known].std() == 0:
        return 0.0
    return abs(np.corrcoef(one[known], other[known])[0, 1])


@pytest.mark.parametrize("party", PARTIES)
def test_no_message_that_a_party_sees_holds_values_of_any_column(run, party):
    fed, _, found = run
    view = [message for message in fed.seen_by(party) if message.number in found]
    assert view
    assert [found[message.number] for message in view if found[message.number]] == []


def test_the_key_holder_is_not_needed_and_sees_nothing(run):
    assert len(run[0].seen_by("key holder")) == 0


def test_no_message_is_a_line_of_a_column_or_of_the_labels(run):
    fed, state, _ = run
    for part in ("training", "held_out"):
        _, labels = common_rows(fed, part)
        rows, truth = len(labels), (labels == "yes").astype(float)
        numbers = numbers_of(fed, part)
        assert {name for name, _ in numbers} == set(fed.names)
        for message in fed.ledger.messages:
            for values in of_rows(message, rows):
                worst = max(correlated(values, x) for (name, _), x in numbers.items() if name != message.receiver)
                assert worst < 0.999, message.kind
                assert message.receiver == "bank" or correlated(values, truth) < 0.999, message.kind
    rows = len(common_rows(fed)[1])
    for message, sides in told_sides(fed, rows):
        assert message.receiver == "bank"
        assert message.sender != "bank"
        for (name, _), x in numbers_of(fed).items():
            assert name == "bank" or correlated(sides, x) < 0.999
    assert state.weights["bank"].size


def numbers_of(fed, part="training"):
    X, _ = common_rows(fed, part)
    return {(name, column): x for name, mine in zip(fed.names, X, strict=True) for column, x in enumerate(mine.T)
            if len(np.unique(x[~np.isnan(x)])) > 2}  # fmt: skip


def test_between_owners_all_is_sealed_but_what_is_said_to_cross(run):
    fed = run[0]
    between = [m for m in fed.ledger.messages if m.sender in fed.names and m.receiver in fed.names]
    open_kinds = {m.kind.split(",")[0] for m in between if not m.encrypted}
    assert open_kinds == {
        "rows of nodes", "left or right", "number of candidates", "task", "public key", "what comes next",
        "number of nodes",
        "what candidates have won", "importance of features",
    }  # fmt: skip
    sealed = [m for m in between if "gradients" in m.kind]
    assert sealed
    assert all(m.encrypted for m in sealed)
    assert {m.kind for m in fed.seen_by("server") if m.sender == "bank"} == {
        "masked ids", "identity", "task", "score", "importance of features",
    }  # fmt: skip


def test_another_owner_is_asked_only_about_nodes_that_its_own_candidate_divides(run):
    fed, state, _ = run
    nodes = read_labels_part(state.weights["bank"])[1].nodes
    for place, name in enumerate(fed.names[1:], 1):
        mine = {int(handle) for owner, handle, _, _ in nodes.reshape(-1, 4) if owner == place}
        grown = [m for m in fed.seen_by(name) if m.kind.startswith("rows of nodes") and m.receiver == name]
        assert grown
        asked = {ask.handle for m in grown if "level" not in m.kind for ask in _unpacked(m.payload)}
        assert asked <= mine


def test_no_sum_and_no_answer_is_about_few_rows(run):
    fed, state, _ = run
    X, _ = common_rows(fed)
    for place, name in enumerate(fed.names):
        part = state.weights[name]
        own = read_labels_part(part)[0] if name == "bank" else Candidates.of(part)
        left = own.everything(X[place])
        assert (np.minimum(left.sum(axis=0), (~left).sum(axis=0)) >= 5).all()
        for feature in np.unique(own.table[:, 0]):
            mine = left[:, own.table[:, 0] == feature]
            apart = (mine[:, :, None] ^ mine[:, None]).sum(axis=0)
            assert (apart[~np.eye(mine.shape[1], dtype=bool)] >= 5).all(), "nor is a difference of two sums"
    told = [m for m in fed.ledger.messages if m.kind.startswith("left or right, level")]
    assert told
    for message, sides in told_sides(fed, len(X[0])):
        if message in told:
            assert min(np.nansum(sides), np.nansum(1 - sides)) >= 5


def test_handles_are_in_no_order_of_columns_or_edges():
    fed = federation(owners(people(200)))
    first = next(fl.rounds(fed, SecureBoost("bank", depth=1, min_rows=5), num_rounds=1)).state.weights["shop"]
    table = first.reshape(-1, 3)
    assert len(table) > 20
    place = np.arange(len(table))
    assert abs(np.corrcoef(place, table[:, 0])[0, 1]) < 0.5
    for feature in (0.0, 1.0):
        edges = table[table[:, 0] == feature, 1]
        assert abs(np.corrcoef(np.arange(len(edges)), edges)[0, 1]) < 0.7


def test_questions_are_packed_and_read_again():
    asks = [Ask(3, np.array([5, 1, 9])), Ask(0, np.array([2]))]
    again = _unpacked(_packed(asks))
    assert [(ask.handle, ask.places.tolist()) for ask in again] == [(3, [5, 1, 9]), (0, [2])]
    assert _unpacked(_packed([])) == []
    assert _told([np.array([True, False]), None]).tolist() == [1.0, 0.0, -1.0]


def test_an_owner_learns_nothing_of_how_often_others_are_asked(run):
    """What it is sent between two levels are rows of its own nodes, and at the end none."""
    fed, _, _ = run
    often = set()
    for number, level in ((n, f"rows of nodes, level {k}") for n in (1, 2) for k in (1, 2, 3)):
        asked = [m for m in fed.ledger.messages if (m.round, m.kind) == (number, level)]
        sent = [[readable(m).size for m in asked if m.receiver == name] for name in ("shop", "post")]
        for sizes in sent:
            assert not sizes or (all(sizes[:-1]) and not sizes[-1])
        often.add(len(sent[0]) - len(sent[1]))
    assert often != {0}, "they are not asked alike"


def test_predictions_ask_every_owner_at_most_once_in_a_level(run):
    fed, state, _ = run
    before = len(fed.ledger)
    again = federation(owners(with_gaps(), parties=3))
    scores = scores_of(again, SecureBoost("bank"), state)
    assert np.array_equal(scores, scores_of(fed, SecureBoost("bank"), state))
    asked = [m for m in again.ledger.messages if m.kind == "rows of nodes"]
    for name in ("shop", "post"):
        sizes = [readable(m).size for m in asked if m.receiver == name]
        assert 1 < len(sizes) <= 4, "once in a level, and that it is over"
        assert [bool(size) for size in sizes] == [True] * (len(sizes) - 1) + [False]
    since = [m for m in list(fed.ledger.messages)[before:] if m.kind == "rows of nodes"]
    assert [(m.receiver, readable(m).size) for m in since] == [("shop", 0), ("post", 0)], "where they were is kept"
    assert all(readable(m).size for m in again.ledger.messages if m.kind.startswith("left or right"))
