"""Questions across owners equal pandas on the pooled, joined table; small cells stay hidden; refusals teach."""

import numpy as np
import pandas as pd
import pytest

import fedlab_nb as fl
from fedlab_nb.analytics.questions.contrasts import information_value, woe
from fedlab_nb.analytics.vertical.frame import VerticalFrame
from fedlab_nb.errors import PrivateDataError, RoundError, RuleError, SettingError
from tests.rounds.common import events_of
from tests.vertical.common import federation, owners, people, pooled, with_gaps

NUMBERS = ["income", "age", "visits", "spent"]


def asked(parts, **settings):
    return fl.PrivateFrame(federation(parts, **settings))


@pytest.fixture(scope="module")
def common():
    """(the usual owners, a frame over them), aligned once for all questions that count nothing."""
    parts = owners()
    return parts, asked(parts)


def test_a_frame_over_different_columns_is_made_by_the_same_name():
    frame = asked(owners(people(60)))
    assert isinstance(frame, VerticalFrame)
    assert isinstance(frame, fl.PrivateFrame)
    assert "not looked for" in repr(frame)
    assert "looked for at the first question" in frame._repr_html_()
    assert frame.count() == frame.align().rows
    assert f"{frame.align().rows} rows in common" in repr(frame)
    assert frame.owner_of("spent") == "shop"


def test_correlations_are_those_of_pandas_between_two_owners(common):
    found, expected = common[1].corr(NUMBERS), pooled(common[0])[NUMBERS].astype(float).corr()
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_correlations_are_those_of_pandas_between_three_owners():
    parts, names = owners(parties=3), ["parcels", *NUMBERS, "letters"]
    found = asked(parts).corr(names)
    expected = pooled(parts)[names].astype(float).corr()
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert list(found.columns) == names
    assert found.attrs["mode"] == "exact"


def test_variance_inflation_is_that_of_a_regression_on_the_pooled_table(common):
    found, table = common[1].vif(NUMBERS), pooled(common[0])[NUMBERS].astype(float)
    assert found.attrs["question"] == "Variance inflation of the columns"
    for name in NUMBERS:
        others = np.column_stack([np.ones(len(table)), table[[n for n in NUMBERS if n != name]]])
        rest = table[name] - others @ np.linalg.lstsq(others, table[name], rcond=None)[0]
        assert found.loc[name, "vif"] == pytest.approx(table[name].var() / rest.var(), rel=1e-4)


def test_variance_inflation_of_a_copy_at_another_owner_has_no_bound():
    frame = people().assign(visits=lambda f: f["income"])
    found = asked(owners(frame)).vif(["income", "visits", "age"])
    assert not (found["vif"] < 1e6).loc[["income", "visits"]].any()


def test_correlations_with_missing_values_are_those_of_pandas_pair_by_pair():
    parts = owners(with_gaps())
    found = asked(parts).corr(NUMBERS)
    np.testing.assert_allclose(found, pooled(parts)[NUMBERS].astype(float).corr(), atol=1e-6)


def test_correlations_of_heavy_tails_and_large_offsets():
    frame = people().assign(income=lambda f: f["income"] ** 8 + 1e12, visits=lambda f: 1e9 + f["visits"])
    parts = owners(frame)
    found = asked(parts).corr(["income", "visits", "spent"])
    expected = pooled(parts)[["income", "visits", "spent"]].astype(float).corr()
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_column_that_does_not_vary_or_is_all_missing_has_no_correlation():
    parts = owners(people().assign(age=40, spent=np.nan))
    found = asked(parts).corr(NUMBERS)
    assert found.loc["age"].isna().all()
    assert found["spent"].isna().all()
    assert found.loc["income", "visits"] == pytest.approx(
        pooled(parts)[["income", "visits"]].corr().iloc[0, 1], abs=1e-6
    )


def test_a_pair_with_fewer_than_five_rows_is_kept_back_by_the_key_holder():
    frame = people().copy()
    frame.loc[10:, "visits"] = np.nan
    frame.loc[:6, "income"] = np.nan
    fed = federation(owners(frame, overlap=1.0))
    found = fl.PrivateFrame(fed).corr(["income", "age", "visits"])
    assert np.isnan(found.loc["income", "visits"])
    assert not np.isnan(found.loc["age", "visits"])
    opened = [m.payload for m in fed.seen_by("server") if m.kind.endswith("opened")]
    assert any((values == -(2.0**60)).any() for values in opened), "what is not shown does not cross"


def test_a_cross_table_has_the_counts_of_pandas_without_small_cells():
    parts = owners(overlap=1.0)
    frame, truth = asked(parts), pooled(parts)
    found = frame.crosstab("sector", "region")
    expected = pd.crosstab(truth["sector"], truth["region"]).reindex_like(found)
    shown = found.notna().to_numpy()
    assert shown.any()
    assert not shown.all()
    assert (found.to_numpy()[shown] == expected.to_numpy()[shown]).all()
    assert not ((expected > 0) & (expected < 5) & found.notna()).any(axis=None)
    assert (
        frame.crosstab("default", "region").loc["yes", "north"]
        == ((truth["default"] == "yes") & (truth["region"] == "north")).sum()
    )
    within = frame.crosstab("sector", "default")
    assert within.loc["trade", "no"] == ((truth["sector"] == "trade") & (truth["default"] == "no")).sum()


def test_values_that_nobody_declared_are_named_by_their_owner_if_five_rows_have_them():
    truth = people()
    bank = fl.DataOwner("bank", truth[["customer", "income", "default"]], id="customer", target="default")
    shop = fl.DataOwner("shop", truth[["customer", "visits", "region"]].iloc[::-1], id="customer")
    found = asked([bank, shop]).crosstab("default", "region")
    assert found.loc["no", "north"] == ((truth["default"] == "no") & (truth["region"] == "north")).sum()


def test_weights_of_evidence_are_those_of_the_pooled_table():
    parts = owners(people(400))
    frame, truth = asked(parts), pooled(parts)
    found = frame.woe("default", "yes", bins=5)
    assert list(dict.fromkeys(found.index.get_level_values("column"))) == [
        *("income", "age", "sector", "visits", "spent", "region")
    ]
    event = truth["default"] == "yes"
    for column in ("income", "visits", "spent"):
        table = found.loc[column]
        edges = [float(label.split(",")[1].strip(" ]")) for label in table.index][:-1]
        codes = np.searchsorted(edges, truth[column], side="left")
        counts = np.array([[(event & (codes == b)).sum(), (~event & (codes == b)).sum()] for b in range(len(table))])
        assert (table[["events", "others"]].to_numpy() == counts).all()
        np.testing.assert_allclose(table["woe"], woe(counts.astype(float)), rtol=1e-12)
        np.testing.assert_allclose(table["iv"], information_value(counts.astype(float)), rtol=1e-12)
        assert (counts >= 5).all() or (counts[(counts > 0)] >= 5).all()
    values = frame.iv("default", "yes", bins=5)
    assert values["iv"].is_monotonic_decreasing
    assert values.loc["visits", "iv"] == pytest.approx(found.loc["visits", "iv"].iloc[0])


def test_evidence_for_an_event_at_the_other_owner_and_of_columns_with_gaps():
    parts = owners(with_gaps(400))
    truth = pooled(parts)
    found = asked(parts).woe("region", "north", bins=4, names=["income"]).loc["income"]
    assert found["events"].sum() == ((truth["region"] == "north") & truth["income"].notna()).sum()
    assert found["others"].sum() == ((truth["region"] != "north") & truth["income"].notna()).sum()


def test_questions_about_one_owner_are_about_the_rows_in_common(common):
    frame, truth = common[1], pooled(common[0])
    assert frame["spent"].mean() == pytest.approx(truth["spent"].mean())
    assert frame.of("shop").describe().loc["count"].tolist() == [len(truth), len(truth)]
    assert frame.value_counts("region").loc["north", "count"] == (truth["region"] == "north").sum()
    assert frame.groupby("sector")["income"].mean().loc["trade"].iloc[0] == pytest.approx(
        truth.groupby("sector")["income"].mean()["trade"]
    )
    only = fl.PrivateFrame(frame._source.federation, owner="shop")
    assert list(only.columns) == ["visits", "spent", "region"]
    assert list(only.mock(2).columns) == ["visits", "spent", "region"]


def test_every_owner_that_is_asked_is_charged():
    fed = federation(owners(parties=3))
    fl.PrivateFrame(fed).corr(["income", "visits"])
    purposes = {name: [event.purpose for event in events_of(fed, name)] for name in fed.names}
    assert purposes["bank"] == purposes["shop"] == ["which rows are in common", "correlations of the columns"]
    assert purposes["post"] == ["which rows are in common"]
    assert {event.mechanism for event in events_of(fed, "bank")} == {"none"}


@pytest.mark.parametrize(
    ("encrypt", "words"),
    [
        (None, "nothing is encrypted"),
        (fl.CKKS(), "no room to multiply"),
        (fl.BFV(), "no room to multiply"),
        (fl.SecAgg(), "no room to multiply"),
        (fl.CKKS("deep", keys="owners"), "would have the key"),
        (fl.CKKS(keys="threshold"), "no room to multiply"),
    ],
)
def test_encryption_without_products_is_refused_before_anything_is_asked(encrypt, words):
    fed = federation(owners(people(60)), encrypt=encrypt)
    frame = fl.PrivateFrame(fed)
    for question in (frame.corr, lambda: frame.crosstab("default", "region"), lambda: frame.woe("default", "yes")):
        with pytest.raises(RuleError, match=words):
            question()
    assert len(fed.ledger) == 0
    assert frame.corr(["income", "age"]).shape == (2, 2), "one owner's own columns need no products"


def test_what_lies_across_owners_and_is_no_sum_of_products_is_refused(common):
    frame = common[1]
    for question in (
        frame.cov,
        lambda: frame.groupby(["sector", "region"]),
        lambda: frame.ttest("income", "region"),
        lambda: frame.query("income > 3"),
        lambda: frame[frame["income"] > 3],
        frame.drift,
    ):
        with pytest.raises(RuleError, match=r"frame\.of"):
            question()
    with pytest.raises(PrivateDataError):
        frame.head()
    with pytest.raises(SettingError, match="no column 'nothing'"):
        frame.corr(["nothing"])
    with pytest.raises(SettingError, match="epsilon"):
        frame.corr(epsilon=1.0)
    with pytest.raises(SettingError, match="no value that 'default' can have"):
        frame.woe("default", "maybe")
    with pytest.raises(SettingError, match="bins is 1"):
        frame.woe("default", "yes", bins=1)


def test_too_few_rows_in_common_answer_nothing():
    frame = people(60)
    bank = fl.DataOwner("bank", frame[["customer", "income"]].iloc[:33], id="customer")
    shop = fl.DataOwner("shop", frame[["customer", "visits"]].iloc[30:], id="customer")
    fed = federation([bank, shop])
    with pytest.raises(RoundError, match="3 ids in common"):
        fl.PrivateFrame(fed).corr()
    assert not [m for m in fed.ledger.messages if "correlation" in m.kind]


def test_an_owner_that_fails_in_the_middle_releases_nothing(monkeypatch):
    fed = federation(owners(people(60)))
    frame = fl.PrivateFrame(fed)
    frame.align()
    with monkeypatch.context() as broken:

        def stop(*_, **__):
            raise MemoryError("income 918273")

        broken.setattr("fedlab_nb.channel.products.multiplied", stop)
        with pytest.raises(RoundError, match="'shop' failed with MemoryError") as caught:
            frame.corr()
        assert "918273" not in str(caught.value)
    assert not [m for m in fed.ledger.messages if m.kind.endswith("opened")]
    assert fed.ledger.verify()
    before = fed.fingerprint
    assert frame.corr().shape == (4, 4), "and the next question has fresh keys"
    assert fed.fingerprint != before


def test_answers_look_like_all_others(common):
    frame = common[1]
    table = frame.corr(NUMBERS)
    assert "Exact" in repr(table)
    assert "key holder" in table._repr_html_()
    assert table.plot().data[0]["type"] == "heatmap"
    assert frame.crosstab("default", "region").plot().data[0]["type"] == "heatmap"
    evidence = frame.woe("default", "yes", names=["visits"])
    assert evidence.plot().data[0]["type"] == "bar"
    assert frame.iv("default", "yes", names=["visits"]).plot().data[0]["type"] == "bar"


def test_horizontal_frames_are_what_they_were():
    frame = fl.PrivateFrame(fl.Federation(fl.split_rows(fl.data.breast_cancer(), owners=2)))
    assert type(frame) is fl.PrivateFrame
    assert type(frame[["mean_radius"]]) is fl.PrivateFrame
