"""The buttons reach a kernel that trains: clicks are sent as a page would send them, without a page."""

import ast
import time
from collections.abc import Callable, Iterator
from queue import Empty

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

# Only a click ends this run.
TRAIN = """
import fedlab_nb as fl
owners = fl.split_rows(fl.data.breast_cancer(), owners=3)
fed = fl.Federation(owners, encrypt=fl.CKKS())
run = fl.train(fed, fl.FedAvg(fl.models.logistic()), num_rounds=50_000)
"""
LIMIT = 60.0


class Kernel:
    """A kernel as a front end sees it: cells go in, widgets and answers come out."""

    def __init__(self, client: BlockingKernelClient) -> None:
        self.client = client
        self.buttons: dict[str, str] = {}
        self.root = ""

    def run(self, source: str) -> dict[str, object]:
        """Execute a cell and return its reply; buttons that it makes are remembered."""
        number = self.client.execute(source)
        reply = self.client.get_shell_msg(timeout=LIMIT)
        while reply["parent_header"].get("msg_id") != number:
            reply = self.client.get_shell_msg(timeout=LIMIT)
        self.listen()
        content = reply["content"]
        assert content["status"] == "ok", "\n".join(content.get("traceback", []))
        return content

    def listen(self) -> None:
        """Read what the kernel told the page so far."""
        while True:
            try:
                message = self.client.get_iopub_msg(timeout=0.2)
            except Empty:
                return
            content = message["content"]
            state = content.get("data", {}).get("state", {})
            if state.get("_model_name") == "ButtonModel":
                self.buttons[state["description"]] = content["comm_id"]
            if "_view_count" in state and state["_view_count"] is not None:
                self.root = content["comm_id"]

    def tell(self, comm: str, data: dict[str, object]) -> None:
        """Send what a page would send."""
        message = self.client.session.msg("comm_msg", {"comm_id": comm, "data": data})
        self.client.shell_channel.send(message)

    def watch(self) -> None:
        """Say that a page shows the dashboard, as a page does."""
        self.tell(self.root, {"method": "update", "state": {"_view_count": 1}, "buffer_paths": []})

    def click(self, name: str) -> None:
        """Press the button that was made with this name."""
        self.tell(self.buttons[name], {"method": "custom", "content": {"event": "click"}})

    def ask(self, expression: str) -> object:
        """The value of an expression, between two rounds or during one."""
        number = self.client.execute("", user_expressions={"it": expression})
        reply = self.client.get_shell_msg(timeout=LIMIT)
        while reply["parent_header"].get("msg_id") != number:
            reply = self.client.get_shell_msg(timeout=LIMIT)
        return ast.literal_eval(reply["content"]["user_expressions"]["it"]["data"]["text/plain"])

    def wait_until(self, true: Callable[[], object], what: str) -> None:
        """Return as soon as ``true()`` is; the limit only ends a lost cause."""
        end = time.monotonic() + LIMIT
        while not true():
            assert time.monotonic() < end, f"waited in vain: {what}"
            time.sleep(0.05)


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    manager, client = start_new_kernel(kernel_name="python3", startup_timeout=LIMIT, extra_arguments=["--log-level=40"])
    try:
        yield Kernel(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_pause_step_resume_and_stop_work_while_the_kernel_trains(kernel: Kernel) -> None:
    kernel.run(TRAIN)
    kernel.watch()
    assert set(kernel.buttons) >= {"Pause", "Step", "Stop"}

    def count() -> int:
        return int(str(kernel.ask("len(run.history)")))

    kernel.wait_until(lambda: count() >= 2, "two rounds")
    kernel.click("Pause")
    kernel.wait_until(lambda: kernel.ask("run.state") == "paused", "the run is paused")
    time.sleep(0.5)
    held = count()
    time.sleep(1.0)
    assert count() == held
    kernel.click("Step")
    kernel.wait_until(lambda: count() > held, "one step")
    time.sleep(0.5)
    assert count() == held + 1
    kernel.click("Pause")  # it says Resume now, and is the same button
    kernel.wait_until(lambda: count() > held + 2, "the run goes on")
    kernel.click("Stop")
    kernel.wait_until(lambda: kernel.ask("run.state") == "stopped", "the run has stopped")
    assert kernel.ask("len(run.frame()) == len(run.history)") is True


def test_a_click_ends_a_cell_that_awaits_the_run(kernel: Kernel) -> None:
    kernel.run(TRAIN)
    waiting = kernel.client.execute("history = await run")
    time.sleep(1.0)
    kernel.click("Stop")
    reply = kernel.client.get_shell_msg(timeout=LIMIT)
    assert reply["parent_header"]["msg_id"] == waiting
    assert reply["content"]["status"] == "ok"
    assert kernel.ask("(run.state, len(history) == len(run.history))") == ("stopped", True)


def test_an_interrupt_leaves_what_there_is(kernel: Kernel) -> None:
    kernel.run(TRAIN)
    manager_interrupt = (
        "import threading, _thread; threading.Timer(1.5, _thread.interrupt_main).start(); h = run.wait()"
    )
    kernel.run(manager_interrupt)
    assert kernel.ask("(run.state, len(h) == len(run.history) > 0)") == ("interrupted", True)
