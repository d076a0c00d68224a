import contextlib

import numpy as np
import pandas as pd
import pytest

import fedlab_nb as fl
from fedlab_nb.data.encoding import CategoryCode
from fedlab_nb.errors import BudgetExceededError, SchemaError
from fedlab_nb.records import PrivacyEvent
from tests.rounds.common import assert_teaches, cells, events_of, logistic, play, tumours

BUDGET = fl.Budget(epsilon=8, delta=1e-3)


def pooled(owners, part="training"):
    """What no party of a federation ever has: all owners' rows in one table."""
    tables = [o._inside(lambda rows: getattr(rows, part), stage="test") for o in owners]
    return pd.concat([x.assign(**{y.name: y}) for x, y in tables], ignore_index=True)


def by_clinic(**more):
    table = fl.data.clinics()
    return [
        fl.DataOwner(str(name), part.drop(columns="clinic"), target="diagnosis", **more)
        for name, part in table.groupby("clinic")
    ]


def started(owners, **settings):
    return logistic().start(fl.Federation(owners, **settings), num_rounds=3, seed=0).context


@pytest.mark.parametrize("encrypt", [None, fl.CKKS()], ids=["plain", "encrypted"])
def test_without_noise_the_scaling_is_that_of_all_training_rows_together(encrypt):
    owners = cells(4)
    setup = started(owners, encrypt=encrypt)
    table = pooled(owners)
    assert setup.rows == len(table)
    for code in setup.encoding.inputs:
        values = table[code.name]
        # The column's sums are on a grid of 2^-17 ranges or finer.
        assert code.centre == pytest.approx(values.mean(), abs=(code.high - code.low) * 1e-6)
        assert code.scale == pytest.approx(values.std(ddof=0), rel=1e-4)
        assert code.low <= values.min() <= values.max() <= code.high


def test_missing_values_are_left_out_of_the_scaling_and_marked():
    owners = by_clinic()
    setup, table = started(owners), pooled(owners)
    codes = {code.name: code for code in setup.encoding.inputs}
    assert codes["cholesterol"].centre == pytest.approx(table["cholesterol"].mean(), rel=1e-5)
    assert codes["cholesterol"].scale == pytest.approx(table["cholesterol"].std(ddof=0), rel=1e-4)
    assert (codes["age"].indicator, codes["cholesterol"].indicator) == (False, True)
    assert codes["chest_pain"] == CategoryCode("chest_pain", ("at rest", "none", "on effort"))
    assert codes["smoker"].values == (False, True)


def test_nobody_puts_the_owners_frames_together(monkeypatch):
    owners = cells()

    def refuse(*_, **__):
        raise AssertionError("frames were put together")

    for name in ("concat", "merge"):
        monkeypatch.setattr(pd, name, refuse)
    federation = fl.Federation(owners, encrypt=fl.CKKS())
    assert play(federation)[-1].failed is None


def test_the_scaling_is_the_same_however_the_rows_are_divided():
    table = fl.data.breast_cancer().iloc[:, [0, 1, 2, -1]]

    def encoding(owners, seed):
        return started(
            [
                fl.DataOwner(f"O{i}", table.iloc[part], target="diagnosis", held_out=0.0)
                for i, part in enumerate(np.array_split(np.random.default_rng(seed).permutation(len(table)), owners))
            ]
        ).encoding

    first, second = encoding(2, 0), encoding(7, 1)
    for a, b in zip(first.inputs, second.inputs, strict=True):
        assert (a.centre, a.scale) == pytest.approx((b.centre, b.scale), rel=1e-4)
        assert (a.low, a.high) == (b.low, b.high)
    assert first.target == second.target


def test_with_noise_the_scaling_still_fits_the_column():
    owners = cells(5)
    setup, table = started(owners, budget=BUDGET, encrypt=fl.CKKS(), noise_seed=1), pooled(owners)
    assert setup.rows == pytest.approx(len(table), abs=6 * setup.plan.moments * np.sqrt(19))
    for code in setup.encoding.inputs:
        assert abs(code.centre - table[code.name].mean()) < 2 * table[code.name].std()
        assert table[code.name].std() / 6 < code.scale < table[code.name].std() * 6


def test_a_category_that_a_single_row_holds_is_never_named_under_a_budget():
    common = pd.DataFrame({"x": np.arange(80.0), "place": ["Oslo", "Rome"] * 40, "y": ["a", "b", "b", "a"] * 20})
    rare = common.assign(place=common["place"].where(common.index != 34, "Zanzibar"), x=-common["x"])
    owners = [fl.DataOwner(name, f, target="y", held_out=0.0) for name, f in (("A", common), ("B", rare))]
    setup = started(owners)
    assert setup.encoding.inputs[1].values == ("Oslo", "Rome", "Zanzibar")

    from fedlab_nb.horizontal.prepare import _above_threshold
    from fedlab_nb.protect import noise_source

    plan = started(owners, budget=BUDGET, noise_seed=0).plan
    release = PrivacyEvent(0, "lists", "training", "row", "gaussian", plan.lists, delta=plan.list_delta)
    counts = {"place": {"Oslo": 33, "Rome": 30, "Zanzibar": 1}, "y": {"a": 32, "b": 32}}
    named = [_above_threshold(counts, release, noise_source(seed, 0)) for seed in range(200)]
    # The chance of one is list_delta = 1e-4 per list: .02 expected in 200.
    assert sum("Zanzibar" in lists["place"] for lists in named) == 0
    assert sum("Oslo" in lists["place"] for lists in named) == 200
    for seed in range(20):
        values = started(owners, budget=BUDGET, noise_seed=seed).encoding.inputs[1].values
        assert set(values) <= {"Oslo", "Rome"}


def test_the_threshold_holds_its_probability_where_it_can_be_counted():
    from fedlab_nb.horizontal.prepare import _above_threshold

    release = PrivacyEvent(0, "lists", "training", "row", "gaussian", 3.0, delta=0.1)
    rng = np.random.default_rng(0)
    counts = {"place": {"Zanzibar": 1}, "y": {"a": 1}}
    hits = sum(any(found.values()) for found in (_above_threshold(counts, release, rng) for _ in range(4000)))
    # At most 10 % over both lists together: .05 + .05 - .0025, within four standard deviations.
    assert abs(hits / 4000 - 0.0975) < 4 * np.sqrt(0.0975 * 0.9025 / 4000)


def lists_of(federation, name):
    return [event.delta for event in events_of(federation, name) if event.delta]


def opened(federation):
    return {e.owner: e.facts["set_aside"] for e in federation.books.vault.entries() if e.kind == "opened"}


def test_delta_for_lists_is_set_aside_at_the_strictest_agreement_and_later_runs_keep_within_it():
    frames = [tumours().iloc[i::2, [0, 1, -1]].astype({"diagnosis": str}) for i in (0, 1)]
    budgets = (None, fl.Budget(8, 1e-4))
    owners = [
        fl.DataOwner(f"Owner {i}", frame, target="diagnosis", budget=budget)
        for i, (frame, budget) in enumerate(zip(frames, budgets, strict=True), 1)
    ]
    first = fl.Federation(owners, budget=BUDGET)
    assert opened(first) == pytest.approx({"Owner 1": 1e-5, "Owner 2": 1e-5})
    for rounds in (1, 2):
        federation = fl.Federation(owners, protect=fl.RowLevelDP(noise_multiplier=60.0 + rounds), budget=BUDGET)
        strategy = logistic(lr=0.1 * rounds)
        with contextlib.suppress(BudgetExceededError):
            play(federation, strategy, num_rounds=rounds)
    for name in first.names:
        account = first.account(name)
        assert 0 < sum(lists_of(first, name)) <= account.set_aside
        assert account.spent(1e-4) < float("inf")
    assert first.epsilon() <= 8


def test_without_a_budget_runs_with_other_settings_keep_their_guarantee():
    owners = cells(2)
    for rounds in (1, 2, 3):
        federation = fl.Federation(owners, protect=fl.RowLevelDP(noise_multiplier=3.0))
        assert play(federation, num_rounds=rounds)[-1].failed is None
        assert federation.epsilon() is not None
    assert lists_of(federation, "Owner 1") == pytest.approx([5e-7, 2.5e-7, 1.25e-7])
    assert opened(federation) == pytest.approx({"Owner 1": 1e-6, "Owner 2": 1e-6})


def test_where_nothing_was_set_aside_lists_are_refused_before_anything_leaves():
    frame = pd.DataFrame({"x": np.arange(40.0), "y": ["no", "yes", "yes", "no"] * 10})

    def federation(**declared):
        owners = [
            fl.DataOwner(n, frame.assign(x=frame["x"] * s), target="y", **declared) for n, s in (("A", 1), ("B", -1))
        ]
        return fl.Federation(owners, budget=BUDGET)

    declared = federation(categories={"y": ["no", "yes"]})
    assert opened(declared) == {"A": 0.0, "B": 0.0}
    with pytest.raises(BudgetExceededError, match="cannot release the categories") as caught:
        play(federation())
    assert_teaches(caught, "'A'", "delta 0", "categories=")
    assert declared.account("A").releases == 0
    assert play(declared)[-1].failed is None


def test_classes_that_hide_in_the_noise_fail_in_words():
    frame = pd.DataFrame({"x": np.arange(12.0), "y": ["no", "yes"] * 6})
    owners = [fl.DataOwner("A", frame, target="y"), fl.DataOwner("B", frame.assign(x=-frame["x"]), target="y")]
    (record,) = play(fl.Federation(owners, budget=fl.Budget(0.5, 1e-5)))
    assert isinstance(record.failed.error, SchemaError)
    assert_teaches(record.failed.error, "'y'", "0 of its classes", "categories=")


def test_declared_columns_are_not_asked_about_and_not_charged():
    frame = pd.DataFrame({"x": np.arange(40.0), "sex": ["f", "m"] * 20, "y": ["no", "yes", "yes", "no"] * 10})
    lists, bounds = {"sex": ["f", "m"], "y": ["no", "yes"]}, {"x": (-50.0, 50.0)}
    owners = [
        fl.DataOwner(name, frame.assign(x=frame["x"] * sign), target="y", bounds=bounds, categories=lists)
        for name, sign in (("A", 1), ("B", -1))
    ]
    federation = fl.Federation(owners, budget=BUDGET)
    play(federation)
    kinds = {m.kind for m in federation.ledger.messages}
    assert not {"category list", "range count"} & kinds
    assert {e.purpose for e in events_of(federation, "A")} == {
        "the moments of the columns",
        "the number of held-out rows",
        "a round's update",
        "a round's score",
        "the verdict",
    }


def towns(rows):
    """Two owners whose column "town" has no declared categories; ``rows`` is the first owner's."""
    other = ["A", "B"] * 150
    frames = [
        pd.DataFrame({"town": t, "age": np.arange(len(t)) % 90, "ill": np.arange(len(t)) % 2 == 0})
        for t in (rows, other)
    ]
    return [fl.DataOwner(name, frame, target="ill") for name, frame in zip("XY", frames, strict=True)]


@pytest.mark.parametrize("budget", [None, fl.Budget(50, 1e-3)])
def test_lists_of_categories_do_not_tell_the_order_of_the_rows(budget):
    lists = []
    for rows in (["B"] + ["A"] * 300 + ["B"] * 300, ["A"] * 300 + ["B"] * 300):
        federation = fl.Federation(towns(rows), budget=budget, noise_seed=None if budget is None else 0)
        play(federation, num_rounds=1)
        lists.append([m.payload for m in federation.ledger.messages if m.kind == "category list" and m.sender == "X"])
    assert lists[0] == lists[1]


def test_a_column_that_rather_names_rows_than_groups_them_is_refused():
    rows = [f"person {i}" for i in range(80)]
    (record,) = play(fl.Federation(towns(rows)))
    assert record.failed is not None
    assert "more than 50 different categories" in str(record.failed)
    assert "person" not in str(record.failed)
