"""Transfer learning takes the steps of plain gradient descent; it teaches an owner that has no labels."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

import fedlab_nb as fl
from fedlab_nb.errors import RuleError, SettingError
from fedlab_nb.records.kept.values import put_together, taken_apart
from fedlab_nb.vertical.align import align
from fedlab_nb.vertical.shared.meeting import labels_of
from fedlab_nb.vertical.transfer import Transfer
from tests.vertical.common import federation, owners, people, tables
from tests.vertical.cut.common import run, seen_beside
from tests.vertical.test_scan import leaks, private

SMALL = Transfer("bank", width=3, lr=1.0, closeness=0.3, penalty=0.01)


def of_all(fed, setup, name):
    """The inputs of all rows that an owner trains on, and the labels where they are, as -1 and 1."""

    def work(rows):
        features, target = rows.training
        y = 2.0 * labels_of(target, setup.target) - 1.0 if name == setup.labels_at else None
        return setup.readings[name].read(features), y

    return next(owner for owner in fed.owners if owner.name == name)._inside(work, stage="test")


def plain(fed, begin, strategy, rounds):
    """The weights after so many steps down the gradient that torch finds of the loss, all in one place."""
    setup = begin.context
    inputs, y01 = seen_beside(fed, setup)
    everything, labels = (torch.from_numpy(each) for each in of_all(fed, setup, "bank"))
    X = {name: torch.from_numpy(values) for name, values in inputs.items()}
    y, n = torch.from_numpy(2.0 * y01 - 1.0), len(y01)
    W = {}
    for name, values in X.items():
        flat = begin.weights[name][: values.shape[1] * strategy.width]
        W[name] = torch.tensor(flat.reshape(-1, strategy.width), requires_grad=True)

    def direction():
        return (labels[:, None] * torch.tanh(everything @ W["bank"])).mean(0)

    for _ in range(rounds):
        u = {name: torch.tanh(X[name] @ W[name]) for name in X}
        f = u["shop"] @ direction()
        loss = (np.log(2.0) - y * f / 2 + f**2 / 8).mean()
        loss = loss + strategy.closeness / (2 * n) * ((u["bank"] - u["shop"]) ** 2).sum()
        loss = loss + strategy.penalty / 2 * sum((w**2).sum() for w in W.values())
        for w, slope in zip(W.values(), torch.autograd.grad(loss, list(W.values())), strict=True):
            w.data -= strategy.lr * slope
    p = direction().detach().numpy()
    flat = {name: w.detach().numpy().ravel() for name, w in W.items()}
    return {"bank": np.append(flat["bank"], p), "shop": flat["shop"]}


@pytest.fixture(scope="module")
def trained():
    """(federation, all rounds, the state before the first one)."""
    fed = federation()
    begin = SMALL.start(fed, num_rounds=3, seed=2)
    return fed, run(fed, SMALL, 3, seed=2), begin


def test_rows_at_the_owner_of_the_labels_alone_take_part(trained):
    fed, _, begin = trained
    assert len(of_all(fed, begin.context, "bank")[0]) > begin.context.rows + 5


def test_after_three_rounds_it_has_the_weights_of_plain_training(trained):
    fed, records, begin = trained
    expected = plain(fed, begin, SMALL, 3)
    for name in fed.names:
        found = records[-1].state.weights[name]
        assert found.dtype == np.float64
        assert np.abs(found - begin.weights[name]).max() > 0.01, "it has learned"
        np.testing.assert_allclose(found, expected[name], atol=1e-5)


def test_held_out_rows_have_the_scores_of_the_plain_model(trained):
    fed, records, begin = trained
    inputs, y = seen_beside(fed, begin.context, "held_out")
    weights = records[-1].state.weights
    scores = np.tanh(inputs["shop"] @ weights["shop"].reshape(-1, 3)) @ weights["bank"][-3:]
    np.testing.assert_allclose(SMALL.merged_scores(records[-1].state, inputs)[:, 0], scores)
    assert records[-1].metrics["accuracy"] == pytest.approx(np.mean((scores > 0) == (y > 0.5)))
    assert records[-1].metrics["loss"] == pytest.approx(np.mean(np.logaddexp(0, -(2 * y - 1) * scores)), abs=1e-5)


def test_a_run_that_goes_on_equals_the_uninterrupted_one_bit_for_bit(trained):
    _, records, _ = trained
    kept = replace(records[1], state=put_together(*taken_apart(records[1].state)))
    rest = run(federation(), SMALL, 3, after=kept)
    assert all(np.array_equal(rest[-1].state.weights[n], records[-1].state.weights[n]) for n in ("bank", "shop"))
    assert dict(rest[-1].metrics) == dict(records[-1].metrics)


def test_no_message_holds_a_value_and_what_owners_send_each_other_is_sealed(trained):
    fed, _, _ = trained
    whole = {f"{o}: {c}": values for o, mine in private(owners()).items() for c, values in mine.items()}
    assert len(whole) == 2
    for party in ("server", "key holder", *fed.names):
        # A public key is random bytes that no owner's rows have part in; a value of four of them turns up by chance.
        assert leaks([m for m in fed.seen_by(party) if m.kind != "public key"], whole) == []
    between = [m for m in fed.ledger.messages if m.sender in fed.names and m.receiver in fed.names]
    assert {m.kind for m in between if not m.encrypted} <= {"task", "number of inputs", "public key", "masked ids"}
    assert {m.kind for m in between} >= {"representation pieces", "padded gradient", "padded gradient, opened"}


def test_what_comes_back_opened_tells_nothing_without_the_pads(trained):
    fed, _, _ = trained
    shown = [b"".join(m.payload.parts) for m in fed.ledger.messages if m.kind == "padded gradient, opened"]
    bits = np.unpackbits(np.frombuffer(b"".join(each[:16] for each in shown), dtype=np.uint8))
    assert abs(bits.mean() - 0.5) < 5 * 0.5 / np.sqrt(bits.size), "random numbers of the whole range"
    assert len(set(shown)) == len(shown)


def test_joint_predictions_are_those_of_the_parts(trained):
    fed, records, _ = trained
    found = SMALL.model_of(records[-1].state).predict(fed)
    assert len(found) == align(fed).rows
    assert set(found["prediction"]) <= {"no", "yes"}


def test_predictions_at_the_other_owner_are_its_own(trained):
    fed, records, begin = trained
    frame = tables(owners())["shop"].drop(columns="customer").head(30)
    found = SMALL.predict_at_other(fed, records[-1], frame)
    weights = records[-1].state.weights
    u = np.tanh(begin.context.readings["shop"].read(frame) @ weights["shop"].reshape(-1, 3))
    np.testing.assert_allclose(found["score"], u @ weights["bank"][-3:], atol=1e-4)
    assert ((found["score"] > 0) == (found["prediction"] == "yes")).all()
    assert list(found.index) == list(frame.index)
    scores = [m for m in fed.ledger.messages if m.kind == "padded scores"]
    assert [(m.sender, m.receiver, m.encrypted) for m in scores] == [("shop", "bank", True)]


@cache
def digits():
    """Pictures of digits, the left and the right half at two owners, and whether the digit is odd."""
    frame = fl.data.digits().copy()
    names = [name for name in frame.columns if name != frame.attrs["target"]]
    target = frame[frame.attrs["target"]].astype(int)
    kept = frame[names].loc[:, frame[names].std() > 0.5]
    column = {name: names.index(name) % 8 for name in kept.columns}
    left = [name for name in kept.columns if column[name] < 4]
    right = [name for name in kept.columns if column[name] >= 4]
    table = kept.assign(odd=np.where(target % 2 == 1, "odd", "even"))
    return table.sample(frac=1.0, random_state=0, ignore_index=True), left, right


@pytest.mark.slow
def test_an_owner_without_labels_learns_them_and_more_rows_in_common_teach_it_better():
    table, left, right = digits()
    known, new = table.iloc[:1200], table.iloc[1200:]
    accuracy = {}
    for overlap in (50, 400):
        parts = fl.split_columns(known, target="odd", overlap=overlap / len(known), seed=1, a=[*left, "odd"], b=right)
        assert parts[1].target == ""
        fed, strategy = federation(parts), Transfer("a", width=4)
        record = run(fed, strategy, 8)[-1]
        said = strategy.predict_at_other(fed, record, new[right])
        accuracy[overlap] = np.mean(said["prediction"].to_numpy() == new["odd"].to_numpy())
    assert accuracy[50] > 0.65, accuracy
    assert accuracy[400] > accuracy[50] + 0.01, accuracy


@pytest.mark.parametrize(
    "settings",
    [{"width": 0}, {"lr": 0.0}, {"lr": float("nan")}, {"closeness": -0.1}, {"penalty": float("inf")}, {"width": 2.0}],
)
def test_settings_that_cannot_work_are_refused(settings):
    with pytest.raises(SettingError, match=next(iter(settings))):
        Transfer("bank", **settings)


def test_what_it_cannot_be_used_for_is_refused_before_anything_leaves():
    for parts, encrypt, words in (
        (owners(parties=3), fl.CKKS("deep"), "3 owners"),
        (owners(), None, "nothing is encrypted"),
        (owners(), fl.CKKS(), "no room to multiply"),
    ):
        fed = federation(parts, encrypt=encrypt)
        with pytest.raises(RuleError, match=words):
            fl.rounds(fed, SMALL, num_rounds=2)
        assert len(fed.ledger) == 0


def test_another_width_is_refused_to_a_run_that_goes_on(trained):
    fed, records, _ = trained
    with pytest.raises(SettingError, match="width=4"):
        fl.rounds(fed, replace(SMALL, width=4), num_rounds=5, after=records[-1])


def test_steps_that_are_too_long_end_the_run_and_say_so():
    failed = list(fl.rounds(federation(), replace(SMALL, lr=1e200, penalty=1e3), num_rounds=3))[-1].failed
    assert failed is not None
    assert "smaller rate" in str(failed.error)


def first(parts):
    fed = federation(parts)
    return fed, next(iter(fl.rounds(fed, SMALL, num_rounds=1))).failed


def test_several_classes_are_refused():
    held = {"bank": ["income", "age", "sector"], "shop": ["visits", "spent", "region"]}
    with pytest.raises(RuleError, match="two classes"):
        first(fl.split_columns(people(), id="customer", target="sector", **held))


def test_fewer_rows_than_inputs_are_refused_since_sums_could_be_solved_for_rows():
    wide = people(60).assign(**{f"w{i}": np.random.default_rng(i).normal(size=60) for i in range(20)})
    held = {"bank": ["income", "default"], "shop": ["visits", *(f"w{i}" for i in range(20))]}
    fed, failed = first(fl.split_columns(wide, id="customer", target="default", overlap=0.4, **held))
    assert failed.party == "shop"
    assert "could be solved" in str(failed.error)
    assert "representation pieces" not in {m.kind for m in fed.ledger.messages}


def test_a_further_class_in_other_rows_of_the_owner_is_named_by_no_value():
    table = people(120)
    bank, shop = (
        table[["customer", "income", "age", "default"]].copy(),
        table[["customer", "visits", "spent"]].iloc[:80],
    )
    bank.loc[bank.index[100:], "default"] = "perhaps"
    parts = [fl.DataOwner("bank", bank, id="customer", target="default"), fl.DataOwner("shop", shop, id="customer")]
    _, failed = first(parts)
    assert "further classes" in str(failed.error)
    assert "perhaps" not in str(failed.error)


def test_columns_are_read_by_all_rows_of_their_owner():
    table = people(150)
    shop = table[["customer", "visits", "spent"]].copy()
    shop.loc[shop.index[:90], "spent"] = 3.0
    parts = [
        fl.DataOwner(
            "bank", table[["customer", "income", "age", "default"]].iloc[:90], id="customer", target="default"
        ),
        fl.DataOwner("shop", shop, id="customer"),
    ]
    assert first(parts)[1] is None, "a column may be the same in the rows in common, if it is not elsewhere"


def test_who_learns_what_is_on_the_card():
    shown = Transfer("bank")._repr_html_()
    assert "it can work out labels" in shown
    assert "nothing: each owner seals under a key of its own" in shown
