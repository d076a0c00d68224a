"""What a check of somebody's own part found: the laws that hold, and in words what is wrong and what to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fedlab_nb.cards import framed, marked, one_line, panel, table_html
from fedlab_nb.errors import FedLabError, SettingError
from fedlab_nb.units import counted

GOOD, BAD, OPEN = ("✓", "holds", "fl-good"), ("✕", "broken", "fl-bad"), ("–", "not tried", "fl-soft")


class Broken(Exception):  # noqa: N818 - it says what a law found, and never reaches a user
    """Raised inside a law: ``what`` was found, and what to ``do``."""

    def __init__(self, what: str, do: str) -> None:
        super().__init__(what)
        self.what, self.do = what, do


@dataclass(frozen=True)
class Law:
    """A sentence that any part of a kind must make true, and the trial that raises ``Broken`` where it does not."""

    sentence: str
    trial: Callable[[], None]


@dataclass(frozen=True)
class Fault:
    """A law that is broken: its sentence, ``what`` was found, and what to ``do``."""

    law: str
    what: str
    do: str

    def __repr__(self) -> str:
        return one_line(f"Fault({self.law} {self.what})")

    def _repr_html_(self) -> str:
        return framed(panel(self.law, table_html(("What was found", "What to do"), [(self.what, self.do)])))


@dataclass(frozen=True, repr=False)
class Report:
    """What a check found about one part: prints as a list, and shows as a table."""

    part: str
    held: tuple[str, ...]
    faults: tuple[Fault, ...]
    untried: tuple[str, ...] = ()

    @property
    def right(self) -> bool:
        """Whether every law holds."""
        return not self.faults

    def raise_if_wrong(self) -> None:
        """Nothing where every law holds.

        Raises:
            SettingError: with the first fault, and how many more there are.
        """
        if self.faults:
            first, more = self.faults[0], len(self.faults) - 1
            others = (
                f" {counted(more, 'more law')} {'is' if more == 1 else 'are'} broken; print the report." if more else ""
            )
            raise SettingError(f"{self.part}: {first.what}", f"The law is: {first.law}", first.do + others)

    def __str__(self) -> str:
        lines = [f"✓ {law}" for law in self.held]
        lines += [f"✕ {fault.law}\n    Found: {fault.what}\n    To do: {fault.do}" for fault in self.faults]
        lines += [f"– not tried: {law}" for law in self.untried]
        return "\n".join([f"{self.part}: {self._verdict()}", *lines])

    def __repr__(self) -> str:
        return one_line(f"Report({self.part}: {self._verdict()})")

    def _verdict(self) -> str:
        if self.right:
            return f"all {len(self.held)} laws hold"
        tried = len(self.held) + len(self.faults)
        return f"{len(self.faults)} of {counted(tried, 'law')} broken"

    def _repr_html_(self) -> str:
        rows: list[tuple[object, ...]] = [(marked(*BAD), f.law, f"{f.what} {f.do}") for f in self.faults]
        rows += [(marked(*GOOD), law, "") for law in self.held]
        rows += [(marked(*OPEN), law, "") for law in self.untried]
        return framed(panel(f"{self.part}: {self._verdict()}", table_html(("", "Law", "What was found"), rows)))


def examine(part: str, laws: Sequence[Law]) -> Report:
    """Try every ``Law`` on one part; if the first one is broken, the others are not tried, as they rest on it."""
    held, faults = [], []
    for law in laws:
        fault = _fault(law)
        if fault is None:
            held.append(law.sentence)
            continue
        faults.append(fault)
        if law is laws[0]:
            break
    tried = len(held) + len(faults)
    return Report(one_line(part), tuple(held), tuple(faults), tuple(law.sentence for law in laws[tried:]))


def _fault(law: Law) -> Fault | None:
    try:
        # A part that divides by zero is judged by what it gives; its warnings would say it twice.
        with np.errstate(all="ignore"):
            law.trial()
    except Broken as broken:
        return Fault(law.sentence, broken.what, broken.do)
    except FedLabError as error:
        return Fault(law.sentence, f"It refused: {error.what}", error.do)
    except Exception as error:  # noqa: BLE001 - a part of somebody's own may raise anything, and all of it is to be said
        said = one_line(error)[:200]
        what = f"It raised {type(error).__name__}{f': {said}' if said else ''}."
        return Fault(law.sentence, what, "Call it by hand on a small array, and see where it fails.")
    return None


def check_needs(needs: object, known: Sequence[str]) -> None:
    """Raise ``Broken`` for ``needs`` that cannot be looked up."""
    if not isinstance(needs, tuple) or not all(isinstance(need, str) and need in known for need in needs):
        raise Broken(
            f"It has needs={needs!r}.",
            f'Give a tuple such as needs = ("single updates",), or () for none, of these names: {", ".join(known)}.',
        )
