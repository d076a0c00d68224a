"""What the server asks the notebook between rounds, and what the notebook wishes: a few words as JSON, both checked."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

NOTEBOOK = "notebook"
# The first byte says what is handed over: what do you wish; give me the wheel; let go.
WISHES, TAKE, LET_GO = b"w", b"t", b"l"
# For how long a question stays with the notebook where it wishes nothing new, in seconds. Meanwhile its SuperNode
# serves no other run: so it is shorter than a party's usual patience.
HOLD = 60.0
# A question or an answer is never longer than so many bytes.
LONGEST = 1 << 16


@dataclass(frozen=True)
class Question:
    """What the server tells when it asks: which agreement, the last round that is over, and what became of wishes.

    ``taken`` is the serial number of the last wish of ``wheel`` that it has heard; ``held`` says that the run is held.
    ``refused`` are the words in which a change was refused, "" if none was.
    """

    agreement: str
    after: int = 0
    held: bool = False
    wheel: str = ""
    taken: int = 0
    refused: str = ""

    @property
    def data(self) -> bytes:
        """The bytes of it."""
        return _written(self)

    @classmethod
    def read(cls, data: bytes) -> Self:
        """The question in these bytes.

        Raises:
            ValueError: it is none.
        """
        return cls(**_read(cls, data))


@dataclass(frozen=True)
class Wish:
    """All that a notebook wishes at a moment; the bare one is what is answered where no notebook listens.

    ``wheel`` says which notebook, and ``serial`` grows with each wish, so that one that is heard twice is done once.
    ``hold``: play no further round; but one more, if ``step`` is a number that was not heard before. ``change`` are
    other settings from the next round on; ``stop``: end well.
    """

    wheel: str = ""
    serial: int = 0
    hold: bool = False
    step: int = 0
    stop: bool = False
    change: Mapping[str, float] = field(default_factory=dict)

    @property
    def data(self) -> bytes:
        """The bytes of it."""
        return _written(self)

    @classmethod
    def read(cls, data: bytes) -> Self:
        """The wish in these bytes.

        Raises:
            ValueError, OverflowError: it is none.
        """
        facts = _read(cls, data)
        for value in facts["change"].values():
            if type(value) not in (int, float) or not math.isfinite(float(value)):
                raise ValueError("change")
        return cls(**facts)


def _written(said: Question | Wish) -> bytes:
    return json.dumps({f.name: getattr(said, f.name) for f in fields(said)}, allow_nan=False).encode()


def _read(kind: type[Question] | type[Wish], data: bytes) -> dict[str, Any]:
    """The facts in these bytes: all that there are, each of its kind, and no others."""
    if len(data) > LONGEST:
        raise ValueError("too long")
    try:
        facts = json.loads(data)
    except RecursionError:
        raise ValueError("too deep") from None
    known = {"str": str, "int": int, "bool": bool}
    kinds = {f.name: known.get(str(f.type), dict) for f in fields(kind)}
    if not isinstance(facts, dict) or facts.keys() != kinds.keys():
        raise ValueError("other facts")
    wrong = [name for name, value in facts.items() if type(value) is not kinds[name]]
    if wrong or any(type(value) is int and value < 0 for value in facts.values()):
        raise ValueError(str(wrong))
    return facts
