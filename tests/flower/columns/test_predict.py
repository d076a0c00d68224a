"""Joint predictions of owners at sites of their own: those of a notebook's model, bit for bit, at the labels only."""

import stat
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import fedlab_nb as fl
from fedlab_nb.crypto.seal import KEY_HOLDER, SERVER
from fedlab_nb.errors import RoundError, SettingError
from fedlab_nb.flower import news
from fedlab_nb.flower.predicting.keeping import keep
from fedlab_nb.parties.house import House
from fedlab_nb.vertical.model.same import ORIGIN
from tests.flower.columns.apart import kinds
from tests.flower.columns.attacked import Once, in_place, lying, with_facts
from tests.flower.columns.foretelling import Foretelling, house_of, read
from tests.vertical.model.common import CASES, frames, model, owners_of_new

__all__ = ["lying"]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "predictions.parquet"


def notebook(name, owners=None):
    """The same in one process: the federation, and what its model predicts."""
    fed = fl.Federation(owners or owners_of_new(name), encrypt=house_of(model(name).strategy).encrypt)
    return fed, model(name).predict(fed)


def between(federation):
    """What crossed between each two parties, in its order."""
    found = defaultdict(list)
    for facts in kinds(federation):
        found[facts[1], facts[2]].append(facts)
    return found


def charged(apart):
    """By owner what its account has been debited with, as its site has it."""
    return {name: dict(site._books.accounts[name].counts) for name, site in apart.sites.items() if site._owner}


@pytest.mark.parametrize("name", CASES)
def test_apart_as_together(name, file):
    fed, expected = notebook(name)
    apart = Foretelling(file, name)
    table, far = apart.table()
    pd.testing.assert_frame_equal(table, expected, check_exact=True)
    assert len(table) > 30
    assert between(far) == between(fed)
    assert far.ledger.verify()
    assert [(said.rows, said.trips) for said in apart.told] == [(len(expected), far.sites.trips)]
    for owner in fed.names:
        assert far.account(owner).counts == fed.account(owner).counts


@pytest.mark.parametrize("name", ["logistic", "counts", "trees"])
def test_scores_that_are_neither_masked_nor_sealed_need_no_encryption(name, file):
    table, far = Foretelling(file, name, house=House()).table()
    pd.testing.assert_frame_equal(table, notebook(name)[1], check_exact=True)
    assert far.ledger.verify()


TRIPS = {"logistic": 7, "logistic, three": 11, "trees, patient": 11, "trees": 13, "network": 9, "transfer": 9}


@pytest.mark.parametrize("name", TRIPS)
def test_it_takes_as_many_trips_as_the_guide_says_at_most(name, file):
    from fedlab_nb.flower.project.pages.joint.predictions import _trips

    apart = Foretelling(file, name)
    _, far = apart.table()
    assert far.sites.trips == TRIPS[name]
    said = _trips(apart.agreement)
    assert f"{TRIPS[name]} of them" in said, said


@pytest.mark.parametrize(("name", "there"), [("logistic", False), ("logistic, three", True), ("trees", False)])
def test_a_key_holder_is_there_only_where_scores_are_added_up_under_masks(name, there, file):
    apart = Foretelling(file, name)
    assert (KEY_HOLDER in apart.agreement.parties) == there
    assert (apart.agreement.steps, apart.agreement.vertical) == (1, True)


def test_owners_in_another_order_than_in_training_predict_the_same(file):
    table, _ = Foretelling(file, "network", owners=owners_of_new("network")[::-1]).table()
    pd.testing.assert_frame_equal(table, notebook("network")[1], check_exact=True)


@pytest.mark.parametrize("name", ["network", "logistic"])
def test_columns_that_nobody_trained_with_change_nothing(name, file):
    wider = [
        fl.DataOwner(owner, table.assign(**{f"more {owner}": 1.5, f"and {owner}": "x"}), id="customer")
        for owner, table in frames(name).items()
    ]
    expected = notebook(name)[1]
    pd.testing.assert_frame_equal(notebook(name, wider)[1], expected)
    table, _ = Foretelling(file, name, owners=wider).table()
    pd.testing.assert_frame_equal(table, expected, check_exact=True)


def test_another_run_over_the_same_rows_is_paid_again(file):
    paid = []
    for _ in range(2):
        apart = Foretelling(file)
        before = apart.spent()
        apart.table()
        paid.append({name: count - before[name] for name, count in apart.spent().items()})
    assert paid == [{"bank": 2, "shop": 2}] * 2


def moved(part, **changes):
    return replace(part, origin=replace(part.origin, **changes))


FOREIGN = {
    "another run": (lambda part: moved(part, run="0" * 16), "different runs"),
    "another round": (lambda part: moved(part, course=(1.0, part.origin.course[1])), "different rounds"),
    "another course": (lambda part: moved(part, course=(part.origin.course[0], 7.0)), "different rounds"),
}


@pytest.mark.parametrize("whose", ["bank", "shop", "post"])
@pytest.mark.parametrize("what", FOREIGN)
def test_parts_that_do_not_belong_together_are_refused_before_a_row_is_looked_at(what, whose, file):
    change, words = FOREIGN[what]
    apart = Foretelling(file, "trees", parts={whose: change(model("trees").parts[whose])})
    before = apart.spent()
    error, far, _ = apart.outcome()
    assert isinstance(error, SettingError)
    assert words in str(error)
    assert repr(whose) in str(error)
    assert {m.kind for m in far.ledger.messages} <= {ORIGIN}
    assert apart.spent() == before
    assert not file.exists()
    assert [said.rows for said in apart.told] == [None]


def test_an_owner_that_lacks_a_column_of_the_model_is_refused(file):
    few = [
        fl.DataOwner(owner, table.drop(columns="spent", errors="ignore"), id="customer")
        for owner, table in frames().items()
    ]
    apart = Foretelling(file, owners=few)
    before = apart.spent()
    error, far, _ = apart.outcome()
    assert "'spent'" in str(error)
    assert not far.ledger.messages
    assert apart.spent() == before


@pytest.mark.parametrize("words", ["", "run 1, round 2", "run " + "0" * 16 + ", round 2, course x"])
def test_an_owner_that_does_not_say_where_its_part_is_from_is_named(words, lying, file):
    told = lying("shop", ORIGIN, lambda number, to, kind, _: [(number, to, kind, words)])
    error, far, _ = Foretelling(file).outcome()
    assert told
    assert isinstance(error, RoundError)
    assert "'shop' did not say of which run and round" in str(error)
    assert {m.kind for m in far.ledger.messages} == {ORIGIN}


def test_partial_scores_of_other_rows_are_refused_and_nothing_is_written(lying, file):
    file.write_bytes(b"earlier")
    told = lying("shop", "partial score", lambda number, to, kind, u: [(number, to, kind, u[:-1])])
    error, _, _ = Foretelling(file).outcome()
    assert told
    assert isinstance(error, RoundError)
    assert "withheld" in str(error)
    assert file.read_bytes() == b"earlier"


def test_partial_scores_that_are_no_numbers_are_refused(lying, file):
    told = lying("shop", "partial score", lambda number, to, kind, _: [(number, to, kind, "none")])
    error, _, _ = Foretelling(file).outcome()
    assert told
    assert isinstance(error, RoundError)
    assert not file.exists()


SEALED = {
    "a byte of where a part is from": (in_place(lambda p: replace(p, body=p.body[:-1] + b"?")), ORIGIN),
    "a byte of the scores": (in_place(lambda p: replace(p, body=p.body[:-1] + b"?")), "partial score"),
    "another number": (with_facts(number=9), "partial score"),
}


@pytest.mark.parametrize("what", SEALED)
def test_what_the_server_changes_on_the_way_is_refused(what, file):
    change, kind = SEALED[what]
    apart = Foretelling(file)
    apart.to_site = lie = Once(change, kind=kind, to="bank")
    error, _, _ = apart.outcome()
    assert lie.told
    assert error is not None
    assert "'bank'" in str(error)
    assert not file.exists()


@pytest.mark.parametrize("serial", [1, 2, 4])
def test_a_party_that_is_lost_ends_it(serial, file):
    apart = Foretelling(file)
    apart.to_site = lambda name, said: None if name == "shop" and said.serial >= serial else said
    error, _, _ = apart.outcome()
    assert error.party == "shop"
    assert not file.exists()


def test_no_score_is_in_what_crosses_or_in_what_the_server_tells(file):
    apart = Foretelling(file)
    table, far = apart.table()
    scores = model().predict_proba(owners_of_new()).to_numpy()
    partial = [np.asarray(m.payload) for m in notebook("logistic")[0].ledger.messages if m.kind == "partial score"]
    wanted = [number.tobytes() for number in (*scores.ravel(), *partial[0].ravel())]
    crossed = b"".join(data for _, data in apart.crossed)
    told = "\n".join(line for said in apart.told for line in news.lines(1, said, apart.agreement.allowed))
    read_again = repr([*news.read(told.splitlines(), apart.agreement.allowed)])
    assert len(wanted) > 100
    assert partial[0].tobytes() not in crossed
    assert not any(number in crossed for number in wanted)
    assert not any(repr(float(number)) in read_again for number in scores.ravel())
    assert not any(each in read_again for each in table.index)
    mine = [m for m in far.ledger.messages if SERVER not in (m.sender, m.receiver)]
    assert mine
    assert all(m.payload is None for m in mine)
    assert {m.receiver for m in mine if m.kind == "partial score"} == {"bank"}


def test_no_other_party_comes_to_have_a_score(file, monkeypatch):
    """What each party's own way through the protocol ends with."""
    from fedlab_nb.flower.predicting import site
    from fedlab_nb.places import NotHere

    found, inner = {}, site.predicted_apart

    def kept(prediction, federation, part):
        found[part.owner if part else KEY_HOLDER] = joint = inner(prediction, federation, part)
        return joint

    monkeypatch.setattr(site, "predicted_apart", kept)
    Foretelling(file, "logistic, three").table()
    assert found.keys() == {"bank", "shop", "post", KEY_HOLDER}
    assert {name for name, joint in found.items() if not isinstance(joint, NotHere)} == {"bank"}


def test_predictions_are_written_whole_and_for_this_user_alone(tmp_path, monkeypatch):
    ids = pd.Index(["x", "y"], name="id")
    table = pd.DataFrame({"prediction": ["a", "b"], "probability of a": [0.1, 1 / 3]}, index=ids)
    for name in ("p.csv", "p.parquet"):
        keep(table, tmp_path / name, "bank")
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    pd.testing.assert_frame_equal(read(tmp_path / "p.parquet"), table)
    again = pd.read_csv(tmp_path / "p.csv", index_col="id", dtype=str)
    assert list(again.index) == ["x", "y"]
    assert [float(each) for each in again["probability of a"]] == [0.1, 1 / 3]

    def breaks(self, path, **_):
        path.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", breaks)
    before = (tmp_path / "p.csv").read_bytes()
    with pytest.raises(SettingError, match="No space left"):
        keep(table.iloc[:1], tmp_path / "p.csv", "bank")
    assert (tmp_path / "p.csv").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.csv", "p.parquet"]


def test_a_table_that_cannot_be_written_ends_the_run_with_a_reason(tmp_path):
    file = tmp_path / "gone" / "p.csv"
    error, _, _ = Foretelling(file).outcome()
    assert isinstance(error, SettingError)
    assert "cannot be written" in str(error)
