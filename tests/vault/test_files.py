"""A file that is no vault, is gone, cannot be written to, or is full: a clear error, nothing released or forgotten."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from fedlab_nb.errors import SettingError
from fedlab_nb.privacy import Vault
from tests.vault.common import assert_unchanged, debit, facts_of, filled, forget_unused, refused, release

POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows keeps an open file from being deleted or copied over")


def other_database(path):
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE mine (value)")


NO_VAULTS = {
    "text": (lambda path: path.write_text("epsilon,delta\n" * 100), "not a database"),
    "zeros": (lambda path: path.write_bytes(bytes(8192)), "not a database"),
    "another program's database": (other_database, "another program"),
}


@pytest.mark.parametrize("kind", NO_VAULTS)
def test_a_file_of_something_else_is_refused_and_left_as_it_is(tmp_path, kind):
    make, words = NO_VAULTS[kind]
    make(tmp_path / "v")
    before = (tmp_path / "v").read_bytes()
    refused(lambda: Vault(tmp_path / "v"), words)
    assert (tmp_path / "v").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["v"]


def test_a_folder_a_path_without_its_folder_and_what_is_no_path_are_refused(tmp_path):
    for path in (tmp_path, "", "  ", 7, b"v", "a\0b"):
        refused(lambda path=path: Vault(path), "path", error=SettingError)
    refused(lambda: Vault(tmp_path / "no folder" / "v"), "folder")


def test_an_empty_file_becomes_a_vault_of_its_own(tmp_path):
    filled(tmp_path / "old")
    (tmp_path / "v").touch()
    vault = Vault(tmp_path / "v")
    assert (len(vault), vault.verify()) == (0, True)
    assert not vault.same(Vault(tmp_path / "old"))
    assert vault.mark != Vault(tmp_path / "old").mark


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9, 0.9999])
def test_a_file_that_was_cut_off_is_refused(tmp_path, share):
    filled(tmp_path / "v", 40)
    forget_unused()
    os.truncate(tmp_path / "v", int(share * (tmp_path / "v").stat().st_size))
    refused(lambda: Vault(tmp_path / "v"))


LOSSES = {
    "deleted": lambda path: path.unlink(),
    "moved": lambda path: path.rename(path.with_name("moved")),
    "emptied": lambda path: os.truncate(path, 0),
    "replaced by a copy": lambda path: (shutil.copy(path, path.with_name("c")), path.with_name("c").replace(path)),
    "without its log": lambda path: path.with_name("v-wal").unlink(),
    "without its index": lambda path: path.with_name("v-shm").unlink(),
}


@POSIX
@pytest.mark.parametrize("loss", LOSSES)
def test_nothing_is_spent_in_a_file_that_is_gone(tmp_path, loss):
    vault = filled(tmp_path / "v")
    before = facts_of(vault)
    LOSSES[loss](tmp_path / "v")
    refused(lambda: vault.charge([debit()]), "while it was open")
    refused(lambda: vault.keep("another", 2, "an answer"), "while it was open")
    assert facts_of(vault) == before


def test_a_vault_is_found_again_from_another_working_directory(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    vault = filled("v")
    monkeypatch.chdir(tmp_path / "elsewhere")
    vault.charge([debit()])
    assert vault.same(Vault("../v"))
    assert len(Vault("../v")) == 10
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_path_that_means_memory_to_sqlite_is_a_file_like_any_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    filled(":memory:" if os.name != "nt" else "memory")
    assert len(Vault(":memory:" if os.name != "nt" else "memory")) == 9


@pytest.mark.parametrize("what", ["charge", "keep", "open"])
def test_a_full_disk_is_told_and_nothing_is_counted(tmp_path, what):
    vault = filled(tmp_path / "v")
    before = facts_of(vault)
    pages = vault._file._database.execute("PRAGMA page_count").fetchone()[0]
    vault._file._database.execute(f"PRAGMA max_page_count = {pages}")
    many = [debit("rows of A", *[release(200.0 + n) for n in range(400)])]
    act = {
        "charge": lambda: vault.charge(many),
        "keep": lambda: vault.keep("large", 2, "x" * 200_000),
        "open": lambda: vault.open("x" * 200_000, "Clinic B", None, "row", vault.account("rows of A").meter),
    }
    refused(act[what], "full", "Free some disk space")
    assert_unchanged(vault, before)
    vault._file._database.execute("PRAGMA max_page_count = 100000")
    act[what]()
    assert facts_of(Vault(tmp_path / "v")) == facts_of(vault)
    assert len(vault) > 9


LIMITED = """
import resource, sys
from fedlab_nb.errors import VaultError
from fedlab_nb.privacy import Vault
from tests.vault.common import debit, facts_of, filled
vault = filled(sys.argv[1])
before, done = facts_of(vault), 0
resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
try:
    for number in range(1000):
        vault.charge([debit(budget=None)])
        done += 1
except VaultError as error:
    assert vault.account("rows of A").releases == 4 + done and 0 < done < 1000, done
    print(done, error.what)
"""


@pytest.mark.skipif(os.name == "nt", reason="no such limits on Windows")
def test_a_file_that_may_not_grow_is_told_and_keeps_what_it_had(tmp_path, root):
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "v")]
    told = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert "could not be written" in told.stdout
    reopened = Vault(tmp_path / "v")
    assert reopened.account("rows of A").releases == 4 + int(told.stdout.split()[0])
    assert reopened.verify()
    reopened.charge([debit(budget=None)])


@contextmanager
def nobody():
    """As a user who does not own the file, where the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(os.name == "nt", reason="permissions are another thing on Windows")
@pytest.mark.parametrize("is_folder", [True, False], ids=["folder", "file"])
def test_a_place_that_cannot_be_written_to_is_told(is_folder):
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        folder, path = Path(place), Path(place) / "v"
        filled(path)
        forget_unused()
        path.chmod(0o444)
        folder.chmod(0o555 if is_folder else 0o777)
        before = path.read_bytes()
        with nobody():
            refused(lambda: Vault(path).charge([debit()]), "The vault 'v' could not be")
        if is_folder:
            with nobody():
                refused(lambda: Vault(folder / "new"), "folder")
        folder.chmod(0o755)
        path.chmod(0o644)
        forget_unused()
        assert path.read_bytes() == before
        assert len(Vault(path)) == 9


def test_a_database_that_may_only_be_read_releases_nothing(tmp_path):
    vault = filled(tmp_path / "v")
    before = facts_of(vault)
    vault._file._database.execute("PRAGMA query_only = ON")
    refused(lambda: vault.charge([debit()]), "readonly", "writable")
    assert_unchanged(vault, before)


@pytest.mark.parametrize("moment", ["COMMIT", "INSERT INTO journal"])
def test_an_error_in_the_middle_of_writing_leaves_nothing_behind(tmp_path, monkeypatch, moment):
    vault = filled(tmp_path / "v")
    before, real = facts_of(vault), vault._file._database

    class Failing:
        def __getattr__(self, name):
            def run(statement, *more):
                if isinstance(statement, str) and statement.startswith(moment):
                    raise sqlite3.OperationalError("disk I/O error")
                return getattr(real, name)(statement, *more)

            return run if name in ("execute", "executemany") else getattr(real, name)

    monkeypatch.setattr(vault._file, "_database", Failing())
    refused(lambda: vault.charge([debit()]), "disk I/O error", "Check the disk")
    monkeypatch.setattr(vault._file, "_database", real)
    assert_unchanged(vault, before)
    assert len(Vault(tmp_path / "v")) == 9


def test_closing_needs_no_care(tmp_path):
    vault = filled(tmp_path / "v")
    del vault
    forget_unused()
    assert [p.name for p in tmp_path.iterdir()] == ["v"], "all is in one file once nobody holds it"
