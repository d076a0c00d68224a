import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedlab_nb import ledger as module
from fedlab_nb.ledger import Ledger


class Clock:
    """A clock that only moves when told."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(module, "perf_counter", lambda: self.now)

    def work(self, seconds):
        self.now += seconds


def test_seconds_count_once_for_the_innermost_stage(monkeypatch):
    clock, ledger = Clock(monkeypatch), Ledger()
    with ledger.stage("outer"):
        clock.work(1)
        with ledger.stage("inner"):
            clock.work(2)
            with ledger.stage("innermost"):
                clock.work(4)
        with ledger.stage("inner"):
            clock.work(8)
        clock.work(16)
    with ledger.stage("outer"):
        clock.work(32)
    assert ledger.seconds == {"outer": 49.0, "inner": 10.0, "innermost": 4.0}


def test_a_stage_that_fails_is_counted_too(monkeypatch):
    clock, ledger = Clock(monkeypatch), Ledger()

    def fail():
        with ledger.stage("inner"):
            clock.work(2)
            raise KeyError

    with ledger.stage("outer"):
        with pytest.raises(KeyError):
            fail()
        clock.work(1)
    assert ledger.seconds == {"outer": 1.0, "inner": 2.0}


PLANS = st.recursive(
    st.lists(st.integers(1, 9), max_size=3), lambda inner: st.lists(st.one_of(st.integers(1, 9), inner), max_size=3)
)


@settings(max_examples=50, deadline=None)
@given(PLANS)
def test_whatever_the_nesting_the_stages_add_up_to_the_time_that_passed(plan):
    def play(parts, depth):
        with ledger.stage(f"depth {depth}"):
            for part in parts:
                if isinstance(part, int):
                    clock.work(part)
                else:
                    play(part, depth + 1)

    with pytest.MonkeyPatch.context() as monkeypatch:
        clock, ledger = Clock(monkeypatch), Ledger()
        play(plan, 0)
        assert sum(ledger.seconds.values()) == clock.now - 100.0
