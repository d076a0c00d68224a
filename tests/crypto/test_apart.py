"""The server in a process of its own adds as the one in the notebook does, and can be lost without losing anything."""

import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from fedlab_nb.crypto import BFV, CKKS, apart
from fedlab_nb.crypto.apart import ServerProcess
from fedlab_nb.crypto.seal import KEY_HOLDER
from fedlab_nb.errors import EncryptionError, RoundError
from tests.crypto.common import NAMES, Cast, draw, flipped, secret_bytes, summed

TRIO = NAMES[:3]
# What TenSEAL makes of a whole context, secret key included, in a process that is asked to hold it.
HOLD_KEY = "import sys, tenseal; c = tenseal.context_from(sys.stdin.buffer.read(int(sys.argv[1])), n_threads=1); "
HOLD_KEY += "print(c.is_private(), flush=True); sys.stdin.read()"
# A server whose libraries print whenever it adds.
NOISY = (
    "import os, sys; sys.path.insert(0, sys.argv[1]); from fedlab_nb.crypto import apart; add = apart.Adder.add\n"
    "def noisy(*given, **named):\n"
    "    print('printed' * 9999, flush=True); os.write(1, b'written' * 9999); return add(*given, **named)\n"
    "apart.Adder.add = noisy; apart.serve()"
)


@pytest.fixture(scope="module")
def server():
    """One process for most tests, as a start takes a second."""
    process = ServerProcess()
    yield process
    process.close()


def contributions(cast: Cast, plan=None, length: int = 3):
    plan = plan or cast.scheme.plan(bound=1.0, owners=3)
    vectors = draw(3, length)
    manifest = cast.manifest(plan, length, 3)
    return cast.seal(vectors, manifest), manifest, plan.grid(vectors).sum(axis=0)


def works(server) -> bool:
    """A whole session with this server, from its beginning."""
    cast = Cast(CKKS(), TRIO, server)
    sealed, manifest, expected = contributions(cast)
    return np.array_equal(cast.open(cast.add(sealed, manifest), manifest), expected)


def ended(pid: int) -> bool:
    """Whether a process is gone, once it had time to go."""
    for _ in range(3000):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("scheme", [CKKS(), CKKS("compact", complex_slots=True), BFV()])
def test_the_sum_is_the_one_that_the_server_in_the_notebook_makes(server, scheme):
    cast = Cast(scheme, TRIO, server)
    plan = scheme.plan(bound=1.0, owners=3)
    sealed, manifest, expected = contributions(cast, plan, plan.held + 1)
    for_holder, for_owner = server.add(sealed, manifest, to=(KEY_HOLDER, TRIO[0]))
    assert for_holder.chunks == for_owner.chunks == summed(scheme, [item.chunks for item in sealed])
    assert np.array_equal(cast.open(for_holder, manifest), expected)
    assert cast.sealers[TRIO[0]].mailbox.take(for_owner, manifest) == for_owner.chunks
    assert "no key" in repr(server)


def test_it_refuses_what_the_server_in_the_notebook_refuses_and_goes_on(server, refuses):
    cast = Cast(CKKS(), TRIO, server)
    pid = server.pid
    sealed, manifest, _ = contributions(cast)
    refuses("'owner 1' sent nothing", cast.add, sealed[::2], manifest)
    refuses("'owner 2' would be added more often", cast.add, [*sealed, sealed[2]], manifest)
    chunk = sealed[0].chunks[0]
    damaged = type(sealed[0])(sealed[0].header, sealed[0].mac, (flipped(chunk, 99),))
    refuses("'owner 0' is damaged inside", cast.add, [damaged, *sealed[1:]], manifest)
    refuses("more than bare encryption parameters", server.take_parameters, cast.holder.public_key)
    refuses("could not read the key", server.take_parameters, b"not parameters")
    sealed, manifest, expected = contributions(cast)
    assert np.array_equal(cast.open(cast.add(sealed, manifest), manifest), expected)
    assert server.pid == pid


def test_what_its_libraries_print_does_not_get_into_its_answers(monkeypatch):
    monkeypatch.setattr(apart, "_START", NOISY)
    noisy = ServerProcess()
    assert works(noisy)
    noisy.close()


def test_a_killed_process_is_a_failed_round_by_name_and_the_next_session_has_another_one(server):
    cast = Cast(CKKS(), TRIO, server)
    sealed, manifest, _ = contributions(cast)
    killed = server.pid
    os.kill(killed, signal.SIGKILL)
    with pytest.raises(RoundError, match=r"The server's process ended while it was to add\.") as caught:
        cast.add(sealed, manifest)
    assert (caught.value.party, caught.value.stage) == ("server", "add")
    assert "nothing was released" in caught.value.why
    assert server.pid is None
    with pytest.raises(EncryptionError, match="in session"):
        cast.add(sealed, manifest)
    assert works(server)
    assert server.pid != killed


def test_an_interrupted_notebook_leaves_no_answer_behind_that_is_taken_for_another(server, monkeypatch):
    cast = Cast(CKKS(), TRIO, server)
    sealed, manifest, _ = contributions(cast)
    receive = apart._receive

    def interrupted(pipe):
        monkeypatch.setattr(apart, "_receive", receive)
        raise KeyboardInterrupt

    monkeypatch.setattr(apart, "_receive", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cast.add(sealed, manifest)
    try:
        assert works(server)
    finally:
        server.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows interrupts a notebook's kernel alone")
def test_an_interrupt_from_the_notebook_does_not_end_the_process(server):
    # The Stop button interrupts the kernel's whole group of processes.
    cast = Cast(CKKS(), TRIO, server)
    sealed, manifest, expected = contributions(cast)
    os.kill(server.pid, signal.SIGINT)
    time.sleep(0.2)
    assert np.array_equal(cast.open(cast.add(sealed, manifest), manifest), expected)


def memory(pid: int):
    """What a process can read of its own memory, region by region."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as file:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            place, rights, *_ = line.split()
            if "r" not in rights or "[v" in line:
                continue
            start, end = (int(part, 16) for part in place.split("-"))
            try:
                yield os.pread(file.fileno(), end - start, start)
            except OSError:  # mapped from a device or a file that ended
                continue


def found(pid: int, *needles: bytes) -> list[bool]:
    regions = list(memory(pid))
    return [any(needle in region for region in regions) for needle in needles]


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="only Linux shows a process's memory as a file")
def test_its_memory_holds_no_secret_key(server):
    cast = Cast(CKKS(), TRIO, server)
    sealed, manifest, expected = contributions(cast)
    assert np.array_equal(cast.open(cast.add(sealed, manifest), manifest), expected)
    secrets = secret_bytes(cast.holder)
    assert found(server.pid, *secrets, cast.session.encode()) == [False, False, True]
    whole = cast.holder._KeyHolder__context.serialize(save_secret_key=True)
    command = [sys.executable, "-c", HOLD_KEY, str(len(whole))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdin.write(whole)
        other.stdin.flush()
        assert other.stdout.readline().strip() == b"True"
        kept = found(other.pid, secrets[1])
        other.stdin.close()
        other.wait()
    assert kept == [True], "the search finds a key where there is one"


def test_no_process_is_left_when_it_is_closed_or_forgotten():
    one, two = ServerProcess(), ServerProcess()
    pids = []
    for process in (one, two):
        process.begin("0" * 32)
        pids.append(process.pid)
    one.close()
    one.close()
    assert ended(pids[0])
    del process, two
    gc.collect()
    assert ended(pids[1])


def test_no_process_is_left_when_the_notebook_itself_is_killed(root):
    code = "import os; from fedlab_nb.crypto.apart import ServerProcess; p = ServerProcess(); p.begin('0' * 32); "
    code += "print(p.pid, flush=True); os.kill(os.getpid(), 9)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=root, check=False)
    assert done.returncode
    assert ended(int(done.stdout))
