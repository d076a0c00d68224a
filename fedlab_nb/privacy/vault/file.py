"""One SQLite file (or a database in memory): what goes wrong with it becomes an error that says what to do."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fedlab_nb.errors import FedLabError, SettingError, VaultError

# Long enough for another kernel's debit, which takes milliseconds; short enough for someone who waits.
PATIENCE_SECONDS = 5.0
LOOK_MILLISECONDS = 10
# "fedV": marks the file as a vault, so that another program's database is never written to.
APPLICATION = 0x66656456

_TABLES = """
CREATE TABLE key (value BLOB NOT NULL);
CREATE TABLE journal (
    number INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL, digest BLOB NOT NULL);
CREATE TABLE answers (
    number INTEGER PRIMARY KEY REFERENCES journal, question TEXT NOT NULL UNIQUE, form TEXT NOT NULL,
    data BLOB NOT NULL);
"""
# Against slips of hand, not against whoever owns the file: the chain of digests tells of that.
_GUARDS = "".join(
    f"CREATE TRIGGER {table}_{verb.lower()} BEFORE {verb} ON {table} "
    "BEGIN SELECT RAISE(ABORT, 'a vault only grows'); END;\n"
    for table in ("key", "journal", "answers")
    for verb in ("UPDATE", "DELETE")
)


class File:
    """A database with the three tables of a vault; one writer at a time, whichever thread, kernel or program."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._process = os.getpid()
        # The whole path, so that the file is found again from another working directory; SQLite too follows links.
        self._whole = path and path.resolve()
        with self.explained("opened"):
            self._database = sqlite3.connect(
                str(self._whole) if path else ":memory:",
                timeout=PATIENCE_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
            weakref.finalize(self, self._database.close)
            self._prepare()
        self.places = self._found()

    def _prepare(self) -> None:
        run = self._database.execute
        # In this order: another kernel that makes the vault just now writes both at once.
        tables = run("SELECT count(*) FROM sqlite_master").fetchone()[0]
        mark = run("PRAGMA application_id").fetchone()[0]
        if tables and mark != APPLICATION:
            raise VaultError(
                f"{self.name} is a database of another program.",
                "Writing a vault into it could damage what it holds.",
                "Choose another file name: fl.Vault('budgets.vault').",
            )
        if self.path is not None:
            self._patiently("PRAGMA journal_mode = WAL")
            # What is written goes on to the main file at once: somebody may copy that one alone.
            run("PRAGMA wal_autocheckpoint = 1")
        # A debit must have reached the disk before anything leaves.
        run("PRAGMA synchronous = FULL")
        if not tables:
            self._create()

    def _create(self) -> None:
        """The tables, and the key under which data is known in this vault; two kernels may try at once."""
        with self.writing() as database:
            if database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                return
            database.execute(f"PRAGMA application_id = {APPLICATION}")
            for statement in (*_TABLES.split(";\n"), *_GUARDS.splitlines()):
                database.execute(statement)
            database.execute("INSERT INTO key VALUES (randomblob(32))")

    @property
    def name(self) -> str:
        """What errors call it: the file's name, without its folder."""
        return f"The vault {self.path.name!r}" if self.path else "The vault in memory"

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that no other writer can come between; all of it is written, durably, or none."""
        with self._lock, self.explained("written"):
            self._check_process()
            begin = self._patiently if self.path is not None else self._database.execute
            begin("BEGIN IMMEDIATE")
            try:
                self._check_place()
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def _patiently(self, statement: str) -> None:
        """Run a statement that no other writer may come between, with many short looks whether it is our turn.

        SQLite by itself looks ten times a second at most, which beside a kernel that writes all the time would be to
        wait for ever; and when two kernels make a vault at once, not a second time.
        """
        run, until = self._database.execute, time.monotonic() + PATIENCE_SECONDS
        run(f"PRAGMA busy_timeout = {LOOK_MILLISECONDS}")
        try:
            while True:
                try:
                    run(statement)
                except sqlite3.OperationalError as error:
                    if "locked" not in str(error) or time.monotonic() > until:
                        raise
                    time.sleep(1e-3)
                else:
                    return
        finally:
            run(f"PRAGMA busy_timeout = {round(1000 * PATIENCE_SECONDS)}")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The database as one moment has it."""
        with self._lock, self.explained("read"):
            self._check_process()
            yield self._database

    def _found(self) -> tuple[tuple[int, int] | None, ...]:
        """Which files (device, number) the vault's names stand for now: the file, its log, its index; () in memory."""
        if self._whole is None:
            return ()

        def found(ending: str) -> tuple[int, int] | None:
            try:
                status = Path(f"{self._whole}{ending}").stat()
            except OSError:
                return None
            emptied = not ending and status.st_size == 0
            return None if emptied else (status.st_dev, status.st_ino)

        return tuple(found(ending) for ending in ("", "-wal", "-shm"))

    def _check_place(self) -> None:
        """A file that was deleted or emptied can be written to as long as it is open; afterwards all of it is gone."""
        if hasattr(self, "places") and self._found() != self.places:
            raise VaultError(
                f"{self.name} was deleted, emptied, moved or replaced while it was open.",
                "What is written to it now would be lost, so nothing is released.",
                "Put the file back from a copy whose head the owners know, and restart the kernel.",
            )

    def _check_process(self) -> None:
        if self.path is not None and os.getpid() != self._process:
            raise VaultError(
                f"{self.name} was opened in another process, of which this one is a copy (a fork).",
                "Two processes that share one open database damage it.",
                "Open the vault anew in this process: fl.Vault(path).",
            )

    @contextmanager
    def explained(self, done: str) -> Iterator[None]:
        """Turn SQLite's errors into a VaultError; any other error passes."""
        try:
            yield
        except FedLabError:
            raise
        except sqlite3.Error as error:
            failure = self._failure(done, error)
        else:
            return
        raise failure

    def _failure(self, done: str, error: sqlite3.Error) -> VaultError:
        words = str(error)
        advice = next((advice for sign, advice in _ADVICE.items() if sign in words), _OTHER)
        return VaultError(
            f"{self.name} could not be {done}: {words}.",
            "What cannot be written down as spent must not be released, so nothing was.",
            advice,
        )


def checked_path(path: object) -> Path | None:
    """The path of a vault; None for memory.

    Raises:
        SettingError: if it cannot be one.
    """
    if path is None:
        return None
    if isinstance(path, str | Path) and str(path).strip() and "\0" not in str(path) and not Path(path).is_dir():
        return Path(path)
    raise SettingError(
        f"The vault's path is {path!r}.",
        "Budgets are kept in one file, which the owners can copy and check.",
        "Name a file, such as fl.Vault('budgets.vault'); it is made if it does not exist.",
    )


_ADVICE = {
    "locked": "Another kernel or program holds it: end what it does there, or shut that kernel down, and try again.",
    "readonly": "Make the file and its folder writable, or choose another place for the vault.",
    "full": "Free some disk space, then try again: what was spent before is still there.",
    "unable to open": "Check the folder: it must exist and be writable.",
    "not a database": "It is no vault or is damaged: restore it from a copy, or choose another file name.",
    "malformed": "It is damaged: restore it from a copy, and ask the owners before any new budget is opened.",
    "only grows": "Use the vault's own methods: entries are never changed or removed.",
}
_OTHER = "Check the disk and the file, then try again."
