"""What runs and questions hand to owners: it arrives, gives equal bits beside equal rows, and is on the lists."""

import pytest

from fedlab_nb.flower.codec import HELPERS, WORK
from tests.flower.codec.works import RUNS, works


@pytest.mark.parametrize("name", RUNS)
def test_work_that_was_sent_gives_the_bits_of_the_original(name):
    assert works(name)
    assert {work.kind: work.unequal for work in works(name) if work.unequal} == {}


def test_the_lists_hold_what_runs_and_questions_hand_over_and_nothing_else():
    sent = [work for name in RUNS for work in works(name)]
    assert {work.name for work in sent} == WORK
    assert {function for work in sent for function in work.functions} - WORK == HELPERS
