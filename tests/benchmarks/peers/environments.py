"""An environment of its own for each peer: their requirements exclude one another, and none belongs into this one."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import run


@dataclass(frozen=True)
class Peer:
    """A program of this folder, and what pip must install for it; ``bare`` are packages without what they ask for."""

    program: str
    needs: tuple[str, ...]
    bare: tuple[str, ...] = ()
    torch: bool = True


PEERS = {
    "pfl": Peer("with_pfl.py", ("pfl==0.6.0",)),
    "FedJAX": Peer("with_fedjax.py", ("fedjax==0.0.17",), torch=False),
    # Without torchvision, which must fit the build of torch exactly and is needed for its data sets only.
    "FedLab": Peer(
        "with_fedlab.py",
        ("numpy", "pandas", "scikit-learn", "pynvml", "tqdm", "munch", "pillow"),
        bare=("fedlab==1.3.0",),
    ),
    "Flower": Peer("with_flower.py", ("flwr[simulation]",)),
    "Opacus": Peer("with_opacus.py", ("opacus==1.6.0",)),
}


# What programs run under: one thread, only what lies here, and no word to anybody about it.
UNDER = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


class NotHereError(Exception):
    """A peer that cannot be installed or run on this machine; the text is the reason."""


def called(command, **under):
    """What a command printed, with the variables ``under`` in its environment.

    Raises:
        NotHereError: with the end of what it said, where it failed or took more than half an hour.
    """
    try:
        environment = os.environ | under
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1800, env=environment)
    except subprocess.TimeoutExpired:
        raise NotHereError("it took more than half an hour") from None
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise NotHereError(" / ".join(line.strip() for line in said[-2:])[-300:] or f"exit status {done.returncode}")
    return done.stdout


def interpreter(name: str, folder: Path) -> Path:
    """The interpreter of a peer's environment, made and filled where that has not been done.

    Raises:
        NotHereError: if pip could not install it.
    """
    peer, home = PEERS[name], folder / name.lower()
    python, stamp = run.python_in(home), home / "installed"
    asked = f"{peer}, torch {run.TORCH}"
    if stamp.is_file() and stamp.read_text() == asked:
        return python
    called([sys.executable, "-m", "venv", "--clear", str(home)])
    install = [str(python), "-m", "pip", "install", "-q"]
    if peer.torch:
        # The CPU build, as in this package's own environment; then a pin, so that nothing replaces it.
        build = f"torch=={run.TORCH}" if sys.platform == "darwin" else f"torch=={run.TORCH}+cpu"
        index = ["--extra-index-url", run.TORCH_INDEX, "--retries", "1", "--timeout", "10"]
        called([*install, *index, build, "--no-deps"])
    called([*install, *peer.needs, *([f"torch=={run.TORCH}"] if peer.torch else [])])
    if peer.bare:
        called([*install, "--no-deps", *peer.bare])
    stamp.write_text(asked)
    return python
