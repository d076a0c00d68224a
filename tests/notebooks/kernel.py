"""A kernel as a page sees it, without a page: cells and clicks go in, everything that it says is kept."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient

LIMIT = 60.0


class Kernel:
    """A front end's end of the line. ``said`` is every message that the kernel has sent to all pages so far."""

    def __init__(self, client: BlockingKernelClient) -> None:
        self.client = client
        self.said: list[dict[str, Any]] = []
        self._boards: list[str] = []

    def run(self, source: str) -> dict[str, Any]:
        """Execute a cell and return its reply; what it shows is kept."""
        reply = self.answer_to(self.client.execute(source))
        assert reply["status"] == "ok", "\n".join(reply.get("traceback", []))
        return reply

    def answer_to(self, number: str) -> dict[str, Any]:
        """The reply to a request that was sent; what is said meanwhile is heard, as a page would."""
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            self._hear(0.01)
            with suppress(Empty):
                reply = self.client.get_shell_msg(timeout=0.05)
                if reply["parent_header"].get("msg_id") == number:
                    self._hear(0.2)
                    content: dict[str, Any] = reply["content"]
                    return content
        raise AssertionError("the kernel did not answer")

    def _hear(self, seconds: float) -> None:
        """Read what the kernel has told the pages, until it is silent for so long."""
        with suppress(Empty):
            while True:
                message = self.client.get_iopub_msg(timeout=seconds)
                self.said.append(message)
                if message["msg_type"] in ("comm_open", "comm_msg"):
                    self._react(message["content"]["comm_id"], message["content"]["data"])

    def _react(self, comm: str, data: dict[str, Any]) -> None:
        """What the dashboard's page does by itself: it says that a push was drawn, and that it is there."""
        state, told = data.get("state") or {}, data.get("content") or {}
        if "skeleton" in state:
            self._boards.append(comm)
        if comm in self._boards and "seq" in state:
            self.act("ack", board=self._boards.index(comm), seq=state["seq"])
        if comm in self._boards and "ping" in told:
            self.act("pong", board=self._boards.index(comm), ping=told["ping"])

    def act(self, name: str, /, *, board: int = -1, **facts: object) -> None:
        """Tell a dashboard, by default the newest, what somebody does on its page: "pause", "step", "change", ..."""
        data = {"method": "custom", "content": {"act": name, "id": "a page", **facts}}
        message = self.client.session.msg("comm_msg", {"comm_id": self._boards[board], "data": data})
        self.client.shell_channel.send(message)

    def watch(self, width: int = 700) -> None:
        """Say that a page shows the newest dashboard, as a page does when it has drawn it."""
        assert self._boards, "no dashboard was shown"
        self.act("ready", visible=True, width=width)

    def ask(self, expression: str) -> object:
        """The value of an expression, between two rounds or during one."""
        reply = self.answer_to(self.client.execute("", user_expressions={"it": expression}))
        return ast.literal_eval(reply["user_expressions"]["it"]["data"]["text/plain"])

    def wait_until(self, true: Callable[[], object], what: str) -> None:
        """Return as soon as ``true()`` is; the limit only ends a lost cause."""
        end = time.monotonic() + LIMIT
        while not true():
            assert time.monotonic() < end, f"waited in vain: {what}"
            time.sleep(0.05)
