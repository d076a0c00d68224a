"""A folder that holds the rounds of one run: for each its record in JSON, and its arrays in safetensors beside it.

A file is there as a whole or not at all: it is written under another name, synced to the disk, and renamed. Each record
carries the hash of its arrays and of the record before it, so that what a crash cut off, and what belongs to another
course of the run, is found.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from fedlab_nb.errors import SettingError
from fedlab_nb.records.kept.values import put_together, taken_apart
from fedlab_nb.records.round import Round

# Goes up whenever a file would be read in another way.
FORM = 1
RUN = "run.json"
_ROUND = re.compile(r"round-(\d+)\.json")


class DamagedError(Exception):
    """A file is not as it was written; the text says in which way."""


class Folder:
    """The rounds of one run in the folder ``path``, which is made when something is written.

    Raises:
        SettingError: if there is no such folder and it cannot be made, or it cannot be written or read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._digests: dict[int, str] = {}
        self._contexts: dict[str, object] = {}

    def facts(self) -> dict[str, Any] | None:
        """What the run is, as it was written by ``claim``; None if no run is in the folder.

        Raises:
            SettingError: if that cannot be told.
        """
        try:
            if not (self.path / RUN).exists() and not self._numbers():
                return None
            return dict(self._read(RUN[:-5])[0])
        except DamagedError as error:
            raise SettingError(
                f"What run the folder {str(self.path)!r} holds cannot be read ({error}).",
                "To go on in it could mix two runs, so nothing was read or written.",
                "Use another folder; its rounds may still be read: fl.History.load(folder).",
            ) from error

    def claim(self, facts: dict[str, Any]) -> None:
        """Write down what the run is."""
        self._written(lambda: self._write(RUN[:-5], facts))

    def keep(self, record: Round) -> None:
        """Write a round: when this returns, it is on the disk. Later rounds, left behind by a rewind, are removed."""

        def write() -> None:
            context = record.state.context
            name = "" if context is None else self._keep_context(context)
            bare = replace(record, state=replace(record.state, context=None))
            previous = self._digests.get(record.number - 1, "")
            stem = _stem(record.number)
            self._digests[record.number] = self._write(stem, bare, previous=previous, context=name)
            for number in self._numbers():
                if number > record.number:
                    for ending in (".json", ".safetensors"):
                        (self.path / (_stem(number) + ending)).unlink(missing_ok=True)
                    self._digests.pop(number, None)

        self._written(write)

    def read(self) -> tuple[tuple[Round, ...], str]:
        """All rounds up to the first that is damaged or does not follow the one before it; what was left out, and why.

        Raises:
            SettingError: if the folder holds rounds, and the first of them cannot be read.
        """
        rounds: list[Round] = []
        self._digests, left_out = {}, ""
        numbers = self._numbers()
        for number in numbers:
            before = self._digests[rounds[-1].number] if rounds else ""
            try:
                record, self._digests[number] = self._round(number, before)
            except DamagedError as error:
                left_out = f"Round {number} in {self.path} was left out: {error}."
                break
            rounds.append(record)
        if numbers and not rounds:
            raise SettingError(
                f"No round in the folder {str(self.path)!r} can be read. {left_out}",
                "There is nothing to go on from, and to begin anew would write over what may still be rescued.",
                "Use another folder, or bring back a copy of this one.",
            )
        return tuple(rounds), left_out

    def _round(self, number: int, before: str) -> tuple[Round, str]:
        record, head, digest = self._read(_stem(number))
        if head["previous"] != before:
            raise DamagedError("it does not follow the round before it, so it is of another course of the run")
        if not isinstance(record, Round) or record.number != number:
            raise DamagedError("it is no such round")
        context = self._context(head["context"]) if head["context"] else None
        return replace(record, state=replace(record.state, context=context)), digest

    def _keep_context(self, context: object) -> str:
        """Write what was fixed before the first round, once; gives its name, which is made of its digest."""
        for name, known in self._contexts.items():
            if known is context:
                return name
        plain, arrays = taken_apart(context)
        body = json.dumps(plain, sort_keys=True).encode() + b"".join(arrays[n].tobytes() for n in sorted(arrays))
        name = f"setup-{hashlib.sha256(body).hexdigest()[:16]}"
        with suppress(DamagedError, OSError):
            self._read(name)
            self._contexts[name] = context
            return name
        self._write(name, context)
        self._contexts[name] = context
        return name

    def _context(self, name: str) -> object:
        if name not in self._contexts:
            self._contexts[name] = self._read(name)[0]
        return self._contexts[name]

    def _numbers(self) -> list[int]:
        """The numbers of the rounds that are there."""
        names = os.listdir(self.path) if self.path.is_dir() else []  # noqa: PTH208 - of these only the names are used
        return sorted(int(match[1]) for match in map(_ROUND.fullmatch, names) if match)

    def _write(self, stem: str, value: object, **head: str) -> str:
        """Write a value as ``stem``.json with its arrays beside it; gives its digest."""
        plain, arrays = taken_apart(value)
        body: dict[str, Any] = {"form": FORM, **head, "value": plain, "arrays": ""}
        if arrays:
            from safetensors.numpy import save

            data = save(arrays)
            body["arrays"] = hashlib.sha256(data).hexdigest()
            self._put(f"{stem}.safetensors", data)
        digest = _digest(body)
        self._put(f"{stem}.json", json.dumps({"sha256": digest, **body}, indent=1).encode())
        return digest

    def _read(self, stem: str) -> tuple[Any, dict[str, Any], str]:
        """The value of ``stem``.json, all else in it, and its digest; DamagedError if it is not as it was written."""
        try:
            body = json.loads((self.path / f"{stem}.json").read_bytes())
            digest = body.pop("sha256")
        except FileNotFoundError as error:
            raise DamagedError(f"{stem}.json is not there") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedError(f"{stem}.json is cut off or no JSON of ours") from error
        if body.get("form") != FORM:
            raise DamagedError(f"it has form {body.get('form')!r}, and this version of the package reads form {FORM}")
        if _digest(body) != digest:
            raise DamagedError(f"{stem}.json is not as it was written")
        arrays = self._arrays(f"{stem}.safetensors", body["arrays"]) if body["arrays"] else {}
        return put_together(body["value"], arrays), body, digest

    def _arrays(self, name: str, digest: str) -> dict[str, Any]:
        from safetensors.numpy import load

        try:
            data = (self.path / name).read_bytes()
        except FileNotFoundError as error:
            raise DamagedError(f"{name} is not there") from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise DamagedError(f"{name} is not as it was written")
        return dict(load(data))

    def _put(self, name: str, data: bytes) -> None:
        """Write a file so that it is there as a whole or not at all, whenever the power fails."""
        waiting = self.path / f"{name}.tmp"
        with waiting.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        waiting.replace(self.path / name)
        if os.name != "nt":  # there a folder cannot be opened, and renames are kept with the file
            place = os.open(self.path, os.O_RDONLY)
            try:
                os.fsync(place)
            finally:
                os.close(place)

    def _written(self, write: Callable[[], object]) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            write()
        except OSError as error:
            raise SettingError(
                f"The checkpoint folder {str(self.path)!r} cannot be written ({error.strerror or error}).",
                "A round that is not on the disk would be lost in a crash, unnoticed.",
                "Free space or name a folder that may be written: checkpoint='runs/first'.",
            ) from error


def _stem(number: int) -> str:
    return f"round-{number:04d}"


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
