"""Checkpoints: a run that is kept in a folder after every round goes on there, also after the process was killed."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import astuple
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fedlab_nb.errors import RuleError, SettingError
from fedlab_nb.parties import Federation
from fedlab_nb.records import Round
from fedlab_nb.records.kept import Folder
from fedlab_nb.rounds import Strategy
from fedlab_nb.units import counted

# Libraries whose other version may change the last bits of a result.
LIBRARIES = ("numpy", "torch")
# Where an object of the user's is, in words about it: in another process it is elsewhere.
_PLACE = re.compile(r" at 0x[0-9a-fA-F]+")
HAIR = 1 - 1e-9


class Checkpoint:
    """The folder that a run is kept in. It belongs to one run: the same call goes on with it, any other is refused.

    It holds what all parties hold between two rounds, also what owners keep for themselves, but no row of anybody.
    ``rounds`` are those that are there already, and ``notes`` say what a reader should know about them; ``left_out``
    says which one is damaged, if any.

    Raises:
        SettingError: if the folder holds another run, or cannot be read.
        RuleError: if the privacy budget would not outlive the process as the folder does.
    """

    def __init__(
        self,
        folder: str | Path,
        federation: Federation,
        strategy: Strategy,
        *,
        num_rounds: int,
        seed: int,
        after: Round | None = None,
    ) -> None:
        _refuse_no_path(folder)
        _refuse_forgetful(federation)
        self.folder = Folder(folder)
        self.rounds: tuple[Round, ...] = ()
        self.notes: list[str] = []
        self.left_out = ""
        self._there = there = self.folder.facts()
        salt = there["salt"] if there else secrets.token_hex(16)
        self._facts = _facts(federation, strategy, num_rounds, seed, after, salt)
        if there is not None:
            self._refuse_another(there)
            self._take_up(there, federation)

    def _refuse_another(self, there: dict[str, Any]) -> None:
        for name, words in _DIFFERENT.items():
            was, now = there[name], self._facts[name]
            if was != now if name != "num_rounds" else was > now:
                raise SettingError(
                    f"The checkpoint folder {str(self.folder.path)!r} holds another run: {words.format(was, now)}.",
                    "To go on in it would mix two runs, so nothing was read or written.",
                    "Name another folder, or make the call as it was. To branch off from a round that is there: "
                    "fl.train(..., after=fl.History.load(folder)[-1]).",
                )

    def _take_up(self, there: dict[str, Any], federation: Federation) -> None:
        found, self.left_out = self.folder.read()
        # A round that failed is tried again, as it is without a checkpoint.
        self.rounds = tuple(record for record in found if record.failed is None)
        last = self.rounds[-1] if self.rounds else None
        _refuse_unpaid(found[-1] if found else None, federation)
        if self.left_out:
            self.notes.append(self.left_out)
        if last is not None:
            kept = counted(len(self.rounds), "round")
            self.notes.append(
                f"{kept} came from {self.folder.path}: the run goes on after round {last.number}. Who saw what is told "
                "of what crosses from now on: messages are not kept."
            )
        for name, was in there["versions"].items():
            if was != self._facts["versions"].get(name):
                now = self._facts["versions"].get(name)
                self.notes.append(f"They were computed with {name} {was}, and this is {now}: last digits may differ.")

    def claim(self) -> None:
        """Write down which run this is, before its first round, or that more rounds are planned by now."""
        if self._there is None:
            self.folder.claim(self._facts)
        elif self._there["num_rounds"] != self._facts["num_rounds"]:
            self.folder.claim({**self._there, "num_rounds": self._facts["num_rounds"]})

    def keep(self, record: Round) -> None:
        """Keep a round: when this returns, it is on the disk."""
        self.folder.keep(record)


# What tells one run from another, and how it is said: {0} is what the folder holds, {1} what was asked for.
_DIFFERENT = {
    "strategy": "its strategy is {0}, and this one is {1}",
    "seed": "its seed is {0}, and this one is {1}",
    "owners": "its owners are {0}, and these are {1}",
    "federation": "its federation has the settings {0}, and this one has {1}",
    "vault": "its budgets are kept in another vault, or only one of both has one",
    "columns": "its owners declared other columns, or other values of them",
    "data": "its owners had other rows, or held out another share of them",
    "after": "it went on from another round",
    "num_rounds": "it was planned for {0} rounds, and this one for {1}",
}


def _facts(
    federation: Federation, strategy: Strategy, num_rounds: int, seed: int, after: Round | None, salt: str
) -> dict[str, Any]:
    """What tells this run from any other, without a value out of any row."""
    house, books = federation.house, federation.books
    settings = [(name, _words(getattr(house, name))) for name in vars(house) if name != "server"]
    return {
        "strategy": _words(strategy),
        "seed": int(seed),
        "num_rounds": int(num_rounds),
        "owners": ", ".join(federation.names),
        "federation": ", ".join(f"{name}={value}" for name, value in settings if value != "None"),
        "columns": _hash(salt, [astuple(owner.schema) for owner in federation.owners]),
        "data": _hash(salt, [(owner.held_out, _data(federation, owner.name, salt)) for owner in federation.owners]),
        "vault": books.vault.mark if books.vault.path is not None else "",
        "after": "" if after is None else _hash(salt, (after.number, _weights(after))),
        "salt": salt,
        "versions": {name: version(name) for name in LIBRARIES},
    }


def _data(federation: Federation, name: str, salt: str) -> str:
    """How an owner's rows are known: by its vault's keyed hash, or, where memory keeps budgets, by a salted one."""
    books = federation.books
    if books.vault.path is not None:
        return books.data[name]
    owner = books.owners[name]
    return owner._inside(lambda rows: _hash(salt, rows.content), stage="comparing its rows")  # noqa: SLF001


def _weights(record: Round) -> list[tuple[str, bytes]]:
    arrays = {**record.state.weights, **record.state.memory}
    return [(name, arrays[name].tobytes()) for name in sorted(arrays)]


def _words(value: object) -> str:
    return _PLACE.sub("", repr(value))


def _hash(salt: str, value: object) -> str:
    return hashlib.blake2b(repr(value).encode(), key=salt.encode(), digest_size=16).hexdigest()


def _refuse_no_path(folder: object) -> None:
    if not isinstance(folder, str | Path) or not str(folder):
        raise SettingError(
            f"checkpoint is {folder!r}.",
            "It is the folder in which the run is kept, one file or two for every round.",
            "Name a folder, such as checkpoint='runs/first'; it is made if it is not there.",
        )


def _refuse_forgetful(federation: Federation) -> None:
    """A run that outlives its process needs a budget that does."""
    house = federation.house
    if house.protect is not None and house.noise_seed is None and federation.books.vault.path is None:
        raise RuleError(
            "checkpoint= was given, and the privacy budgets are kept in memory.",
            "When the process ends, memory forgets what was spent: the run that goes on would say a smaller epsilon "
            "than its model cost.",
            "Give the federation a file for its budgets: fl.Federation(..., vault=fl.Vault('budgets.vault')).",
        )


def _refuse_unpaid(last: Round | None, federation: Federation) -> None:
    now = federation.epsilon()
    if last is None or last.epsilon is None or now is None or now >= last.epsilon * HAIR:
        return
    raise RuleError(
        f"After round {last.number} epsilon was {last.epsilon:.3f}, and the vault says {now:.3f}.",
        "What was released stays spent: a vault that knows less of it is an older copy, and its epsilon is too small.",
        "Use the vault that the run was begun with, in its newest state.",
    )


def check_paid(after: Round | None, federation: Federation) -> None:
    """Refuse to go on from a round whose releases the federation's vault knows nothing of.

    Raises:
        RuleError: if epsilon would be counted from zero.
    """
    if not isinstance(after, Round) or after.epsilon is None or federation.epsilon() is None:
        return
    if any(federation.account(name).is_unspent for name in federation.names):
        raise RuleError(
            f"Round {after.number} cost epsilon {after.epsilon:.3f}, and the vault of this federation knows of no "
            "release.",
            "The model would carry what it learned from these rows, and its epsilon would be counted from zero.",
            "Pass the vault of that run: fl.Federation(..., vault=fl.Vault('budgets.vault')).",
        )
