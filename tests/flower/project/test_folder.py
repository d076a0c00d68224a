"""Where a project may be written, and what keeps it from being written."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import fedlab_nb as fl
from fedlab_nb.errors import SettingError
from fedlab_nb.flower.deploy.certificates import make_node_key
from fedlab_nb.flower.project import export
from fedlab_nb.flower.project.folder import check_no_secrets
from tests.flower.project.common import NAMES, files, frame

AVERAGE = fl.FedAvg(fl.models.logistic())


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("my_lab", "'my-lab'"),
        ("2nd lab", "'nd-lab'"),
        ("müll", "'m-ll'"),
        ("a" * 33, f"'{'a' * 32}'"),
        ("___", "'federation'"),
    ],
)
def test_a_name_that_flower_refuses_is_refused_with_a_better_one(tmp_path: Path, name: str, better: str) -> None:
    with pytest.raises(SettingError, match=better):
        export(NAMES, AVERAGE, tmp_path / name)
    assert not (tmp_path / name).exists()


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "lab").write_text("")
    with pytest.raises(SettingError, match="There is a file"):
        export(NAMES, AVERAGE, tmp_path / "lab")


@pytest.mark.parametrize("inside", ["prj", "deeper/prj"])
def test_a_folder_cannot_lie_in_a_file(tmp_path: Path, inside: str) -> None:
    (tmp_path / "afile").write_text("mine")
    with pytest.raises(SettingError, match=r"The folder 'prj' cannot be made where it is to be \(Not a directory\)"):
        export(NAMES, AVERAGE, tmp_path / "afile" / inside)
    assert files(tmp_path) == {"afile"}


def make_key(folder: Path) -> None:
    make_node_key(folder)


def make_hidden_key(folder: Path) -> None:
    make_node_key(folder)
    (folder / "supernode.key").rename(folder / "notes.txt")
    (folder / "supernode.pub").unlink()


def make_database(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "numbers")) as connection:
        connection.execute("CREATE TABLE a (b)")


def make_table(folder: Path) -> None:
    frame(5).to_parquet(folder / "figures.txt")


@pytest.mark.parametrize(
    "make",
    [
        make_key,
        make_hidden_key,
        make_database,
        make_table,
        lambda folder: (folder / "rows.CSV").write_text("a\n1\n"),
        lambda folder: (folder / "site.toml").write_text('name = "A"\n'),
        lambda folder: (folder / "ca.pem").write_text("anything"),
        lambda folder: (folder / ".env").write_text("PASSWORD=x"),
    ],
    ids=["key", "renamed key", "sqlite", "parquet", "csv", "site.toml", "certificate", "env"],
)
@pytest.mark.parametrize("inside", ["lab", "lab/sites/deeper", "lab/fedlab_app"])
def test_keys_and_data_in_the_folder_stop_an_export(tmp_path: Path, inside: str, make) -> None:
    place = tmp_path / inside
    place.mkdir(parents=True)
    make(place)
    before = files(tmp_path)
    with pytest.raises(SettingError, match="looks like a key, data"):
        export(NAMES, AVERAGE, tmp_path / "lab", overwrite=True)
    assert files(tmp_path) == before


def test_what_is_exported_passes_the_check_itself(tmp_path: Path) -> None:
    project = export(NAMES, AVERAGE, tmp_path / "lab", encrypt=fl.CKKS())
    check_no_secrets(project.folder)


def test_other_files_stay_and_nothing_joins_the_app(tmp_path: Path) -> None:
    project = export(NAMES, AVERAGE, tmp_path / "lab")
    (project.folder / "NOTES.md").write_text("ours")
    (project.folder / ".git").mkdir()
    (project.folder / ".git" / "a.key").write_text("git's own")
    export(NAMES, AVERAGE, project.folder, overwrite=True)
    assert (project.folder / "NOTES.md").read_text() == "ours"
    (project.folder / "fedlab_app" / "more.py").write_text("")
    with pytest.raises(SettingError, match=r"'more.py', which no export wrote"):
        export(NAMES, AVERAGE, project.folder, overwrite=True)


def test_sites_of_an_earlier_export_do_not_stay(tmp_path: Path) -> None:
    many = export(["A", "B", "C", "D"], AVERAGE, tmp_path / "lab", driven=True, encrypt=fl.CKKS())
    assert {"sites/d.toml", "sites/notebook.toml", "sites/key_holder.toml"} <= {*many.files}
    few = export(["A", "B"], AVERAGE, tmp_path / "lab", overwrite=True)
    assert files(few.folder) == {*few.files}


def test_a_folder_that_no_export_wrote_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "README.md").write_text("mine")
    with pytest.raises(SettingError, match=r"holds 'README.md', and no export"):
        export(NAMES, AVERAGE, tmp_path / "lab", overwrite=True)
    assert files(tmp_path / "lab") == {"README.md"}
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    assert export(NAMES, AVERAGE, tmp_path / "repository").digest


def test_names_that_look_alike_get_files_of_their_own(tmp_path: Path) -> None:
    project = export(["Clinic A", "clinic-a", "Key Holder 1", "北"], AVERAGE, tmp_path / "lab", encrypt=fl.CKKS())
    sites = {name for name in project.files if name.startswith("sites/")}
    named = ("clinic-a", "clinic-a-2", "key-holder-1", "owner-4", "key_holder")
    assert sites == {f"sites/{name}.toml" for name in named}
