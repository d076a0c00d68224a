"""Linked rows the whole way but for Flower: a rehearsal's sites, the server's log, and who watches it."""

import pytest

import fedlab_nb as fl
from fedlab_nb.flower import news, server
from fedlab_nb.flower.party.settings import SiteSettings
from fedlab_nb.flower.watch import attach
from fedlab_nb.parties.columns.road import alignment_of
from fedlab_nb.vertical.align import align
from fedlab_nb.vertical.linkage import link
from tests.flower.columns.apart import DEEP, ColumnsApart
from tests.flower.columns.linked import STRATEGY, parts
from tests.flower.columns.test_linear import owners
from tests.flower.deploy.common import with_flower
from tests.flower.net import Net, rounds_of
from tests.flower.test_watch import Runs

pytestmark = with_flower


@pytest.fixture
def run(monkeypatch):
    made = Net(fl.Federation(parts(80, 50), encrypt=DEEP), STRATEGY, monkeypatch)
    yield made
    for party in made.parties.values():
        party._site.close()
    made.close()


def test_a_rehearsal_links_what_the_sites_would_link_in_a_notebook(run):
    told = [*run.told()]
    records = rounds_of(told)
    fed = fl.Federation([SiteSettings.read(path).owner() for path in run.settings.values()], encrypt=DEEP)
    found = link(fed)
    assert found.rows > 30
    assert [r.metrics for r in records] == [r.metrics for r in fl.rounds(fed, STRATEGY, num_rounds=2)]
    (linked,) = [said for said in told if isinstance(said, news.Linked)]
    assert told.index(linked) == 1, "before any round"
    assert (linked.alignment.rows, linked.alignment.doubts) == (found.rows, found.doubts)


def test_who_watches_it_is_told_how_sure_the_links_are(run):
    told = [*run.told()]
    lines = [line for i, said in enumerate(told, 1) for line in news.lines(i, said, run.agreement.allowed)]
    watched = attach(run.rehearsal.project, Runs(lines), 7)
    assert len(watched.wait()) == 2
    found = align(watched.federation)
    assert found == next(said.alignment for said in told if isinstance(said, news.Linked))
    assert found is alignment_of(watched.federation)
    assert "Barely linked" in found._repr_html_()


def test_the_log_says_it_in_words(run):
    (words,) = [server._words(said) for said in run.told() if isinstance(said, news.Linked)]
    assert words.startswith("Rows linked: ")
    assert "alike by 0.85 or more; barely " in words


def test_of_rows_found_by_ids_nothing_of_the_kind_is_told(monkeypatch):
    made = Net(fl.Federation(owners(2, 100), encrypt=DEEP), fl.vertical.SplitNN("owner 0"), monkeypatch, num_rounds=1)
    told = [*made.told()]
    for party in made.parties.values():
        party._site.close()
    made.close()
    rounds_of(told)
    assert not [said for said in told if isinstance(said, news.Linked)]


def test_linking_takes_two_trips_more_than_ids_as_the_guide_says():
    def trips(those, strategy, linkage=None):
        apart = ColumnsApart(those, strategy, linkage=linkage, num_rounds=1)
        federation, found = apart.played()
        assert found[-1].failed is None
        return federation.sites.trips

    for holder in (True, False):
        ids = trips(owners(2, 100), fl.vertical.LogisticRegression("owner 0", key_holder=holder))
        assert trips(parts(80, 50), fl.vertical.LogisticRegression("bank", key_holder=holder), 0.85) == ids + 2
