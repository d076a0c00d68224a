"""The buttons reach a kernel that trains: clicks are sent as a page would send them, without a page."""

import time

import pytest

from tests.notebooks.kernel import Kernel

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

# Only a click ends this run.
TRAIN = """
import fedlab_nb as fl
owners = fl.split_rows(fl.data.breast_cancer(), owners=3)
fed = fl.Federation(owners, encrypt=fl.CKKS())
run = fl.train(fed, fl.FedAvg(fl.models.logistic()), num_rounds=50_000)
"""


def test_pause_step_resume_and_stop_work_while_the_kernel_trains(kernel: Kernel) -> None:
    kernel.run(TRAIN)
    kernel.watch()

    def count() -> int:
        return int(str(kernel.ask("len(run.history)")))

    kernel.wait_until(lambda: count() >= 2, "two rounds")
    kernel.act("pause")
    kernel.wait_until(lambda: kernel.ask("run.state") == "paused", "the run is paused")
    time.sleep(0.5)
    held = count()
    time.sleep(1.0)
    assert count() == held
    kernel.act("step")
    kernel.wait_until(lambda: count() > held, "one step")
    time.sleep(0.5)
    assert count() == held + 1
    kernel.act("resume")
    kernel.wait_until(lambda: count() > held + 2, "the run goes on")
    kernel.act("stop")
    kernel.wait_until(lambda: kernel.ask("run.state") == "stopped", "the run has stopped")
    assert kernel.ask("len(run.frame()) == len(run.history)") is True


def test_a_click_ends_a_cell_that_awaits_the_run(kernel: Kernel) -> None:
    kernel.run(TRAIN)
    kernel.watch()
    waiting = kernel.client.execute("history = await run")
    time.sleep(1.0)
    kernel.act("stop")
    assert kernel.answer_to(waiting)["status"] == "ok"
    assert kernel.ask("(run.state, len(history) == len(run.history))") == ("stopped", True)


def test_an_interrupt_leaves_what_there_is(kernel: Kernel) -> None:
    kernel.run(TRAIN)
    kernel.run("import time\nwhile not run.history:\n    time.sleep(0.05)")
    kernel.run("import threading, _thread; threading.Timer(0.5, _thread.interrupt_main).start(); h = run.wait()")
    assert kernel.ask("(run.state, len(h) == len(run.history) > 0)") == ("interrupted", True)
