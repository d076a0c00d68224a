"""Every compressor of ours passes, and a broken one is told what is wrong with it, in words."""

from dataclasses import dataclass

import numpy as np
import pytest

from fedlab_nb.checks import check_compressor
from fedlab_nb.compress import QSGD, RandomK, SignSGD, TopK

OURS = [TopK(0.01), TopK(0.1), TopK(1.0), TopK(0.2, feedback=False), RandomK(0.01), RandomK(0.3)]
OURS += [RandomK(0.01, feedback=False), RandomK(0.3, feedback=False), QSGD(1), QSGD(5), QSGD(1000), SignSGD(0.01)]


@pytest.mark.parametrize("compressor", OURS, ids=repr)
def test_every_compressor_of_ours_keeps_every_law(compressor):
    report = check_compressor(compressor)
    assert str(report.faults) == "()"
    assert report.right
    report.raise_if_wrong()


@dataclass(frozen=True)
class Plain:
    """32-bit numbers as they are: a packed change of a user's own."""

    payload: bytes

    @classmethod
    def from_bytes(cls, payload):
        return cls(payload)

    @property
    def nbytes(self):
        return len(self.payload)

    def restore(self):
        return np.frombuffer(self.payload, "<f4").astype(float)


def plain(change):
    return Plain(change.astype("<f4").tobytes())


@dataclass(frozen=True)
class Half:
    """A right compressor of a user's own."""

    needs = ()
    feedback = unbiased = False

    def compress(self, change, rng):
        return plain(change.astype(np.float16).astype(float))


def test_a_right_compressor_of_a_users_own_passes():
    assert str(check_compressor(Half()).faults) == "()"


class Broken(Half):
    """Every broken one below differs in one thing."""


class NoMethod:
    """It compresses nothing."""


class GivesNumbers(Broken):
    def compress(self, change, rng):
        return change


class GivesText(Broken):
    def compress(self, change, rng):
        return Plain("text")


class Loses(Broken):
    def compress(self, change, rng):
        return plain(change[:-1])


class DividesByZero(Broken):
    def compress(self, change, rng):
        return plain(change / np.abs(change).max())


class AsList(Plain):
    def restore(self):
        return list(super().restore())


class GivesLists(Broken):
    def compress(self, change, rng):
        return AsList(plain(change).payload)


class Hidden(Plain):
    """Restores from what does not cross."""

    def restore(self):
        return getattr(self, "kept", super().restore() * 0)


class KeepsAside(Broken):
    def compress(self, change, rng):
        packed = Hidden(plain(change).payload)
        object.__setattr__(packed, "kept", change.copy())
        return packed


class Boasts(Plain):
    @property
    def nbytes(self):
        return 3


class CountsWrongly(Broken):
    def compress(self, change, rng):
        return Boasts(plain(change).payload)


class WritesInto(Broken):
    def compress(self, change, rng):
        change[np.abs(change) < 0.5] = 0.0
        return plain(change)


class DrawsElsewhere(Broken):
    def compress(self, change, rng):
        return plain(change * np.random.default_rng().uniform(0.9, 1.1))


class TurnsRound(Broken):
    def compress(self, change, rng):
        return plain(-change)


class Nothing(Broken):
    def compress(self, change, rng):
        return plain(change * 0.0)


class SaysUnbiased(Broken):
    unbiased = True

    def compress(self, change, rng):
        return TopK(0.5).compress(change)


class UnscaledByChance(Broken):
    unbiased = True

    def compress(self, change, rng):
        return RandomK(0.5).compress(change, rng)


class Grows(Broken):
    feedback = True

    def compress(self, change, rng):
        return plain(change * 2.5)


class FewLevelsWithFeedback(Broken):
    feedback = True

    def compress(self, change, rng):
        return QSGD(1).compress(change, rng)


class Claims(Broken):
    needs = ("everything",)


class Silent(Broken):
    needs = None


class Undecided(Broken):
    feedback = None


@pytest.mark.parametrize(
    ("compressor", "law", "found", "do"),
    [
        (TopK, "bytes that restore", "TopK is a class.", "TopK(...)"),
        (NoMethod(), "bytes that restore", "has no compress method", "compress(change, rng)"),
        (GivesNumbers(), "bytes that restore", "has no payload and no restore and no from_bytes", "payload: bytes"),
        (GivesText(), "bytes that restore", "has a payload that is not bytes", "payload: bytes"),
        (Loses(), "bytes that restore", "of shape (1,) was restored to shape (0,)", "d real numbers"),
        (GivesLists(), "bytes that restore", "was restored to a list", "d real numbers"),
        (DividesByZero(), "bytes that restore", "A change of zeros was restored", "norm of 0"),
        (Silent(), "says what it needs", "needs=None", "or () for none"),
        (Undecided(), "says what it needs", "feedback=None", "feedback = True if"),
        (Claims(), "says what it needs", "needs=('everything',)", "single updates"),
        (KeepsAside(), "bytes alone", "other numbers were restored", "into payload"),
        (CountsWrongly(), "nbytes is", "nbytes is 3, and the payload has 240 bytes", "len(self.payload)"),
        (WritesInto(), "leaves the change", "had other values", "change.copy()"),
        (DrawsElsewhere(), "equal random numbers", "different bytes", "rng only"),
        (TurnsRound(), "points the way", "does not point the way", "signs"),
        (Nothing(), "points the way", "does not point the way", "signs"),
        (SaysUnbiased(), "unbiased is right", "off by more than chance allows", "unbiased = False"),
        (UnscaledByChance(), "unbiased is right", "off by more than chance allows", "d/k"),
        (Grows(), "less is lost", "2.25 times as large", "feedback = False"),
        (FewLevelsWithFeedback(), "less is lost", "times as large", "feedback = False"),
    ],
)
def test_a_broken_compressor_is_told_what_is_wrong(compressor, law, found, do):
    report = check_compressor(compressor)
    faults = [fault for fault in report.faults if law in fault.law]
    assert len(faults) == 1, str(report)
    assert found in faults[0].what
    assert do in faults[0].do
    assert not report.right
