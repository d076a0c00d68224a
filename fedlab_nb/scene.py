"""What the eyes may see of a run, read off the federation, its ledger and its accounts: plain facts in a Snapshot."""

from __future__ import annotations

from collections import Counter
from itertools import chain

import numpy as np

from fedlab_nb.channel import HANDSHAKE
from fedlab_nb.errors import FedLabError
from fedlab_nb.parties import Federation
from fedlab_nb.parties.columns.fitting import is_vertical
from fedlab_nb.records import FINDING, History, Hop, OwnerLine, Round
from fedlab_nb.units import PERSONAL


def headline(history: History) -> str:
    """The metric that tells most about this run: RMSE where a number is predicted, else accuracy."""
    return "rmse" if any("rmse" in record.metrics for record in history) else "accuracy"


def hops(federation: Federation, history: History) -> tuple[Hop, ...] | None:
    """What went from owner to owner, or to who opens, in the newest round; None where owners hold the same columns.

    What they do once, to get to know each other and to find their rows in common, is left out.
    """
    if not is_vertical(federation.schema):
        return None
    newest = history[-1].number if history else 0
    found: dict[Hop, None] = {}
    for message in reversed(federation.ledger.messages):
        if message.round < newest or not newest:
            break
        apart = "server" not in (message.sender, message.receiver)
        if message.round == newest and apart and message.kind not in HANDSHAKE | FINDING:
            found[Hop(message.kind, message.sender, message.receiver, message.encrypted)] = None
    return tuple(reversed(found))


def owner_lines(federation: Federation, history: History) -> tuple[OwnerLine, ...]:
    """One line an owner: only what was released, what the server could read, and what its account says.

    Under a privacy mechanism no seconds either: they tell roughly how many rows an owner has, uncounted by epsilon.
    """
    metric, last = headline(history), history[-1] if history else None
    taken = Counter(chain.from_iterable(record.cohort for record in history))
    scored = next((r for r in reversed(history) if r.owner_metrics), None)
    lengths = _readable_lengths(federation, last)
    whole = sum(lengths.values())
    return tuple(
        OwnerLine(
            name,
            rounds=taken[name],
            present=last is not None and name in last.cohort,
            dropped=last is not None and name in last.dropped,
            rows=_released_rows(federation, name),
            score=scored.owner_metrics.get(name, {}).get(metric) if scored else None,
            share=lengths[name] / whole if name in lengths and whole else None,
            epsilon_left=federation.books.left(name, federation.house),
            seconds=None if federation.house.protect or last is None else last.owner_seconds.get(name),
            own_score=scored.owner_metrics.get(name, {}).get(PERSONAL + metric) if scored else None,
        )
        for name in federation.names
    )


def _readable_lengths(federation: Federation, last: Round | None) -> dict[str, float]:
    """The L2 length of each owner's newest update, where the server could read it."""
    lengths = {}
    for name in last.cohort if last else ():
        message = federation.ledger.newest("update", name, "server", encrypted=False)
        if message is not None and last is not None and message.round == last.number and message.payload is not None:
            lengths[name] = _length(federation, name, message.payload)
    return lengths


def _length(federation: Federation, name: str, payload: object) -> float:
    """The L2 length of an update, its weight multiplied in."""
    if not hasattr(payload, "restore"):
        # The last number of a message is the owner's weight.
        return float(np.linalg.norm(np.ravel(np.asarray(payload, dtype=np.float64))[:-1]))
    # A packed update is followed by a message with the weight.
    message = federation.ledger.newest("weight", name, "server", encrypted=False)
    weight = float(np.ravel(message.payload)[0]) if message is not None and message.payload is not None else 1.0  # type: ignore[call-overload]
    return weight * float(np.linalg.norm(payload.restore()))


def _released_rows(federation: Federation, name: str) -> int | None:
    """How many training rows an owner has, if it sent that number to the server readable and without noise."""
    if federation.house.protect is not None:
        return None
    message = federation.ledger.newest("moment", name, "server", encrypted=False)
    # The last two numbers of such a message are the count of rows and the weight (1).
    numbers = message.payload if message is not None else None
    return int(numbers[-2]) if isinstance(numbers, np.ndarray) and numbers.size > 2 else None


def told(error: BaseException, last: Round | None) -> str:
    """Why a run failed, so that it teaches: our own errors do, any other is said to be the strategy's."""
    if isinstance(error, FedLabError):
        return str(error)
    after = f"after round {last.number}" if last is not None else "before the first round was complete"
    paid = (
        ", and what a round released before it failed is paid for" if last is None or last.epsilon is not None else ""
    )
    return (
        f"{type(error).__name__}: {error}. It was raised by the strategy's own code {after}; the rounds before it are "
        f"kept{paid}, and the kernel is unharmed. Correct the strategy, run its cell and this one again."
    )
