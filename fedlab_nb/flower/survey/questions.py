"""Questions that are agreed on beforehand: a function that asks a frame, one answer after the other.

    def questions(frame):
        yield "mean age", frame["age"].mean(epsilon=0.5)
        yield "by ward", frame.groupby("ward").size(epsilon=0.2)

In the notebook ``dict(questions(fl.PrivateFrame(federation)))`` answers them. Exported, its source travels as the app's
``task.py``. The server runs it, and nobody else: sites read it, and answer what it comes to ask. Owners of different
columns agree on each question beforehand (agreed.py), and answer those and no others.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any

from fedlab_nb.analytics.apart.asked import Asked
from fedlab_nb.errors import RuleError, SettingError
from fedlab_nb.flower import task
from fedlab_nb.parties.house import House
from fedlab_nb.protect import OwnerLevelDP

SELECTION = "selection of columns"
# Those in which one owner's columns may be multiplied with another's.
ACROSS = ("correlations across owners", "cross table across owners", "weights of evidence across owners", SELECTION)


@dataclass(frozen=True, repr=False)
class Questions:
    """What an agreement says of them: the function's ``name``, and the SHA-256 of the file that it is in, in hex.

    ``agreed`` are the questions one by one, where owners hold different columns; () where they have the same ones.
    """

    name: str
    source: str
    agreed: tuple[Asked, ...] = ()

    @classmethod
    def of(cls, name: str, source: bytes, agreed: tuple[Asked, ...] = ()) -> Questions:
        """Those that the function ``name`` in a file with this ``source`` asks."""
        return cls(name, hashlib.sha256(source).hexdigest(), agreed)

    @property
    def multiplies(self) -> bool:
        """Whether some question may multiply one owner's sealed numbers with another's."""
        return any(asked.kind in ACROSS for asked in self.agreed)

    def check(self, folder: Path) -> bytes:
        """The source, if the file in ``folder`` is the one that was agreed on; nothing of it is run.

        Raises:
            SettingError: it is another one, or not there.
        """
        try:
            found = (folder / task.FILE).read_bytes()
        except OSError:
            found = b""
        if hashlib.sha256(found).hexdigest() != self.source:
            raise SettingError(
                f"The file {task.FILE!r} of the app is {'not the one that was agreed on' if found else 'not there'}.",
                "It holds the questions that the server asks of everybody's rows.",
                "Take the app anew from whoever exported it.",
            )
        return found

    def function(self, folder: Path) -> Callable[[Any], Any]:
        """The function itself, from the file in ``folder``, which is run for it: the server's part.

        Raises:
            SettingError: the file is another one, cannot be run, or has no such function.
        """
        module = task.loaded(task.name_of(self.check(folder)), folder)
        found = getattr(module, self.name, None)
        if not isinstance(found, FunctionType):
            raise SettingError(
                f"The file {task.FILE!r} of the app has no function {self.name!r}.",
                "It is the one that asks the questions.",
                "Take the app anew from whoever exported it.",
            )
        return found

    def __repr__(self) -> str:
        return f"{self.name}(frame) in {task.FILE}, SHA-256 {self.source}"


def asks(what: object) -> bool:
    """True for a function of questions, false for a strategy."""
    return isinstance(what, FunctionType)


def check_questions(function: FunctionType, house: House, *, num_rounds: object = None, seed: object = None) -> None:
    """Refuse what cannot be asked past one machine, and settings that questions do not have.

    Raises:
        SettingError, RuleError.
    """
    given = {"num_rounds": num_rounds, "seed": seed}
    for name, value in given.items():
        if value is not None:
            raise SettingError(
                f"{name}={value!r} was given with the questions {function.__name__!r}.",
                "Questions have no rounds and draw no minibatches; a setting without a meaning cannot be agreed on.",
                f"Leave {name} out.",
            )
    if _ours(function.__module__):
        raise SettingError(
            f"The function {function.__name__!r} is of this package, and was given as questions.",
            "A strategy was probably meant, or a function of your own.",
            "Export a strategy, such as fl.FedAvg(fl.models.mlp()), or a function with a yield for each answer.",
        )
    _check_allowed(function, house)


def _ours(module: str) -> bool:
    return module == "fedlab_nb" or module.startswith("fedlab_nb.")


def _check_allowed(function: FunctionType, house: House) -> None:
    if not inspect.isgeneratorfunction(function) or len(inspect.signature(function).parameters) != 1:
        raise SettingError(
            f"The function {function.__name__!r} does not yield its answers one by one, or has not one parameter.",
            "What was answered before a question is refused would be lost, and the budget for it spent.",
            'Write it so: def questions(frame): yield "mean age", frame["age"].mean(epsilon=0.5), and a yield for '
            "each further answer.",
        )
    if isinstance(house.protect, OwnerLevelDP):
        raise RuleError(
            f"Questions about rows were to be exported with {house.protect!r}, which protects whole owners.",
            "All rows of an owner together can move a sum as far as they like: no noise that leaves something to see "
            "would hide an owner, and every question would be refused.",
            "Export a federation with fl.RowLevelDP(), or one without a mechanism.",
        )
    rounds = {"sample_rate": 1.0, "dropout": 0.0, "min_owners": None}
    for name, usual in rounds.items():
        if getattr(house, name) != usual:
            raise SettingError(
                f"Questions were to be exported with {name}={getattr(house, name)!r}.",
                "All owners are asked every question: an answer without one of them would be about other rows than it "
                "says, with other noise.",
                f"Make the federation without {name}: a question that an owner does not answer then ends the run, and "
                "what was answered before is kept.",
            )
