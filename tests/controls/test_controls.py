"""The gate between rounds: no order of button presses may leave a run hanging."""

import threading
from itertools import product

import pytest

from fedlab_nb.controls import Controls

PRESSES = ("pause", "resume", "step")


def goes_on(controls):
    """Whether the gate lets a round through now; None if it waits."""
    answer = []
    asking = threading.Thread(target=lambda: answer.append(controls.next_move()), daemon=True)
    asking.start()
    asking.join(0.05)
    if asking.is_alive():
        controls.stop()
        asking.join(5)
        assert answer == ["end"], "stop must always end the wait"
        return None
    return answer[0]


@pytest.mark.parametrize("presses", [p for n in (1, 2, 3) for p in product(PRESSES, repeat=n)], ids="-".join)
def test_resume_always_goes_on_and_stop_always_ends(presses):
    controls = Controls()
    for press in presses:
        getattr(controls, press)()
    controls.resume()
    assert goes_on(controls) == "go"
    assert goes_on(controls) == "go"


def test_a_step_lets_exactly_one_round_through():
    controls = Controls()
    controls.pause()
    controls.step()
    assert goes_on(controls) == "go"
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
    assert goes_on(controls) == "end"
    assert controls.ended_by == "interrupted"


def test_a_nudge_lets_a_paused_side_look_once_and_no_round_through():
    controls = Controls()
    controls.pause()
    controls.nudge()
    assert goes_on(controls) == "look"
    assert goes_on(controls) is None


def test_an_interruption_after_a_stop_does_not_change_what_ended_the_run():
    controls = Controls()
    controls.stop()
    controls.stop("interrupted")
    assert controls.ended_by == "stopped"
