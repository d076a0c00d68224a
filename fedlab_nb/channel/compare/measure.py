"""One sum through each channel: invented numbers, real keys and messages, and every figure read off that run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.channel.compare.comparison import ChannelComparison, ChannelFigures, Dropped, Step
from fedlab_nb.channel.compare.readers import readers, scheme_name
from fedlab_nb.channel.opening import Encryption, open_channel
from fedlab_nb.crypto import BFV, CKKS, Plan, SecAgg
from fedlab_nb.errors import FedLabError, SettingError
from fedlab_nb.ledger import Ledger
from fedlab_nb.records import Message

Floats = NDArray[np.float64]

BOUND = 1.0
UPDATE = "update"
# Owners drop out of a sum of so few numbers: what happens then does not depend on how many there are.
_FEW = 256


class Trial(NamedTuple):
    """One sum through one channel: what crossed, what came out of it, or why nothing did."""

    ledger: Ledger
    plan: Plan | None
    result: Floats | None
    refused: FedLabError | None
    seconds: float


def compare_channels(
    owners: int = 10,
    numbers: int = 10_000,
    dropouts: int = 0,
    seed: int = 0,
    schemes: Sequence[Encryption | None] | None = None,
) -> ChannelComparison:
    """The same invented numbers through several channels: bytes, seconds, exactness, and who could read one update.

    Each channel gets a ledger, keys and a session of its own, and sums vectors (``numbers``,) of ``owners`` owners,
    uniform within ±1. Nothing in the table is written down beforehand: it is measured in this run.

    Args:
        owners: how many owners send a vector.
        numbers: how many numbers each of them sends.
        dropouts: so many of them, the last ones, are called for the sum and then send nothing.
        seed: what the numbers are drawn from.
        schemes: what to compare; left out: no protection, masks, CKKS, and CKKS whose key nobody holds.

    Raises:
        SettingError: a number that makes no sum, or the same scheme twice.

    Example:
        >>> compare_channels(owners=3, numbers=50, schemes=[None, SecAgg()])
        ChannelComparison(3 owners, 50 numbers: no protection 400 B, masks (SecAgg) 264 B an update)
    """
    chosen = (None, SecAgg(), CKKS(), CKKS(keys="threshold")) if schemes is None else tuple(schemes)
    _check(owners, numbers, dropouts, chosen)
    names = [f"Owner {i + 1}" for i in range(owners)]
    drawn = np.random.default_rng(seed).uniform(-BOUND, BOUND, (owners, numbers))
    vectors = dict(zip(names, drawn, strict=True))
    columns = tuple(_column(scheme, vectors, tuple(names[owners - dropouts :])) for scheme in chosen)
    return ChannelComparison(owners, numbers, dropouts, seed, tuple(map(float, drawn[0, :8])), columns)


def _column(scheme: Encryption | None, vectors: Mapping[str, Floats], absent: Sequence[str]) -> ChannelFigures:
    """One scheme: a small sum that owners drop out of, which loads its libraries too; then the one that counts."""
    missing = absent or list(vectors)[-1:]
    few = {name: vector[:_FEW] for name, vector in vectors.items()}
    dropped = _dropped(_trial(scheme, few, missing), few, missing)
    trial = _trial(scheme, vectors, absent)
    present = {name: vector for name, vector in vectors.items() if name not in absent}
    crossed = trial.ledger.messages
    sent = next((m for m in crossed if m.kind == UPDATE and m.sender in present), None)
    true, gridded = _errors(trial, list(present.values()))
    return ChannelFigures(
        scheme,
        scheme_name(scheme),
        message_bytes=sent.nbytes if sent else 0,
        bytes_per_number=sent.nbytes / len(next(iter(vectors.values()))) if sent else 0.0,
        owner_bytes=sum(m.nbytes for m in crossed if m.sender in present) / len(present),
        all_bytes=sum(m.nbytes for m in crossed),
        messages=len(crossed),
        steps=_steps(crossed, vectors),
        seconds=trial.seconds,
        stages=trial.ledger.seconds,
        error=true,
        grid_error=gridded,
        grid_bits=trial.plan.grid_bits if trial.plan else None,
        found=sent.peek if sent else None,
        readers=readers(scheme, len(vectors)),
        dropped=dropped,
        refused=trial.refused,
    )


def _trial(scheme: Encryption | None, vectors: Mapping[str, Floats], absent: Sequence[str]) -> Trial:
    """A sum through a channel of its own; a refusal is a result too."""
    ledger, began = Ledger(), perf_counter()
    present = {name: vector for name, vector in vectors.items() if name not in absent}
    plan = result = refused = None
    try:
        plan = (scheme or CKKS()).plan(bound=BOUND, owners=len(vectors))
        channel = open_channel(scheme, list(vectors), ledger, 1)
        result = channel.sum(UPDATE, present, plan, 1, absent=tuple(absent))
    except FedLabError as error:
        refused = error
    return Trial(ledger, plan, result, refused, perf_counter() - began)


def _errors(trial: Trial, vectors: Sequence[Floats]) -> tuple[float | None, float | None]:
    """The largest error against the exact sum of the numbers, and against that of the numbers on the grid."""
    if trial.result is None or trial.plan is None:
        return None, None
    exact = np.array([math.fsum(column) for column in zip(*vectors, strict=True)])
    gridded = np.sum([trial.plan.grid(vector) for vector in vectors], axis=0)
    return float(np.abs(trial.result - exact).max()), float(np.abs(trial.result - gridded).max())


def _dropped(trial: Trial, vectors: Mapping[str, Floats], absent: Sequence[str]) -> Dropped:
    """What became of a sum that some owners dropped out of, and how much had to be sent a second time for it."""
    _, error = _errors(trial, [vector for name, vector in vectors.items() if name not in absent])
    crossed = Counter((m.kind, m.sender, m.receiver) for m in trial.ledger.messages)
    return Dropped(len(absent), len(vectors) - len(absent), error, crossed.total() - len(crossed), trial.refused)


def _steps(messages: Sequence[Message], owners: Mapping[str, Floats]) -> tuple[Step, ...]:
    """Messages of one kind that go the same way at once are one step; of one party's several, each is a step."""

    def role(party: str) -> str:
        return "owner" if party in owners else party

    ways: dict[tuple[str, str, str], list[Message]] = {}
    for m in messages:
        ways.setdefault((m.kind, role(m.sender), role(m.receiver)), []).append(m)
    return tuple(
        Step(
            *way,
            times=max(Counter((m.sender, m.receiver) for m in same).values()),
            messages=len(same),
            nbytes=sum(m.nbytes for m in same),
            sealed=same[0].encrypted,
        )
        for way, same in ways.items()
    )


def _check(owners: int, numbers: int, dropouts: int, schemes: Sequence[object]) -> None:
    for name, value, least in (("owners", owners, 2), ("numbers", numbers, 1), ("dropouts", dropouts, 0)):
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if not whole or value < least:
            raise SettingError(
                f"{name} is {value!r}.",
                "A comparison sends real vectors of several owners, of whom some may drop out.",
                f"Give a whole number from {least} up.",
            )
    if dropouts >= owners:
        raise SettingError(
            f"{dropouts} of {owners} owners are to drop out.",
            "Nobody would be left to send anything.",
            f"Use dropouts from 0 to {owners - 1}.",
        )
    wrong = [s for s in schemes if not isinstance(s, CKKS | BFV | SecAgg | None)]
    named = Counter(scheme_name(s) for s in schemes if isinstance(s, CKKS | BFV | SecAgg | None))
    twice = [name for name, count in named.items() if count > 1]
    if wrong or twice or not schemes:
        what = f"There is no scheme {wrong[0]!r}." if wrong else "There is no scheme to compare."
        what = f"{twice[0]} is there twice." if twice else what
        raise SettingError(
            what,
            "Each column of the comparison is one way to send the same numbers.",
            "Use different ones of None, fl.SecAgg(), fl.CKKS() and fl.BFV(), with the settings to compare.",
        )
