"""Settings of a site that do not fit each other, or what owners of different columns agreed on."""

from __future__ import annotations

from pathlib import Path

import pytest

import fedlab_nb as fl
from fedlab_nb.errors import SettingError
from fedlab_nb.flower import export
from fedlab_nb.flower.party.settings import SiteSettings
from fedlab_nb.flower.project.__main__ import main

DEEP = fl.CKKS("deep")
NAMES = ["bank", "shop"]
LABELS, OTHER = 'id = "customer"\ntarget = "default"\npart = "p"\n', 'id = "customer"\npart = "p"\n'
LINKED = LABELS.replace('"customer"', '["name", "born"]')


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / "site.toml"
    path.write_text(f'name = "{name}"\ndata = "rows.csv"\n{text}', encoding="utf-8")
    return path


def refused(folder: Path, name: str, text: str, agreement) -> SettingError:
    settings = SiteSettings.read(written(folder, name, text))
    with pytest.raises(SettingError) as caught:
        settings.check_agreement(agreement)
    return caught.value


@pytest.fixture
def agreed(tmp_path: Path):
    """Makes the agreement of a project."""

    def make(what, **more):
        return export(NAMES, what, tmp_path / "loans", encrypt=DEEP, **more).agreement

    return make


@pytest.mark.parametrize(
    ("text", "both"),
    [
        ('part = "rows.csv"', "data and part"),
        ('predictions = "./rows.csv"', "data and predictions"),
        ('vault = "rows.csv"', "data and vault"),
        ('identity = "a.key"\npart = "a.key"', "identity and part"),
        ('vault = "a"\npart = "a"', "vault and part"),
        ('part = "site.toml"', "part and site.toml"),
        ('part = "other.csv"', "data and part"),
    ],
)
def test_no_file_is_written_over_another(tmp_path: Path, text: str, both: str) -> None:
    (tmp_path / "rows.csv").write_text("income\n1\n")
    (tmp_path / "other.csv").symlink_to(tmp_path / "rows.csv")
    path = written(tmp_path, "bank", text)
    with pytest.raises(SettingError, match=f"{both} are the same file") as caught:
        SiteSettings.read(path)
    assert "written over" in caught.value.why


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("bank", LABELS.replace('id = "customer"\n', ""), ["'bank' names no id", 'id = "customer"']),
        ("shop", OTHER.replace('id = "customer"\n', ""), ["'shop' names no id"]),
        ("bank", LINKED, ["id = ['name', 'born']", "no two of them share"]),
        ("bank", OTHER, ["'bank' names no target", 'target = "default"']),
        ("shop", LABELS, ["the target 'default'", "labels of 'bank'", "Remove the line"]),
        ("bank", LABELS.replace('part = "p"\n', ""), ["no file for its part", 'part = "part.safetensors"']),
        ("shop", OTHER.replace('part = "p"\n', ""), ["no file for its part"]),
    ],
)
def test_what_a_training_of_columns_needs_is_asked_for(tmp_path: Path, agreed, name, text, words) -> None:
    agreement = agreed(fl.vertical.LogisticRegression("bank"), num_rounds=1)
    for owner, right in {"bank": LABELS, "shop": OTHER}.items():
        SiteSettings.read(written(tmp_path, owner, right)).check_agreement(agreement)
    error = refused(tmp_path, name, text, agreement)
    assert all((error.what, error.why, error.do))
    assert all(word in str(error) for word in words), error


def test_owners_who_link_rows_name_columns_for_it(tmp_path: Path, agreed) -> None:
    agreement = agreed(fl.vertical.LogisticRegression("bank"), num_rounds=1, linkage=0.9)
    SiteSettings.read(written(tmp_path, "bank", LINKED)).check_agreement(agreement)
    for text in (LABELS, LABELS.replace('id = "customer"\n', "")):
        error = refused(tmp_path, "bank", text, agreement)
        assert "agreed to link rows" in error.what
        assert 'id = ["name", "born"]' in error.do


def test_owners_of_the_same_columns_need_neither_id_nor_part(tmp_path: Path, agreed) -> None:
    agreement = export(NAMES, fl.FedAvg(fl.models.logistic()), tmp_path / "same", target="ill").agreement
    SiteSettings.read(written(tmp_path, "bank", 'target = "ill"')).check_agreement(agreement)


def test_a_folder_that_is_no_project_is_named(tmp_path: Path, agreed, capsys: pytest.CaptureFixture) -> None:
    agreed(fl.vertical.LogisticRegression("bank"), num_rounds=1)
    site = written(tmp_path, "bank", LABELS)
    for command in (["check", str(site), "--app"], ["show"]):
        assert main([*command, str(tmp_path / "loans/fedlab_app")]) == 1
        said = capsys.readouterr().err
        assert "The folder 'fedlab_app' has no fedlab_app/agreement.json" in said
        assert "README.md" in said
