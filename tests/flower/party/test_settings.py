"""A site's own settings: what they say is what is loaded, and what is wrong is told without rows and passwords."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import fedlab_nb as fl
from fedlab_nb.errors import FedLabError, SettingError
from fedlab_nb.flower.agreement import Agreement
from fedlab_nb.flower.party.settings import SiteSettings
from fedlab_nb.parties.house import House

SECRET = "hunter2"
TOP = 'name = "Clinic A"\n'


@pytest.fixture
def rows():
    return fl.data.breast_cancer().head(60)[["mean_radius", "mean_texture", "diagnosis"]]


def written(folder: Path, text: str) -> Path:
    path = folder / "site.toml"
    path.write_text(TOP + text, encoding="utf-8")
    return path


def refused(folder: Path, text: str) -> str:
    with pytest.raises(SettingError) as caught:
        SiteSettings.read(written(folder, text))
    assert caught.value.__cause__ is None
    return str(caught.value)


def content(owner) -> bytes:
    return owner._inside(lambda found: found.content, stage="test")


def database(folder: Path, rows) -> None:
    with closing(sqlite3.connect(folder / "rows.db")) as connection:
        rows.to_sql("visits", connection, index=False)


SQL = '[sql]\nurl = "sqlite:///rows.db"\nquery = "SELECT * FROM visits"\n'


@pytest.mark.parametrize("kind", ["csv", "parquet", "sql"])
def test_rows_come_from_a_file_or_a_database_beside_the_settings(
    tmp_path: Path, rows, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site").mkdir()
    place, text = tmp_path / "site", 'target = "diagnosis"\n'
    if kind == "csv":
        rows.to_csv(place / "rows.csv", index=False)
    elif kind == "parquet":
        rows.to_parquet(place / "rows.parquet")
    else:
        pytest.importorskip("sqlalchemy")
        database(place, rows)
    text += SQL if kind == "sql" else f'data = "rows.{kind}"\n'
    written(place, text)
    monkeypatch.chdir(tmp_path)
    owner = SiteSettings.read("site/site.toml").owner()
    assert content(owner) == content(fl.DataOwner("Clinic A", rows, target="diagnosis"))


def test_declarations_reach_the_owner(tmp_path: Path, rows) -> None:
    rows.to_csv(tmp_path / "rows.csv", index=False)
    text = (
        'data = "rows.csv"\ntarget = "diagnosis"\nheld_out = 0.3\nvault = "budget.vault"\n[bounds]\n'
        'mean_radius = [0, 40.5]\n[categories]\ndiagnosis = ["benign", "malignant"]\n[budget]\nepsilon = 2\n'
    )
    settings = SiteSettings.read(written(tmp_path, text))
    owner = settings.owner()
    assert (owner.held_out, owner.budget) == (0.3, fl.Budget(2.0))
    assert owner.schema.features[0].bounds == (0.0, 40.5)
    assert owner.schema.target.categories == ("benign", "malignant")
    assert settings.open_vault().path == tmp_path / "budget.vault"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "neither data nor sql"),
        (f'data = "a.csv"\n{SQL}', "both data and sql"),
        ('dta = "a.csv"', "'dta', which there is not"),
        ('folder = "a"', "'folder', which there is not"),
        ('data = "a.csv"\nrole = "boss"', "the role 'boss'"),
        ("data = 3", "data that is not a text"),
        ('data = "a.csv"\nheld_out = "much"', "held_out that is not a number"),
        ('data = "a.csv"\nheld_out = true', "held_out that is not a number"),
        ('data = "a.csv"\n[bounds]\nage = [0]', "bounds that is not a table"),
        ('data = "a.csv"\n[bounds]\nage = ["0", "1"]', "bounds that is not a table"),
        ('data = "a.csv"\nbounds = 3', "bounds that is not a table"),
        ('data = "a.csv"\n[categories]\nward = "A"', "categories that is not a table"),
        ('data = "a.csv"\nid = [1]', "id that is not a text"),
        ('data = "a.csv"\n[budget]\nepsilon = 3.0', "a budget and no vault"),
        ('data = "a.csv"\nvault = "v"\n[budget]\ndelta = 0.1', "budget that is not a table"),
        ('[sql]\nurl = "sqlite:///rows.db"', "sql that is not a table"),
        (f'{SQL}password = "{SECRET}"', "sql that is not a table"),
        ('role = "key holder"\ndata = "a.csv"', "for a key holder, which has no rows"),
        (f'password = {SECRET}"', "is no TOML (at line 2"),
        ('data = "a.csv"\n[known]\n"Clinic B" = "64 hex characters"', "known that is not a table of parties"),
        (f'data = "a.csv"\n[known]\n"Clinic B" = "{64 * "Z"}"', "known that is not a table of parties"),
        (f'data = "a.csv"\n[known]\n"Clinic B" = "{63 * "a"}"', "known that is not a table of parties"),
        ('data = "a.csv"\nidle_minutes = -1', "idle_minutes is -1"),
        ('data = "a.csv"\nidle_minutes = 4.5', "idle_minutes is 4.5"),
        ('data = "a.csv"\nidle_minutes = nan', "idle_minutes is nan"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(tmp_path: Path, text: str, said: str) -> None:
    told = refused(tmp_path, text)
    assert said in told
    assert SECRET not in told


def test_settings_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"'site.toml'.*cannot be read \(FileNotFoundError\)"):
        SiteSettings.read(tmp_path / "site.toml")
    (tmp_path / "nobody.toml").write_text('data = "a.csv"')
    with pytest.raises(SettingError, match="gives no name"):
        SiteSettings.read(tmp_path / "nobody.toml")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('data = "absent.csv"', "SettingError"),
        ('data = "rows.txt"', "SettingError"),
        ('[sql]\nurl = "sqlite:///absent.db"\nquery = "SELECT 1"', "SettingError"),
        ('[sql]\nurl = "sqlite:///rows.db"\nquery = "SELECT secret_column FROM visits"', "SettingError"),
        (f'[sql]\nurl = "nosuch://me:{SECRET}@db/x"\nquery = "SELECT 1"', "SettingError"),
        ('[sql]\nurl = "sqlite:///rows.db"\nquery = "SELECT 1"\npassword_from = "FEDLAB_NOT_SET"', "SettingError"),
    ],
)
def test_rows_that_cannot_be_loaded_are_told_without_quoting(tmp_path: Path, rows, text: str, kind: str) -> None:
    pytest.importorskip("sqlalchemy")
    database(tmp_path, rows)
    settings = SiteSettings.read(written(tmp_path, f'target = "diagnosis"\n{text}\n'))
    with pytest.raises(FedLabError) as caught:
        settings.owner()
    assert type(caught.value).__name__ == kind
    told = [caught.value]
    while (deeper := told[-1].__cause__ or told[-1].__context__) is not None:
        told.append(deeper)
    assert all(hidden not in str(error) for error in told for hidden in (SECRET, "secret_column", str(rows.iat[0, 0])))
    assert not (tmp_path / "absent.db").exists()


def test_a_password_may_come_from_the_environment(tmp_path: Path, rows, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sqlalchemy")
    database(tmp_path, rows)
    monkeypatch.setenv("FEDLAB_TEST_PASSWORD", SECRET)
    text = 'target = "diagnosis"\n' + SQL + 'password_from = "FEDLAB_TEST_PASSWORD"\n'
    with pytest.raises(SettingError) as caught:  # SQLite takes none, and says so: it was handed on
        SiteSettings.read(written(tmp_path, text)).owner()
    assert "ArgumentError" in str(caught.value)
    assert SECRET not in str(caught.value)


def agreed(**settings) -> Agreement:
    return Agreement(("Clinic A", "Clinic B"), House(**settings), fl.FedAvg(fl.models.logistic()), 2)


def test_a_site_takes_part_in_what_it_agreed_to_alone(tmp_path: Path) -> None:
    agreement = agreed()
    SiteSettings.read(written(tmp_path, 'data = "a.csv"')).check_agreement(agreement)
    noted = SiteSettings.read(written(tmp_path, f'data = "a.csv"\nagreement = "{agreement.digest}"'))
    noted.check_agreement(agreement)
    with pytest.raises(SettingError, match="takes part in the agreement"):
        noted.check_agreement(agreed(sample_rate=0.5))
    stranger = SiteSettings(name="Clinic C", data="a.csv")
    with pytest.raises(SettingError, match="not among the owners"):
        stranger.check_agreement(agreement)


def test_a_fingerprint_of_nobody_is_refused_by_whoever_noted_it(tmp_path: Path) -> None:
    mistyped = f'data = "a.csv"\n[known]\n"Clinic Bx" = "{64 * "a"}"'
    with pytest.raises(SettingError, match="a fingerprint of 'Clinic Bx', and the parties"):
        SiteSettings.read(written(tmp_path, mistyped)).check_agreement(agreed())
    known = f'data = "a.csv"\n[known]\n"Clinic B" = "{64 * "a"}"\n"key holder" = "{64 * "b"}"'
    settings = SiteSettings.read(written(tmp_path, known))
    settings.check_agreement(agreed(encrypt=fl.CKKS()))
    with pytest.raises(SettingError, match="a fingerprint of 'key holder'"):
        settings.check_agreement(agreed(encrypt=fl.SecAgg()))


def test_a_held_run_does_not_outlast_the_shortest_wait_of_a_party(tmp_path: Path) -> None:
    from fedlab_nb.flower.driving.asking import GREET

    settings = SiteSettings.read(written(tmp_path, 'data = "a.csv"\nidle_minutes = 5'))
    assert settings.idle_minutes * 60 > GREET


def test_a_budget_that_was_agreed_on_needs_a_vault(tmp_path: Path) -> None:
    agreement = agreed(budget=fl.Budget(3.0), protect=fl.RowLevelDP())
    with pytest.raises(SettingError, match="has no vault"):
        SiteSettings.read(written(tmp_path, 'data = "a.csv"')).check_agreement(agreement)
    SiteSettings.read(written(tmp_path, 'data = "a.csv"\nvault = "v"')).check_agreement(agreement)
    holder = SiteSettings(name="key holder", role="key holder")
    holder.check_agreement(agreement)


def test_a_text_of_toml_and_json_is_the_same(tmp_path: Path) -> None:
    name = 'Klinik "Süd" \\ 1'
    path = tmp_path / "site.toml"
    path.write_text(f'name = {json.dumps(name, ensure_ascii=False)}\ndata = "a.csv"\n', encoding="utf-8")
    assert SiteSettings.read(path).name == name
