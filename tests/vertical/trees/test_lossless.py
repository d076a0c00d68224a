"""Trees over several owners are those of the pooled table, bit for bit: splits, leaves, scores."""

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.vertical.secureboost import SecureBoost
from fedlab_nb.vertical.trees.columns.bins import Candidates
from fedlab_nb.vertical.trees.forest import read_labels_part
from tests.vertical.common import federation, owners, people, with_gaps
from tests.vertical.trees.oracle import Oracle, Question, Settings, common_rows, questions, scores_of

ROUNDS = 3


def grades(frame):
    """Three classes instead of two."""
    risk = 0.1 * frame["visits"].fillna(5) - 0.02 * frame["income"].fillna(20) + 0.05 * np.arange(len(frame)) % 1
    return frame.assign(default=np.select([risk < 0.4, risk < 0.9], ["low", "middle"], "high"))


def amounts(frame):
    """A number instead of classes."""
    noise = np.random.default_rng(3).normal(size=len(frame))
    parts = 0.9 * frame["visits"].fillna(0), 0.01 * frame["income"].fillna(0) ** 2, 2.0 * frame["letters"]
    return frame.assign(default=sum(parts) + noise)


def tables_of(fed, state):
    """Each owner's questions, in the order of their handles; those of the bank have the labels' part around them."""
    found = []
    for place, name in enumerate(fed.names):
        part = state.weights[name]
        own = read_labels_part(part)[0] if name == "bank" else Candidates.of(part)
        found.append([Question(place, int(f), float(e), bool(m)) for f, e, m in own.table])
    return found


def same_sides(X, kept, every):
    """Every question of the oracle divides the rows as one of ``kept`` does, and those are all different."""

    def key(question):
        left = question.left(X)
        return (left ^ left[0]).tobytes()

    return len({key(q) for q in kept}) == len(kept) and {key(q) for q in kept} == {key(q) for q in every}


def by_name(fed, columns):
    return dict(zip(fed.names, columns, strict=True))


def check(frame, parties, seed=0, **settings):
    """Train over owners, and grow the same trees on the pooled table; what was compared is told."""
    settings = {"min_rows": 5, "bins": 8} | settings
    fed = federation(owners(frame, parties=parties, seed=2))
    strategy = SecureBoost("bank", **settings)
    *_, last = fl.rounds(fed, strategy, num_rounds=ROUNDS, seed=seed)
    assert last.failed is None, last.failed
    X, labels = common_rows(fed)
    setup = last.state.context
    y = (labels - labels.mean()) / labels.std() if setup.task == "regression" else np.array(
        [setup.target.values.index(each) for each in labels]
    )  # fmt: skip
    tables = tables_of(fed, last.state)
    for place, kept in enumerate(tables):
        every = questions(X, place, settings["bins"], settings["min_rows"])
        assert set(kept) <= every
        assert same_sides(X, kept, every)
    order = [question for table in tables for question in table]
    oracle = Oracle(X, y, setup.task, len(setup.classes), order, Settings(**settings), 0, seed)
    for number in range(1, ROUNDS + 1):
        oracle.boost(number)
    used = compare_trees(read_labels_part(last.state.weights["bank"])[1], oracle, tables)
    new = common_rows(fed, "held_out")[0]
    found = scores_of(fed, strategy, last.state)
    assert np.array_equal(scores_of(fed, strategy, last.state, "training"), oracle.scores)
    assert np.array_equal(found, oracle.predict(new))
    assert np.array_equal(found, strategy.merged_scores(last.state, by_name(fed, new)))
    plain = strategy.plain(by_name(fed, X), y, by_name(fed, new), setup, ROUNDS)
    assert np.array_equal(found, plain), "what it is measured against is the same algorithm"
    return fed, oracle, used


def compare_trees(forest, oracle, tables):
    assert forest.trees == len(oracle.trees) == ROUNDS * len(forest.base)
    used = []
    for nodes, tree in zip(forest.nodes, oracle.trees, strict=True):
        for number, (owner, handle, value, gain) in enumerate(nodes):
            if owner >= 0:
                question = tables[int(owner)][int(handle)]
                assert tree[number] == (question, gain)
                used.append(question)
            else:
                assert value == tree.get(number, 0.0)
    return used


@pytest.mark.parametrize("parties", [2, 3])
def test_two_classes_with_missing_values(parties):
    _, _, used = check(with_gaps(260, share=0.3), parties)
    assert {question.owner for question in used} == set(range(parties))
    assert any(question.missing_left for question in used)


def test_several_classes():
    _, _, used = check(grades(people(220)), 2, depth=2)
    assert {question.owner for question in used} == {0, 1}


def test_a_number():
    _, _, used = check(amounts(with_gaps(220)), 3, reg_lambda=0.0, gamma=0.1)
    assert {question.owner for question in used} == {0, 1, 2}


def test_rows_drawn_by_their_gradients():
    fed, oracle, _ = check(amounts(people(220)), 2, goss=(0.2, 0.2), lr=0.6, depth=2)
    assert list(oracle.weights) == [2, 3], "the first 1 / lr trees are grown on all rows"
    for number, weights in oracle.weights.items():
        assert set(weights) == {0.0, 1.0, 4.0}
        kinds = [m for m in fed.ledger.messages if m.kind.startswith("rows of nodes, level")]
        told = [m.payload for m in kinds if m.round == number and m.payload.size]
        asked = told[0][2 : 2 + int(told[0][1])].astype(int)
        assert set(weights[asked]) == {0.0, 1.0, 4.0}, "who is drawn is not told: all rows of a node are asked about"


def test_the_first_tree_asks_the_owner_of_the_labels_alone():
    fed, oracle, _ = check(people(220), 2, complete_secure=True, depth=2)
    owners_asked = [{fact[0].owner for fact in tree.values() if isinstance(fact, tuple)} for tree in oracle.trees]
    assert owners_asked[0] == {0}
    assert 1 in owners_asked[1]
    assert not [m for m in fed.ledger.messages if m.round == 1 and "gradients" in m.kind]


def test_an_owner_keeps_back_who_goes_left_where_it_would_be_few():
    fed, _, _ = check(people(220), 2, min_rows=8, bins=16)
    told = [m for m in fed.ledger.messages if m.kind.startswith("left or right, level")]
    assert any((m.payload == -1.0).any() for m in told)
    again = [(m.round, m.kind) for m in told]
    assert len(again) > len(set(again)), "and the next best candidate is taken"
