"""Flower's own command line, asked from Python: one command at a time, or a log as it grows."""

from __future__ import annotations

import hashlib
import json
import re
import ssl
import subprocess
import tempfile
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from fedlab_nb.errors import SettingError
from fedlab_nb.flower.deploy.processes import executable
from fedlab_nb.flower.deploy.refusals import lost, refused, uncoloured
from fedlab_nb.flower.deploy.settings import text
from fedlab_nb.parties.rules import is_number

# Flower takes a folder that is called so, where the command is given, for an app: no project is.
_NAME = "fedlab-nb-superlink"
_PATIENCE = 120.0


def check_control(control: object) -> None:
    """Refuse what cannot start, stop and tell of runs; the class of what can is refused as well.

    Raises:
        SettingError.
    """
    able = all(callable(getattr(control, name, None)) for name in ("run", "log", "stop"))
    if isinstance(control, type) or not able:
        raise SettingError(
            f"{f'The class {control.__name__}' if isinstance(control, type) else repr(control)} was given as the "
            "control of a SuperLink.",
            "It starts a run, reads its log and stops it, and knows at which address.",
            'Make one: fl.flower.Control("fl.example.org:8000", "ca.pem", "flower-home"). A rehearsal has .control.',
        )


def check_address(address: object) -> None:
    """Refuse what does not name a machine and a port.

    Raises:
        SettingError.
    """
    host, _, port = address.rpartition(":") if isinstance(address, str) else ("", "", "")
    number = int(port) if re.fullmatch("[0-9]{1,5}", port) else 0
    if not host or set(host) & {*"/ \t\n"} or not 1 <= number <= 65535:
        raise SettingError(
            f"The address of a SuperLink was given as {address!r}.",
            "It is a text with the name or number of its machine, a colon and a port, without https:// or a path.",
            'For example fl.flower.Control("fl.example.org:8000", "ca.pem", "flower-home").',
        )


def check_certificate(certificate: Path) -> None:
    """Refuse a file that holds no certificate.

    Raises:
        SettingError.
    """
    if not certificate.is_file():
        raise SettingError(
            f"There is no certificate {certificate}.",
            "By it the SuperLink is recognised; without it anyone could answer in its place.",
            "Name the ca.pem that came with the SuperLink's address.",
        )
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(certificate)
    except OSError as error:  # that of ssl is one
        raise SettingError(
            f"The file {certificate} cannot be read as a certificate.",
            "By a certificate the SuperLink is recognised; a key, or another file, says nothing of who signed.",
            "Name the ca.pem that came with the SuperLink's address: it begins with -----BEGIN CERTIFICATE-----.",
        ) from error


def run_number(number: object) -> str:
    """The number of a run as Flower's commands take it.

    Raises:
        SettingError: it is none.
    """
    if not is_number(number, whole=True) or int(number) < 1:  # type: ignore[call-overload]
        raise SettingError(
            f"The number of a run was given as {number!r}.",
            "Flower knows each run by a whole number, larger than 0.",
            "Give the one that the handle of the run has, run.number, or one of those that control.runs() lists.",
        )
    return str(int(number))  # type: ignore[call-overload]


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
