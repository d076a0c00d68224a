"""Owners without a common id in an exported project: the threshold that is agreed on, what sites and the guide say."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

import fedlab_nb as fl
from fedlab_nb.errors import RuleError, SettingError
from fedlab_nb.flower.agreement import FILE, Agreement
from fedlab_nb.flower.party.settings import SiteSettings
from fedlab_nb.flower.project import export
from fedlab_nb.flower.project.folder import APP
from fedlab_nb.flower.rehearsal import _write
from fedlab_nb.parties.shown.threats import threats
from tests.flower.columns.apart import DEEP
from tests.flower.columns.linked import BANK, SHOP, STRATEGY, parts
from tests.flower.columns.test_linear import owners as with_ids
from tests.flower.project.test_other_work import row

NAMES = [BANK, SHOP]
THRESHOLDS = {"lab": 0.85, "higher": 0.8500001}
PAIR = {"target": "ill", "encrypt": DEEP}


def linked(threshold: float | None = None):
    made = fl.Federation(parts(80, 50), encrypt=DEEP)
    if threshold is not None:
        fl.vertical.link(made, threshold=threshold)
    return made


@pytest.mark.parametrize(("threshold", "agreed"), [(None, 0.85), (0.9, 0.9)])
def test_a_federation_brings_the_threshold_by_which_it_was_linked(tmp_path: Path, threshold, agreed) -> None:
    project = export(linked(threshold), STRATEGY, tmp_path / "lab")
    assert project.agreement.linkage == agreed
    said = json.loads((project.folder / APP / FILE).read_text())["linkage"]
    assert f"alike by {agreed} or more" in said
    assert "the server gets a pseudonym of each row" in said


def test_names_are_enough(tmp_path: Path) -> None:
    project = export(NAMES, STRATEGY, tmp_path / "lab", linkage=0.9, **PAIR)
    assert project.agreement.linkage == 0.9
    site = tomllib.loads((project.folder / "sites" / "shop.toml").read_text())
    assert site["id"] == ["NAME", "BORN"]
    plain = export(NAMES, STRATEGY, tmp_path / "plain", **PAIR)
    assert plain.agreement.linkage is None
    assert "linkage" not in json.loads((plain.folder / APP / FILE).read_text())


def test_the_threshold_is_part_of_what_is_agreed_on(tmp_path: Path) -> None:
    one, other = (export(NAMES, STRATEGY, tmp_path / name, linkage=t, **PAIR) for name, t in THRESHOLDS.items())
    assert one.digest != other.digest
    assert one.agreement == Agreement((BANK, SHOP), one.agreement.house, STRATEGY, 10, linkage=0.85)
    assert one.agreement.digest == one.digest
    path = one.folder / APP / FILE
    path.write_text(path.read_text().replace("alike by 0.85 ", "alike by 0.95 "))
    with pytest.raises(SettingError, match="one thing to people and another to programs"):
        Agreement.read(path.parent)


REFUSED = {
    "three owners": (["A", "B", BANK], STRATEGY, {"linkage": 0.85, **PAIR}, "Link two owners"),
    "the same columns": (NAMES, fl.FedAvg(fl.models.logistic()), {"linkage": 0.85, "target": "ill"}, "for a FedAvg"),
    "too low": (NAMES, STRATEGY, {"linkage": 0.5, **PAIR}, "linkage=0.5 was asked for"),
    "no number": (NAMES, STRATEGY, {"linkage": "high", **PAIR}, "linkage='high' was asked for"),
    "twice": (None, STRATEGY, {"linkage": 0.9}, "a federation and linkage=0.9 besides"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_linked_is_refused_and_nothing_is_written(tmp_path: Path, what: str) -> None:
    names, strategy, settings, words = REFUSED[what]
    with pytest.raises((SettingError, RuleError), match=words):
        export(names or linked(), strategy, tmp_path / "lab", **settings)
    assert not (tmp_path / "lab").exists()


def site_of(project, folder: Path, name: str) -> Path:
    folder.mkdir()
    path = folder / "site.toml"
    path.write_text((project.folder / "sites" / f"{name}.toml").read_text())
    return path


def test_each_site_gets_the_columns_that_its_owner_links_by(tmp_path: Path) -> None:
    project = export(linked(), STRATEGY, tmp_path / "lab")
    for number, owner in enumerate(parts(80, 50)):
        path = site_of(project, tmp_path / f"site {number}", owner.name)
        owner._inside(lambda rows, o=owner, to=path: _write(rows, o.schema, to.parent / "rows.csv"), stage="test")
        (path.parent / "rows.csv").rename(path.parent / "rows.parquet")
        path.write_text(path.read_text().replace("rows.csv", "rows.parquet"))
        settings = SiteSettings.read(path)
        settings.check_agreement(project.agreement)
        assert settings.id == list(owner.id)
        there = settings.owner()
        ids = [each._inside(lambda rows: rows.ids, stage="test") for each in (owner, there)]
        assert ids[0] == ids[1]
        assert len(ids[0][0]) == 80
        assert there.schema.linked_by == tuple(c for c in owner.schema.linked_by)
        assert "no name, but by what is frequent some can be guessed" in path.read_text()


@pytest.mark.parametrize(
    ("linkage", "given", "words"),
    [
        (0.85, 'id = "customer"', "agreed to link rows that are alike"),
        (None, 'id = ["customer", "birthday"]', "agreed to find rows by an id that no two of them share"),
    ],
)
def test_a_site_whose_id_does_not_fit_refuses_at_once(tmp_path: Path, linkage, given, words) -> None:
    project = export(NAMES, STRATEGY, tmp_path / "lab", linkage=linkage, **PAIR)
    path = site_of(project, tmp_path / "site", "shop")
    lines = [given if line.startswith("id = ") else line for line in path.read_text().splitlines()]
    path.write_text("\n".join(lines))
    with pytest.raises(SettingError, match=words):
        SiteSettings.read(path).check_agreement(project.agreement)


def test_the_guide_says_what_linkage_shows_the_server_and_how_many_trips_it_takes(tmp_path: Path) -> None:
    text = (export(linked(0.9), STRATEGY, tmp_path / "lab").folder / "README.md").read_text()
    said = " ".join(text.split())
    assert "are alike by 0.9 or more (Dice)" in said
    assert (
        "the server gets a pseudonym of each row of both: 1,024 bits, which hold no name and are no encryption" in said
    )
    assert "It takes 2 trips more than an id would." in said
    assert row(text, "the server, of linked rows")[-1] == "**exposed**"
    assert row(text, "the server with an owner")[-1] == "**exposed**"
    assert "pseudonyms of rows" in row(text, "the server alone")[0]
    assert "has one that is alike" in row(text, "another owner")[0]
    assert "ids" not in row(text, "an owner that invents rows")[0]
    plain = (export(NAMES, STRATEGY, tmp_path / "plain", **PAIR).folder / "README.md").read_text()
    assert "pseudonym" not in plain
    assert "which of its own rows all owners have" in plain


def test_what_pseudonyms_show_is_said_before_any_crosses() -> None:
    before = {threat.who: threat for threat in threats(linked())}
    after = {threat.who: threat for threat in threats(linked(0.85))}
    assert before["the server, of linked rows"] == after["the server, of linked rows"]
    assert "the server, of linked rows" not in {t.who for t in threats(fl.Federation(with_ids(), encrypt=DEEP))}
