"""Every deliberate error. Each teaches in three clauses: what happened, why it matters, what to do.

No error quotes a private value: names of owners, columns and settings are public, rows are not.
"""

from __future__ import annotations

from types import TracebackType


class FedLabError(Exception):
    """An error with three clauses: ``what`` happened, ``why`` it matters, what to ``do``."""

    def __init__(self, what: str, why: str, do: str) -> None:
        super().__init__(f"{what} {why} {do}")
        self.what, self.why, self.do = what, why, do

    def _render_traceback_(self) -> list[str]:
        """What IPython and Jupyter show in place of forty lines of this package's own code: the three clauses."""
        lines = [("What", self.what), ("Why", self.why), ("What to do", self.do)]
        place = _line_of_user(self.__traceback__)
        if place:
            lines.append(("Where", f"line {place} of your code"))
        said = (f"\n  {name:<12}{' '.join(text.split())}" for name, text in lines)
        # One string: IPython joins the parts of a list with or without line breaks, as its mode is.
        return [type(self).__name__ + "".join(said)]

    def __reduce__(self) -> tuple[type[FedLabError], tuple[str, ...]]:
        # Python would rebuild the error from its joined text alone; histories hold errors and may be copied or pickled.
        return type(self), (self.what, self.why, self.do)


def _line_of_user(trace: TracebackType | None) -> int | None:
    """The line in the notebook's own code that led to an error; its text stays out, as it may hold a private value."""
    place = None
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__") == "__main__":
            place = trace.tb_lineno
        trace = trace.tb_next
    return place


class PrivateDataError(FedLabError, AttributeError):
    """Rows of a data owner were asked for directly."""


class SchemaError(FedLabError):
    """Owners' frames do not fit together, or a frame lacks what was named."""


class SettingError(FedLabError, ValueError):
    """A parameter has a value that cannot work."""


class RuleError(FedLabError):
    """A combination of settings whose privacy claim would be false."""


class BudgetExceededError(FedLabError):
    """A release was refused because it would overspend an owner's privacy budget."""


class VaultError(FedLabError):
    """The file that keeps the budgets cannot be read, written or believed; nothing was released."""


class EncryptionError(FedLabError):
    """Something that cannot be sealed, added or opened safely."""


class DeploymentError(FedLabError):
    """Flower's processes could not be started, reached or believed."""


class RoundError(FedLabError):
    """A round failed at ``party`` during ``stage``; nothing was released."""

    def __init__(self, party: str, stage: str, what: str, why: str, do: str) -> None:
        super().__init__(what, why, do)
        self.party, self.stage = party, stage

    def __reduce__(self) -> tuple[type[FedLabError], tuple[str, ...]]:
        return type(self), (self.party, self.stage, self.what, self.why, self.do)
