"""Questions to owners of different columns, each at a site of its own: what a notebook gives, bit for bit."""

import pandas as pd
import pytest

from fedlab_nb.analytics.apart.asked import _KINDS
from fedlab_nb.flower.survey.questions import ACROSS
from tests.flower.columns.apart import kinds
from tests.flower.columns.surveyed import Surveyed, notebook, same, spent_at, undeclared
from tests.vertical.common import owners, people, with_gaps
from tests.vertical.linked import pair

CASES = {
    "across owners": ("across", lambda: owners(people(300))),
    "across owners, with gaps": ("across", lambda: owners(with_gaps(300))),
    "of one owner": ("own", lambda: owners(with_gaps(300))),
    "three owners": ("three", lambda: owners(people(300), parties=3)),
    "three owners, with gaps": ("three", lambda: owners(with_gaps(300), parties=3)),
    "values that nobody declared": ("learned", undeclared),
}


@pytest.mark.parametrize("case", CASES)
def test_answers_and_what_crosses_are_those_of_a_notebook(case, tmp_path):
    name, make = CASES[case]
    here, expected, agreed = notebook(make(), name)
    apart = Surveyed(make(), name, agreed, tmp_path)
    there, _ = apart.played()
    found = apart.answers()
    assert [*found] == [*expected]
    assert [key for key in expected if not same(found[key], expected[key])] == []
    assert kinds(there) == kinds(here)
    assert there.ledger.verify()


def test_every_kind_of_question_is_among_them():
    asked = {each.kind for name in ("across", "own") for each in notebook(owners(people(200)), name)[2]}
    assert asked == {*_KINDS}
    assert {*ACROSS} < asked


def test_questions_of_one_owner_need_no_encryption(tmp_path):
    here, expected, agreed = notebook(owners(people(200)), "own", encrypt=None)
    apart = Surveyed(owners(people(200)), "own", agreed, tmp_path, encrypt=None)
    there, _ = apart.played()
    assert apart.agreement.parties == ("bank", "shop")
    assert all(same(apart.answers()[key], expected[key]) for key in expected)
    assert kinds(there) == kinds(here)


def fresh(shift):
    """Owners of data that nobody has asked before: an account is kept for data, whoever brings it."""
    return owners(people(160).assign(income=lambda t: t.income + shift, visits=lambda t: t.visits + shift))


@pytest.mark.parametrize("name", ["few", "across", "own"])
def test_accounts_say_what_those_of_a_notebook_say(name, tmp_path):
    place = ["few", "across", "own"].index(name)
    here, _, agreed = notebook(fresh(7.3 + place), name)
    apart = Surveyed(fresh(11.7 + place), name, agreed, tmp_path)
    there, told = apart.played()
    expected = spent_at(here)
    assert spent_at(there) == expected
    assert {n: dict(site._books.accounts[n].counts) for n, site in apart.sites.items() if site._owner} == expected
    assert {n: dict(said.account.counts) for n, said in told[-1].spent.items()} == expected


def test_small_cells_are_kept_back_beside_the_rows_and_at_the_key_holder(tmp_path):
    _, expected, agreed = notebook(owners(people(300), overlap=1.0), "few")
    apart = Surveyed(owners(people(300), overlap=1.0), "few", agreed, tmp_path)
    there, _ = apart.played()
    found = apart.answers()["cross"]
    assert found.isna().any(axis=None)
    assert found.attrs["hidden cells"] == expected["cross"].attrs["hidden cells"] > 0
    told = [m.payload for m in there.ledger.messages if m.kind == "sum of pair counts, opened"]
    counts = pd.Series(told[0].ravel())
    assert not counts.between(0.5, 4.5).any()
    assert (counts == -(2.0**60)).sum() == found.isna().to_numpy().sum()


def test_owners_without_a_common_id_link_their_rows_at_the_first_question(tmp_path):
    here, expected, agreed = notebook(pair(), "linked", linkage=0.85)
    apart = Surveyed(pair(), "linked", agreed, tmp_path, linkage=0.85)
    there, _ = apart.played()
    found = apart.answers()
    assert found["rows"] == expected["rows"] > 80
    pd.testing.assert_frame_equal(found["together"], expected["together"], rtol=1e-5)  # rows come in another order
    assert kinds(there) == kinds(here)
