"""Questions to owners of different columns leave the notebook: tried, listed one by one, told of in the guide."""

import json
import re

import pytest

import fedlab_nb as fl
from fedlab_nb.errors import RoundError, RuleError, SettingError
from fedlab_nb.flower import news, server
from fedlab_nb.flower.agreement import FILE as AGREEMENT
from fedlab_nb.flower.agreement import Agreement
from fedlab_nb.flower.codec import decode, encode
from fedlab_nb.flower.project import export
from fedlab_nb.flower.project.__main__ import main
from fedlab_nb.flower.project.folder import APP
from fedlab_nb.flower.survey.federation import _check_same_columns
from fedlab_nb.flower.survey.questions import Questions
from fedlab_nb.flower.survey.watched import WatchedSurvey
from fedlab_nb.flower.watch import run
from tests.flower.columns.surveyed import ASKED, FILE, Surveyed, notebook, same, undeclared
from tests.flower.deploy.common import with_flower
from tests.flower.net import Net
from tests.flower.test_watch import Runs
from tests.vertical.common import federation, owners, people, with_gaps
from tests.vertical.linked import pair


def exported(tmp_path, name="few", parts=None, **settings):
    made = federation(owners(people(200)) if parts is None else parts, **settings)
    return export(made, getattr(ASKED, name), tmp_path / "survey", task=FILE)


def texts(agreed):
    return [each.text for each in agreed]


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("across", lambda: owners(people(200))),
        ("own", lambda: owners(with_gaps(200))),
        ("three", lambda: owners(people(200), parties=3)),
        ("learned", undeclared),
    ],
)
def test_what_is_agreed_on_is_what_the_function_asks_in_the_notebook(name, make, tmp_path):
    project = exported(tmp_path, name, make())
    assert texts(project.agreement.strategy.agreed) == texts(notebook(make(), name)[2])


def test_the_agreement_lists_the_questions_for_people_and_is_read_as_it_was_written(tmp_path):
    project = exported(tmp_path)
    agreement = project.agreement
    said = json.loads((project.folder / APP / AGREEMENT).read_text())
    assert said["asked"] == [
        "correlations across owners: columns ['income', 'visits']",
        "statistic of 'shop': column 'spent'; which 'mean'",
        "cross table across owners: names ['sector', 'region']",
    ]
    assert said["asked"] == texts(agreement.strategy.agreed)
    assert (agreement.vertical, agreement.steps, agreement.num_rounds) == (True, 3, 0)
    assert agreement.parties == ("bank", "shop", "key holder")
    assert decode(encode(agreement.strategy, agreement.allowed), agreement.allowed) == agreement.strategy
    assert exported(tmp_path / "again").digest == project.digest
    assert exported(tmp_path / "more", "three", owners(people(200), parties=3)).digest != project.digest
    path = project.folder / APP / AGREEMENT
    path.write_text(path.read_text().replace("which 'mean'", "which 'sum'"))
    with pytest.raises(SettingError, match="says one thing to people and another to programs"):
        Agreement.read(project.folder / APP)


def test_conditions_values_and_rows_to_train_on_cross_as_they_were(tmp_path):
    agreed = exported(tmp_path, "own").agreement.strategy.agreed
    said = texts(agreed)
    assert "rows where ('visits' > 6) and ('region' != 'south')" in " ".join(said)
    assert sum(each.training for each in agreed) == 1
    assert any(each.condition is not None for each in agreed)


def test_the_guide_says_what_is_asked_how_long_it_takes_and_who_learns_what(tmp_path):
    said = " ".join((exported(tmp_path).folder / "README.md").read_text().split())
    assert "2 owners answer questions on Flower" in said
    assert "1. `correlations across owners: columns ['income', 'visits']` 2. `statistic of 'shop'" in said
    assert "All questions together take about 16 of them, 1 minute;" in said
    assert "what it shows" not in said
    assert "a site carries out the questions above, each once" in said
    assert "into how many cells another's columns are cut; whether another's columns lack values" in said
    assert "the sums that it opens, of few rows too, and no row" in said
    for word in (
        "its part of the model",
        "**Trained:**",
        "score of the model",
        "part.safetensors",
        "this owner's part",
    ):
        assert word not in said
    alone = " ".join((exported(tmp_path / "own", "own", encrypt=None).folder / "README.md").read_text().split())
    assert "the server reads what each owner answers, and nothing is asked across owners" in alone
    for word in ("key holder", "lack values", "multiplies", "neither |"):
        assert word not in alone


@pytest.mark.parametrize(("name", "parties"), [("few", 2), ("own", 2), ("three", 3)])
def test_trips_are_about_those_that_the_guide_names(name, parties, tmp_path):
    parts = owners(people(200), parties=parties)
    project = exported(tmp_path, name, parts)
    said = " ".join((project.folder / "README.md").read_text().split())
    about = int(re.search(r"All questions together take about (\d+) of them", said)[1])
    apart = Surveyed(parts, name, project.agreement.strategy.agreed, tmp_path)
    there, _ = apart.played()
    assert abs(there.sites.trips - about) <= 2


def test_settings_of_sites_name_no_part_of_a_model(tmp_path):
    sites = exported(tmp_path).folder / "sites"
    assert sorted(path.name for path in sites.iterdir()) == ["bank.toml", "key_holder.toml", "shop.toml"]
    bank, shop = (sites / f"{name}.toml" for name in ("bank", "shop"))
    assert 'target = "default"' in bank.read_text()
    assert "(another owner has it)" in shop.read_text()
    assert all('id = "customer"' in path.read_text() and "part =" not in path.read_text() for path in (bank, shop))


def without_target():
    """Two owners of whom none names a column to predict."""
    truth, known = people(200), {"default": ["no", "yes"]}
    return [
        fl.DataOwner("bank", truth[["customer", "income", "age", "default"]], id="customer", categories=known),
        fl.DataOwner("shop", truth[["customer", "visits", "spent", "region"]], id="customer"),
    ]


def test_a_question_needs_its_columns_and_no_owner_that_names_one_to_predict(tmp_path):
    project = exported(tmp_path, "evident", without_target())
    sites = [(project.folder / "sites" / f"{name}.toml").read_text() for name in ("bank", "shop")]
    assert all("\n# The column to predict.\n# (no owner names one)\n" in text for text in sites)
    apart = Surveyed(without_target(), "evident", project.agreement.strategy.agreed, tmp_path)
    assert apart.outcome() is None
    assert same(apart.answers()["evidence"], notebook(without_target(), "evident")[1]["evidence"])


def test_a_question_about_a_column_that_no_owner_has_is_refused(tmp_path):
    bank = fl.DataOwner("bank", people(200)[["customer", "income", "age"]], id="customer")
    with pytest.raises(SettingError, match=r"failed after 0 answers .*There is no column 'default'"):
        exported(tmp_path, "evident", [bank, without_target()[1]])


def test_what_is_shown_to_a_site_lists_the_questions(tmp_path, capsys):
    assert main(["show", str(exported(tmp_path).folder)]) == 0
    said = capsys.readouterr().out
    assert "Each site answers these, once, in this order, and no others:\n  1. correlations across owners" in said
    assert "  3. cross table across owners: names ['sector', 'region']" in said


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("silent", {}, "The function 'silent' asked no question"),
        ("groups", {}, "failed after 0 answers on invented rows with the same columns. Rows are grouped by sector"),
        ("few", {"encrypt": None}, "failed after 0 answers on invented rows .*nothing is encrypted"),
    ],
)
def test_what_could_not_be_answered_is_refused_before_anything_is_written(name, settings, words, tmp_path):
    with pytest.raises(SettingError, match=words) as caught:
        exported(tmp_path, name, **settings)
    assert all((caught.value.what, caught.value.why, caught.value.do))
    assert "names in place of the federation" not in str(caught.value)
    assert not (tmp_path / "survey").exists()


def test_owners_that_link_their_rows_agree_on_how_alike_they_are(tmp_path):
    agreement = exported(tmp_path, "linked", pair()).agreement
    assert agreement.linkage == 0.85
    assert [each.kind for each in agreement.strategy.agreed] == [
        "number of rows in common",
        "correlations across owners",
    ]


def test_questions_exported_for_names_are_none_for_owners_that_have_ids():
    told = owners(people(60))
    with pytest.raises(RuleError, match="nobody wrote these down") as caught:
        _check_same_columns(federation(told).schema)
    assert "Export with a federation" in caught.value.do
    _check_same_columns(fl.Federation(fl.split_rows(fl.data.breast_cancer(), owners=2)).schema)


@with_flower
class TestTheWholeWay:
    """Project, sites with settings and rows, log, and who watches it; all but Flower."""

    @pytest.fixture
    def net(self, monkeypatch):
        made = Net(federation(owners(people(200))), ASKED.few, monkeypatch, None, task=FILE)
        yield made
        for party in made.parties.values():
            if party._site is not None:
                party._site.close()
        made.close()

    def log(self, net):
        told = server.told(net.agreement, net.grid, 1.0, 3.0, net.app)
        return [line for n, said in enumerate(told, 1) for line in news.lines(n, said, net.agreement.allowed)]

    def test_a_notebook_that_watches_has_the_answers_of_one_that_asks(self, net):
        watched = run(net.rehearsal.project, Runs(self.log(net)))
        assert isinstance(watched, WatchedSurvey)
        found, (here, expected, _) = watched.wait(), notebook(owners(people(200)), "few")
        assert [*found] == [*expected]
        assert all(same(found[key], expected[key]) for key in expected)
        assert [m.kind for m in watched.federation.ledger.messages if m.sender == "shop"] == [
            m.kind for m in here.ledger.messages if m.sender == "shop"
        ]
        assert "VerticalFrame" in repr(fl.PrivateFrame(watched.federation))
        for name in here.names:
            left = sum(watched.federation.account(name).counts.values())
            assert left > 2
            assert f"no guarantee: {left} releases without noise" in watched._repr_html_()

    def test_a_notebook_that_watches_is_told_which_questions_were_never_asked(self, net, monkeypatch):
        def shorter(frame):
            yield next(ASKED.few(frame))

        monkeypatch.setattr(Questions, "function", lambda *_: shorter)
        watched = run(net.rehearsal.project, Runs(self.log(net)))
        assert [*watched.wait()] == ["together"]
        assert (watched.state, watched.unasked) == ("finished", tuple(texts(net.agreement.strategy.agreed[1:])))
        assert watched.warning.startswith("2 questions agreed on had no answer")
        assert all(text in watched.warning for text in watched.unasked)
        assert repr(watched) == (
            "WatchedSurvey(few: finished, 1 answer: together; 2 questions never asked; see .warning)"
        )
        page = watched._repr_html_()
        assert "Agreed on, and never asked" in page
        assert "cross table across owners" in page

    def test_a_party_that_is_lost_ends_it_with_its_name_and_keeps_what_was_answered(self, net):
        asked = []

        def away(data, ask):
            asked.append(data)
            return [ask(data)] if len(asked) < 11 else []

        net.grid.ways = {2: away}
        watched = run(net.rehearsal.project, Runs(self.log(net)))
        with pytest.raises(RoundError) as caught:
            watched.wait()
        assert caught.value.party == "shop"
        assert "together" in watched.answers
        assert "cross" not in watched.answers
