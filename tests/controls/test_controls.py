"""The gate between rounds: no order of button presses may leave a run hanging."""

import threading
from itertools import product

import pytest

from fedlab_nb.controls import Controls

PRESSES = ("pause", "resume", "step")


def goes_on(controls):
    """Whether the gate lets a round through now; None if it waits."""
    answer = []
    asking = threading.Thread(target=lambda: answer.append(controls.may_go_on()), daemon=True)
    asking.start()
    asking.join(0.05)
    if asking.is_alive():
        controls.stop()
        asking.join(5)
        assert answer == [False], "stop must always end the wait"
        return None
    return answer[0]


@pytest.mark.parametrize("presses", [p for n in (1, 2, 3) for p in product(PRESSES, repeat=n)], ids="-".join)
def test_resume_always_goes_on_and_stop_always_ends(presses):
    controls = Controls()
    for press in presses:
        getattr(controls, press)()
    controls.resume()
    assert goes_on(controls)
    assert goes_on(controls)


def test_a_step_lets_exactly_one_round_through():
    controls = Controls()
    controls.pause()
    controls.step()
    assert goes_on(controls)
    assert goes_on(controls) is None


def test_a_step_without_a_pause_changes_nothing():
    controls = Controls()
    controls.step()
    controls.pause()
    assert goes_on(controls) is None


def test_nothing_goes_on_after_a_stop_and_no_later_pause_can_hold_the_end():
    controls = Controls()
    controls.stop("interrupted")
    controls.pause()
    assert not controls.paused
    assert goes_on(controls) is False
    assert controls.ended_by == "interrupted"
