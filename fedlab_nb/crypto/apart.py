"""The server in a process of its own, which gets bytes and bare parameters, and never a key.

What malformed ciphertexts can do to TenSEAL they then do there, not to the notebook: if that process ends, a round has
failed and the next one starts another. The process begins empty (it is not forked), so its memory cannot hold a key.
What comes back is read as data; only what goes there is trusted.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import struct
import subprocess
import sys
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from fedlab_nb.crypto.envelope import Sealed, read_header
from fedlab_nb.crypto.manifest import Manifest
from fedlab_nb.crypto.seal import Adder
from fedlab_nb.errors import EncryptionError, RoundError

_SIZE = struct.Struct("<QQ")
_READY = b"\x00fedlab_nb: the server is ready\n"
_ROOT = Path(__file__).resolve().parents[2]
_START = "import sys; sys.path.insert(0, sys.argv[1]); from fedlab_nb.crypto.apart import serve; serve()"


class ServerProcess:
    """The same server as ``Adder``, in a process of its own, started when it is first needed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._session = ""
        self.public = b""

    @property
    def pid(self) -> int | None:
        """The number of its process, None while there is none."""
        return self._process.pid if self._process else None

    def begin(self, session: str) -> None:
        """Begin a session: a new identity, nothing known of the others."""
        self._session = session
        facts, _ = self._ask("begin", session)
        self.public = bytes.fromhex(facts["public"])

    def meet(self, identities: Mapping[str, bytes]) -> None:
        """Learn the public identities of the others."""
        self._ask("meet", dict(identities))

    def take_parameters(self, parameters: bytes) -> None:
        """Keep the bare parameters; EncryptionError if they are more than that."""
        self._ask("take_parameters", parameters)

    def add(self, sealed: Sequence[Sealed], manifest: Manifest, *, to: tuple[str, ...]) -> tuple[Sealed, ...]:
        """The sum of one envelope from each owner of ``manifest``, in one envelope to each party in ``to``.

        Raises:
            EncryptionError: as ``Adder.add``.
            RoundError: the process ended.
        """
        facts, body = self._ask("add", list(sealed), manifest, to)
        width = manifest.chunk_bytes
        chunks = tuple(body[at : at + width] for at in range(0, len(body), width))
        heads = [(read_header(head.encode()), bytes.fromhex(mac)) for head, mac in facts["envelopes"]]
        return tuple(Sealed(head, mac, chunks) for head, mac in heads)

    def close(self) -> None:
        """End the process."""
        if self._process:
            _end(self._process)
            self._process = None

    def _ask(self, task: str, *given: object) -> tuple[dict[str, Any], bytes]:
        if self._process is None:
            self._process = _started()
            weakref.finalize(self, _end, self._process)
        try:
            _send(self._process.stdin, b"", pickle.dumps((task, given)))
            head, body = _receive(self._process.stdout)
        except BaseException as error:
            # Also when the notebook was interrupted: its answer, still to come, would be taken for the next one.
            self.close()
            if not isinstance(error, OSError | EOFError):
                raise
            raise RoundError(
                "server",
                task,
                f"The server's process ended while it was to {task.replace('_', ' ')}.",
                "Something that it was given ended it; the notebook and all keys are untouched, nothing was released.",
                "Go on with the same federation: the next round starts another process.",
            ) from error
        facts: dict[str, Any] = json.loads(head)
        if "error" in facts:
            what, why, do = map(str, facts["error"])
            raise EncryptionError(what, why, do)
        return facts, body

    def __repr__(self) -> str:
        return f"ServerProcess({f'process {self.pid}' if self.pid else 'not started yet'}, no key)"


def serve() -> None:
    """The other side: answer tasks until the notebook's side is closed."""
    # An interrupt is for the notebook, which ends this process itself where it has to.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What libraries print must not get in between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    answers.write(_READY)
    answers.flush()
    adder = Adder()
    while True:
        try:
            _, task = _receive(sys.stdin.buffer)
        except EOFError:
            return
        head, body = _answer(adder, *pickle.loads(task))
        _send(answers, json.dumps(head).encode(), body)


def _answer(adder: Adder, task: str, given: Sequence[Any]) -> tuple[dict[str, object], bytes]:
    try:
        if task == "add":
            sealed, manifest, to = given
            sums = adder.add(sealed, manifest, to=to)
            envelopes = [(item.header.data.decode(), item.mac.hex()) for item in sums]
            return {"envelopes": envelopes}, b"".join(sums[0].chunks)
        getattr(adder, task)(*given)
    except EncryptionError as error:
        return {"error": (error.what, error.why, error.do)}, b""
    return {"public": adder.public.hex()}, b""


def _started() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", _START, str(_ROOT)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    # What this Python prints of itself when it starts comes before.
    seen = b""
    while process.stdout is not None and not seen.endswith(_READY):
        one = process.stdout.read(1)
        if not one:
            break
        seen += one
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:  # what had not been written yet no longer matters
                continue


def _send(pipe: IO[bytes] | None, head: bytes, body: bytes) -> None:
    if pipe is None:
        raise EOFError
    pipe.write(_SIZE.pack(len(head), len(body)) + head + body)
    pipe.flush()


def _receive(pipe: IO[bytes] | None) -> tuple[bytes, bytes]:
    if pipe is None:
        raise EOFError
    sizes = _exactly(pipe, _SIZE.size)
    head, body = _SIZE.unpack(sizes)
    return _exactly(pipe, head), _exactly(pipe, body)


def _exactly(pipe: IO[bytes], size: int) -> bytes:
    data = pipe.read(size)
    if len(data) != size:
        raise EOFError
    return data
