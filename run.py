"""Everything a newcomer needs, on a fresh machine with Python 3.11 or newer.

    python run.py [--headless]   set up, run the quickstart, print its rounds and its threat card, open it in JupyterLab
    python run.py test [...]     set up, then check everything; further arguments go to pytest
    python run.py notebooks      set up, then execute every notebook in place
    python run.py bench          set up, then print what the quickstart costs in seconds, bytes and memory
                (or: bench dashboard, encryption, engine, flower, peers, pool, privacy, strategies, vault, vertical)

The environment is made in .venv beside this file, or in the folder that FEDLAB_VENV names.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent
VENV = Path(os.environ.get("FEDLAB_VENV") or ROOT / ".venv").absolute()
OUT = ROOT / "out"
QUICKSTART = ROOT / "notebooks" / "00_five_lines.ipynb"
TORCH = "2.13.0"
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
NEEDED_GB = 3
CELL_SECONDS = 600
COMMANDS = ("test", "notebooks", "bench")


class SetupError(Exception):
    """Something is missing on this machine; the text says what to do."""


def python_in(venv: Path) -> Path:
    """The interpreter of an environment."""
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def fingerprint() -> str:
    """A hash of all that decides what must be installed: it changes when the set-up has to be repeated."""
    facts = hashlib.sha256(f"{sys.version_info[:2]} {ROOT}".encode())
    for name in ("pyproject.toml", "constraints.txt"):
        facts.update((ROOT / name).read_bytes())
    return facts.hexdigest()


def is_ready(extra: str) -> bool:
    """Whether an earlier start has already installed all of this, ``extra`` included."""
    if not ((stamp := VENV / "fedlab-stamp").is_file() and python_in(VENV).is_file()):
        return False
    done, _, extras = stamp.read_text().partition(" ")
    return done == fingerprint() and extra in ("", extras)


def check_machine() -> None:
    """Say what is missing before anything is downloaded.

    Raises:
        SetupError: With the command that helps.
    """
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        raise SetupError(
            f"This Python {version} cannot make environments: its venv module is incomplete. "
            f"On Debian or Ubuntu: apt install python{version}-venv. Then start again."
        )
    place = next(folder for folder in (VENV, *VENV.parents) if folder.exists())
    free = shutil.disk_usage(place).free / 1e9
    if free < NEEDED_GB and not python_in(VENV).is_file():
        raise SetupError(
            f"{free:.1f} GB are free where the environment would be made, and {NEEDED_GB} GB are needed. "
            "Free some space, or let the environment variable FEDLAB_VENV name a folder on another disk."
        )


def pip(*arguments: str, hint: str) -> None:
    """Run the environment's pip; show the end of what it said only when it fails.

    Raises:
        SetupError: With the end of pip's message and ``hint``.
    """
    command = [str(python_in(VENV)), "-m", "pip", "install", "-q", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        tail = "\n".join(done.stderr.strip().splitlines()[-12:])
        raise SetupError(f"{tail}\n\npip could not install what is needed. {hint}")


def install(extra: str) -> None:
    """Make or refresh the environment: torch on its own, then the rest, then the stamp."""
    check_machine()
    works = [str(python_in(VENV)), "-m", "pip", "--version"]
    if not python_in(VENV).is_file() or subprocess.run(works, capture_output=True, check=False).returncode:
        print(f"Making the environment in {VENV} ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
    if torch_in_environment() != TORCH:
        print(f"Installing torch {TORCH} (CPU build, about 200 MB) ...", flush=True)
        # Only this call sees the second index: one that is away costs a retry for every package that is asked for.
        # The CPU build is asked for by name: plain 2.13.0 would bring several GB of CUDA where the index is away.
        build = f"torch=={TORCH}" if sys.platform == "darwin" else f"torch=={TORCH}+cpu"
        index = ["--extra-index-url", TORCH_INDEX, "--retries", "1", "--timeout", "10"]
        pip(*index, build, "--no-deps", hint=f"The CPU build of torch comes from {TORCH_INDEX}: can it be reached?")
    print("Installing the rest, a minute or two ...", flush=True)
    package = f".[{extra}]" if extra else "."
    pip("-c", "constraints.txt", "-e", package, hint="Is this machine online? Python 3.11 to 3.13 has all wheels.")
    (VENV / "fedlab-stamp").write_text(f"{fingerprint()} {extra}")


def torch_in_environment() -> str | None:
    """The version of torch that the environment already has, without its build name."""
    found = importlib.metadata.distributions(name="torch", path=[str(p) for p in VENV.glob("[Ll]ib/**/site-packages")])
    return next((each.version.partition("+")[0] for each in found), None)


def enter(arguments: list[str]) -> None:
    """Go on inside the environment; returns only where this is already its interpreter."""
    if Path(sys.prefix).resolve() == VENV.resolve():
        return
    command = [str(python_in(VENV)), str(ROOT / "run.py"), *arguments]
    if os.name == "nt":
        sys.exit(subprocess.call(command))
    sys.stdout.flush()
    os.execv(command[0], command)


def execute(source: Path, folder: Path, timeout: int = CELL_SECONDS) -> NotebookNode:
    """The notebook ``source``, executed with ``folder`` as its working directory; ``source`` stays as it is.

    Stored are outputs only: no widget state (5 MB a figure), no timing, no version of this machine's Python.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(source, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        store_widget_state=False,
        record_timing=False,
        # One printed line a round: at pandas' 80 letters the table falls apart into blocks. And no word of the kernel
        # about its sockets, which are this machine's own.
        extra_arguments=[
            "--log-level=ERROR",
            "--IPKernelApp.exec_lines=import pandas; pandas.set_option('display.width', 200)",
        ],
    )
    client.execute()
    notebook.metadata["language_info"] = {"name": "python"}
    notebook.metadata.pop("widgets", None)
    return notebook


def texts(notebook: NotebookNode, tag: str) -> Iterator[str]:
    """What the cells tagged ``tag`` printed or showed, as plain text."""
    for cell in notebook.cells:
        if tag in cell.metadata.get("tags", []):
            for output in cell.get("outputs", []):
                yield output["text"] if output["output_type"] == "stream" else output["data"]["text/plain"]


def quickstart(arguments: list[str]) -> int:
    """Execute the quickstart, print its table and its threat card, and open it where there is a screen."""
    import nbformat

    OUT.mkdir(exist_ok=True)
    print("Running the quickstart: five data owners, twenty encrypted rounds, one privacy budget ...", flush=True)
    notebook = execute(QUICKSTART, OUT)
    executed = OUT / QUICKSTART.name
    nbformat.write(notebook, executed)
    for tag in ("rounds", "threat-card"):
        print("\n" + "\n".join(text.rstrip() for text in texts(notebook, tag)))
    print(f"\nThe executed notebook: {executed}\nThe report as a page:   {executed.with_suffix('.html')}")
    root = ["--allow-root"] if is_root() else []  # in a container, where JupyterLab would refuse otherwise
    command = [sys.executable, "-m", "jupyterlab", *root, f"--ServerApp.root_dir={ROOT}", str(executed)]
    if "--headless" in arguments or not has_screen():
        print(f"To see it live:         {' '.join(command)}")
        return 0
    print("Opening JupyterLab; Ctrl-C here ends it.", flush=True)
    return subprocess.call(command)


def is_root() -> bool:
    """Whether this runs as the administrator of a Unix machine."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def has_screen() -> bool:
    """Whether a person can be expected to see a browser window on this machine."""
    if os.environ.get("CI"):
        return False
    if sys.platform.startswith("linux") and not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
        return False
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


def notebooks(_: list[str]) -> int:
    """Execute every notebook in place: the only way in which their outputs are ever written."""
    import nbformat

    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        print(f"Executing {path.name} ...", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            nbformat.write(execute(path, Path(folder)), path)
    return 0


def bench(arguments: list[str]) -> int:
    """Print what the quickstart costs, or, asked for by name, the dashboard or the ways to encrypt."""
    name, *more = arguments or ["quickstart"]
    return subprocess.call([sys.executable, str(ROOT / f"tests/benchmarks/bench_{name}.py"), *more])


def find_chromium() -> str | None:
    """The Chromium that the browser tests drive: $CHROMIUM, or the first one on the path."""
    names = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if name and (found := shutil.which(name))), None)


def ensure_chromium() -> None:
    """Install Debian's Chromium where that is possible; otherwise say how, and that its tests will be skipped."""
    if find_chromium():
        return
    if is_root() and shutil.which("apt-get"):
        print("Installing Chromium for the browser tests (about 110 MB) ...", flush=True)
        quiet = {"env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, "stdout": subprocess.DEVNULL}
        for step in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends", "chromium"]):
            subprocess.run(["apt-get", *step], check=False, **quiet)
    if not find_chromium():
        print("No Chromium here: the browser tests will be skipped. On Debian or Ubuntu: sudo apt install chromium.")


def test(arguments: list[str]) -> int:
    """Run every check; the tests come last, so that their closing line is the last one when all is well."""
    ensure_chromium()
    checks = {
        "lint": ["ruff", "check", "."],
        "format": ["ruff", "format", "--check", "."],
        "types": ["mypy"],
        "floors": ["lint-imports"],
    }
    passed = {}
    for name, (tool, *options) in checks.items():
        print(f"--- {name}: {tool} {' '.join(options)}", flush=True)
        passed[name] = subprocess.call([str(Path(sys.executable).parent / tool), *options], cwd=ROOT) == 0
    summary = ", ".join(f"{name} {'passed' if good else 'FAILED'}" for name, good in passed.items())
    print(f"--- {summary}; now the tests", flush=True)
    arguments = arguments or ["-q", "-n", "2", "--dist", "loadfile"]  # all of them: in two processes, file by file
    fixed = {**os.environ, "PYTHONHASHSEED": "1"}  # so that both processes find the tests in one order
    failed = subprocess.call([sys.executable, "-m", "pytest", *arguments], cwd=ROOT, env=fixed)
    if not all(passed.values()):
        print(f"Not all is well: {summary}; pytest {'FAILED' if failed else 'passed'}.")
        return 1
    return failed


def main(arguments: list[str]) -> int:
    """Run one command; the exit status."""
    if arguments[:1] in (["-h"], ["--help"]):
        print(__doc__)
        return 0
    command = arguments[0] if arguments and arguments[0] in COMMANDS else ""
    if not command and arguments not in ([], ["--headless"]):
        print(__doc__)
        return 2
    if sys.version_info < (3, 11):  # noqa: UP036 - an older Python must be told so, not fail at a later line
        print(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}. Start again with a newer one.")
        return 1
    extra = "test" if command else ""
    try:
        if not is_ready(extra):
            install(extra)
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    enter(arguments)
    jobs = {"": quickstart, "test": test, "notebooks": notebooks, "bench": bench}
    return jobs[command](arguments[1:] if command else arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
