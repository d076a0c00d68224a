"""A twin of a federation: the same settings and accounts, and invented rows. What it does costs what the real one will.

Nothing is asked of real rows, no message is written into the real ledger, and the real budgets stay as they are.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, fields, is_dataclass, replace

import numpy as np

from fedlab_nb.channel import HANDSHAKE
from fedlab_nb.parties import DataOwner, Federation
from fedlab_nb.records import Round, Spending
from fedlab_nb.rounds import Strategy, rounds

# What train() takes if nobody says otherwise: who takes part in which round follows from it.
SEED = 0


@dataclass(frozen=True)
class Amount:
    """What some rounds take: seconds, bytes as sent, bytes if all went in the clear, bytes of memory kept of them.

    ``shared`` are those of the seconds that several processes could share, as they are spent owner by owner.
    """

    seconds: float = 0.0
    sent: float = 0.0
    plain: float = 0.0
    kept: float = 0.0
    shared: float = 0.0

    def __add__(self, other: Amount) -> Amount:
        return Amount(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __mul__(self, times: float) -> Amount:
        return Amount(*(getattr(self, f.name) * times for f in fields(self)))


@dataclass(frozen=True)
class Played:
    """What a twin took for its first round, for one in the middle (none in runs of two rounds), and for the last.

    ``keys`` is what handing out fresh keys sends once more, beside that.
    """

    first: Amount
    middle: Amount
    last: Amount
    spending: Spending
    keys: Amount


class TwinFailedError(Exception):
    """A round of the twin failed: in which one, and why."""

    def __init__(self, record: Round) -> None:
        super().__init__(f"In round {record.number}: {record.failed}")


def twin_of(federation: Federation, rows: int) -> Federation:
    """A federation like this one whose owners hold ``rows`` invented rows each, and have spent what these have."""
    house = {f.name: getattr(federation.house, f.name) for f in fields(federation.house)}
    if house["encrypt"]:
        # It skips rounds; fresh keys are counted apart.
        house["encrypt"] = replace(house["encrypt"], rounds_per_key=sys.maxsize)
    twin = Federation([_invented(owner, rows, seed) for seed, owner in enumerate(federation.owners)], **house)
    # The accounts of invented rows are unspent, and are to stay so for whoever uses such rows.
    twin.books = twin.books.apart(federation.books.accounts)
    return twin


def _invented(owner: DataOwner, rows: int, seed: int) -> DataOwner:
    frame, schema = owner.mock(rows=rows, seed=seed), owner.schema
    if owner.target and schema.target.kind == "numeric":
        # Few different whole numbers would be taken for classes.
        frame = frame.astype({owner.target: float})
    columns, id_column = (*schema.features, schema.target), owner.id
    if isinstance(id_column, tuple):
        # Invented names are not alike: such rows are found by a number of theirs.
        frame = frame.drop(columns=list(id_column)).assign(**{str(id_column): range(rows)})
        id_column = str(id_column)
    return DataOwner(
        owner.name,
        frame,
        target=owner.target or None,
        id=id_column,
        held_out=owner.held_out,
        bounds={c.name: c.bounds for c in columns if c.bounds is not None},
        categories={c.name: c.categories for c in columns if c.categories is not None},
    )


def begin(twin: Federation, strategy: Strategy, num_rounds: int) -> None:
    """Play the first round, and count nothing.

    Raises:
        TwinFailedError, FedLabError: as ``play`` does.
    """
    _one(twin, strategy, num_rounds, None, {})


def play(twin: Federation, strategy: Strategy, num_rounds: int) -> Played:
    """Play the first round, two in the middle and the last one, as a run of ``num_rounds`` rounds would.

    Of the rounds in the middle those with the fewest and the most owners are played; a mean round lies between them.

    Raises:
        TwinFailedError: if one of these rounds failed.
        FedLabError: if the run is refused.
    """
    known: dict[int, object] = {}
    record, first = _one(twin, strategy, num_rounds, None, known)
    spending = strategy.spending(twin, record, num_rounds)
    middle, last, begun = Amount(), Amount(), _handshakes(record)
    if num_rounds > 2:
        few, many, share = _between(twin, num_rounds)
        amounts = {}
        for number in sorted({few, many}):  # in order, as going back would take fresh keys
            record, amounts[number] = _one(twin, strategy, num_rounds, replace(record, number=number - 1), known)
        middle = amounts[few] * (1 - share) + amounts[many] * share
    if num_rounds > 1:
        record, last = _one(twin, strategy, num_rounds, replace(record, number=num_rounds - 1), known)
    keys = Amount(sent=max(begun - _handshakes(record), 0) if num_rounds > 1 else 0.0)
    return Played(first, middle, last, spending, keys)


def _handshakes(record: Round) -> int:
    """Bytes of a round by which parties got to know each other: keys, signatures, shares."""
    return sum(flow.nbytes for kind, flow in record.traffic.items() if kind in HANDSHAKE)


def _between(twin: Federation, num_rounds: int) -> tuple[int, int, float]:
    """The rounds between first and last with the fewest and the most owners, and where the mean lies between them."""
    sizes = {number: len(twin.cohort(number, SEED)) for number in range(2, num_rounds)}
    busy = [number for number, size in sizes.items() if size] or [2]
    few, many = min(busy, key=sizes.__getitem__), max(reversed(busy), key=sizes.__getitem__)
    apart, mean = sizes[many] - sizes[few], sum(sizes.values()) / len(sizes)
    return few, many, (mean - sizes[few]) / apart if apart else 0.5


def _one(
    twin: Federation, strategy: Strategy, num_rounds: int, after: Round | None, known: dict[int, object]
) -> tuple[Round, Amount]:
    """The round that follows ``after``, and what it took. ``known`` are objects that are kept already."""
    if after is not None:
        # Such a round is played for what it takes, also where the budget ends before it: the forecast tells of that.
        twin.books = twin.books.apart({})
    before, began = len(twin.ledger), time.perf_counter()
    record = next(rounds(twin, strategy, num_rounds=num_rounds, seed=SEED, after=after))
    seconds = time.perf_counter() - began
    if record.failed is not None:
        raise TwinFailedError(record)
    kept = footprint([record, *(replace(m, payload=None) for m in twin.ledger.messages[before:])], known)
    sent = sum(flow.nbytes for flow in record.traffic.values())
    plain = sum(flow.plain_nbytes for flow in record.traffic.values())
    stages = ("local work", *(("add",) if twin.house.encrypt is None else ()))
    return record, Amount(seconds, sent, plain, kept, sum(record.seconds.get(stage, 0.0) for stage in stages))


def footprint(thing: object, known: dict[int, object]) -> int:
    """Bytes of memory of ``thing`` and all that it holds, without those ``known`` by their id; these become known."""
    if id(thing) in known:
        return 0
    known[id(thing)] = thing
    size = sys.getsizeof(thing)
    parts: Iterable[object] = ()
    if isinstance(thing, np.ndarray):
        parts = () if thing.base is None else (thing.base,)
    elif isinstance(thing, dict):
        parts = (*thing.keys(), *thing.values())
    elif isinstance(thing, list | tuple | set | frozenset):
        parts = tuple(thing)
    elif is_dataclass(thing) and not isinstance(thing, type):
        parts = (getattr(thing, "__dict__", ()),)
    return size + sum(footprint(part, known) for part in parts)
