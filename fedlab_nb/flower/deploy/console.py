"""Flower's own command line, asked from Python: one command at a time, or a log as it grows."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from fedlab_nb.errors import SettingError
from fedlab_nb.flower.deploy.processes import executable
from fedlab_nb.flower.deploy.refusals import lost, refused, uncoloured
from fedlab_nb.flower.deploy.settings import text

# Flower takes a folder that is called so, where the command is given, for an app: no project is.
_NAME = "fedlab-nb-superlink"
_PATIENCE = 120.0


class Console:
    """The ``flwr`` commands for one SuperLink, with Flower's settings for it in a folder of its own below ``home``.

    So two of them with one ``home`` do not redirect each other, and settings that others left there stay as they are.

    All methods raise ``ConnectionError`` when the SuperLink did not answer, and an error of this package when it did,
    but refused.
    """

    def __init__(self, address: str, root_certificate: Path, home: Path, variables: Mapping[str, str]) -> None:
        name = hashlib.sha256(f"{address}\n{root_certificate}".encode()).hexdigest()[:12]
        folder = home.absolute() / f"superlink-{name}"
        folder.mkdir(parents=True, exist_ok=True)
        self._address, self._variables = address, {**variables, "FLWR_HOME": str(folder)}
        self._settings = folder / "config.toml"
        lines = [
            "[superlink]",
            f"default = {text(_NAME)}",
            "",
            f"[superlink.{_NAME}]",
            f"address = {text(address)}",
            f"root-certificates = {text(str(root_certificate))}",
        ]
        said = "\n".join(lines) + "\n"
        if not self._settings.is_file() or self._settings.read_text("utf-8") != said:
            self._settings.write_text(said, "utf-8")

    def ask(self, doing: str, *arguments: str) -> dict[str, Any]:
        """The answer to ``flwr ARGUMENTS``; "SUPERLINK" among them stands for the SuperLink."""
        return self.answer(doing, self.begin(*arguments))

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """Begin to ask; several questions can be on their way at once."""
        return self._start(arguments, subprocess.PIPE, "--format", "json")

    def answer(self, doing: str, asked: subprocess.Popen[str]) -> dict[str, Any]:
        """The answer to a question that was begun."""
        try:
            said, complaints = asked.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            said, complaints = "", f"no answer within {_PATIENCE:g} seconds, and it may be done all the same"
        finally:
            if asked.poll() is None:
                asked.kill()
                asked.communicate()
        answer = _json(uncoloured(said))
        if asked.returncode or answer is None or not answer.get("success"):
            told = str(answer.get("error-message", "")) if answer else said
            raise self._refused(doing, f"{told}\n{complaints}")
        return answer

    def lines(self, doing: str, *arguments: str) -> Generator[str, None, None]:
        """What ``flwr ARGUMENTS`` prints, line by line, as it comes. Giving it up ends the command."""
        with (
            tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as complaints,
            self._start(arguments, complaints) as asked,
        ):
            try:
                unfinished = yield from _whole_lines(asked)
                if asked.wait():
                    complaints.seek(0)
                    raise self._refused(doing, complaints.read())
                if unfinished:
                    yield unfinished
            finally:
                asked.kill()

    def _start(self, arguments: tuple[str, ...], complaints: Any, *more: str) -> subprocess.Popen[str]:
        if not self._settings.is_file():  # Flower would write others in its place, for a SuperLink of its makers
            raise SettingError(
                f"Flower's settings for the SuperLink at {self._address} were removed.",
                "They name it and its certificate: without them Flower would ask another one.",
                "Make another Control. That of a rehearsal ends with it: make another rehearsal.",
            )
        named = [_NAME if argument == "SUPERLINK" else argument for argument in arguments]
        return subprocess.Popen(
            [executable("flwr"), *named, *more],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=self._variables,
            encoding="utf-8",
            errors="replace",
            # A session of its own: Ctrl-C in a notebook or terminal is not for it.
            start_new_session=True,
        )

    def _refused(self, doing: str, said: str) -> Exception:
        return ConnectionError(said) if lost(said) else refused(doing, said, self._address)


def _whole_lines(asked: subprocess.Popen[str]) -> Generator[str, None, str]:
    """The whole lines, and at the end what there is of one more; a connection that breaks leaves half a line.

    The first line, in which the command says whom it asks, is left out.
    """
    for number, line in enumerate(asked.stdout or ()):
        if not line.endswith("\n"):
            return uncoloured(line)
        if number or not line.startswith("Using SuperLink:"):
            yield uncoloured(line.rstrip("\n"))
    return ""


def _json(said: str) -> dict[str, Any] | None:
    start = said.find("{")
    if start < 0:
        return None
    try:
        answer = json.loads(said[start:])
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None
