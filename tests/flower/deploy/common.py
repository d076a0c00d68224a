"""A tiny Flower app, and how to tell that Flower is here."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil
import pytest

from fedlab_nb.errors import FedLabError
from fedlab_nb.flower.deploy.processes import executable


def _flower() -> str:
    try:
        executable("flower-superlink")
    except FedLabError as error:
        return str(error)
    return ""


MISSING = _flower()
with_flower = pytest.mark.skipif(bool(MISSING), reason=f"needs Flower: {MISSING}")

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "tinyapp"
version = "1.0.0"
description = "one exchange"
license = { file = "LICENSE" }
dependencies = ["flwr>=1.42.0,<1.43"]

[tool.hatch.build.targets.wheel]
packages = ["."]

[tool.flwr.app]
publisher = "fedlab"
fab-format-version = 1
flwr-version-target = "1.42.0"

[tool.flwr.app.components]
serverapp = "tinyapp.server_app:app"
clientapp = "tinyapp.client_app:app"

[tool.flwr.app.config]
way = "echo"
rounds = 1
"""

CLIENT = '''
"""Answers with what its site is called."""

from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


@app.query("echo")
def echo(message: Message, context: Context) -> Message:
    said = f"{message.content['c']['word']} from {context.node_config['name']}, {context.node_config['odd']!r}"
    return Message(RecordDict({"r": ConfigRecord({"said": said})}), reply_to=message)
'''

SERVER = '''
"""Asks every node once, fails, or waits."""

import time

from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.serverapp import Grid, ServerApp

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    way = context.run_config["way"]
    names = {node.node_id: node.name for node in grid.get_nodes()}
    print("nodes", *sorted(names.values()), flush=True)
    if way == "fail":
        raise ValueError("no rows at the site")
    while way == "wait":
        time.sleep(0.1)
    for number in range(context.run_config["rounds"]):
        content = RecordDict({"c": ConfigRecord({"word": way})})
        asked = list(
            grid.push_messages([Message(content, dst_node_id=node, message_type="query.echo") for node in names])
        )
        answers = {}
        while asked:
            for reply in grid.pull_messages(asked):
                asked.remove(reply.metadata.reply_to_message_id)
                answers[names[reply.metadata.src_node_id]] = reply.content["r"]["said"]
            time.sleep(0.1)
        print("round", number, flush=True)
        for name in sorted(answers):
            print(name, "said:", answers[name], flush=True)
'''


def write_app(folder: Path) -> Path:
    """The tiny app in ``folder``."""
    package = folder / "tinyapp"
    package.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "LICENSE").write_text("for tests\n")
    (package / "__init__.py").write_text("")
    (package / "client_app.py").write_text(CLIENT)
    (package / "server_app.py").write_text(SERVER)
    return folder


def living(pids: Iterable[int]) -> list[int]:
    """Those of ``pids`` whose process has not ended."""
    return [pid for pid in pids if _lives(pid)]


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def until(true: Callable[[], bool], seconds: float = 30.0) -> bool:
    """Whether ``true()`` came true; ``seconds`` are only there so that a broken test ends."""
    limit = time.monotonic() + seconds
    while not true():
        if time.monotonic() > limit:
            return False
        time.sleep(0.05)
    return True


def python(code: str) -> list[str]:
    """The command that runs ``code``."""
    return [sys.executable, "-c", code]
