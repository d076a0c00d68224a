"""Updates that the server reads one by one, for rules that compare them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from fedlab_nb.channel.opening import Tensors
from fedlab_nb.errors import RuleError
from fedlab_nb.parties.beside.beside import Work, beside
from fedlab_nb.parties.beside.numbers import looked_at, read_sum
from fedlab_nb.parties.house import noisy, terms_of_sum
from fedlab_nb.parties.owner import DataOwner
from fedlab_nb.parties.rules import check_debits, check_noise
from fedlab_nb.payloads import Payload
from fedlab_nb.records import PrivacyEvent, Update

if TYPE_CHECKING:
    from fedlab_nb.parties.federation import Federation

Debits = Mapping[str, Sequence[PrivacyEvent]]


def collect(
    federation: Federation,
    owners: Mapping[str, DataOwner],
    kind: str,
    work: Work,
    *,
    number: int,
    cohort: Sequence[str],
    bound: float,
    debits: Debits,
    ahead: Debits | None = None,
    absent: Sequence[str] = (),  # noqa: ARG001 - who sends nothing is simply not there
    asked: str = "",  # noqa: ARG001 - single updates are not kept
    clip: float | None = None,
    noise_sd: float = 0.0,
    tensors: Tensors = (),
    payload: Callable[[str], Payload] | None = None,
) -> dict[str, Update]:
    """What ``work`` gives beside each owner's rows, as the server reads it: each with all of the noise.

    The terms are those of ``Federation.gather``. With ``payload`` an owner sends these bytes in place of its numbers,
    which stand for the same, and its weight beside them.
    """
    check_readable(federation, kind)
    house, ledger, lost = federation.house, federation.ledger, federation.losses
    debits = check_debits(kind, cohort, debits)
    updates = beside(owners, ledger, cohort, kind, work, partial(looked_at, kind, bound, clip, tensors), lost)
    lost.check(updates, cohort, 1)
    debits = {name: debits[name] for name in updates}
    check_noise(kind, house, debits, noise_sd, updates)
    terms = terms_of_sum(house, (len(owners), len(updates), 0), bound, noise_sd, None)
    federation.books.charge(debits, house, ahead)
    if payload is not None:
        for name, update in updates.items():
            ledger.post(number, name, "server", kind, payload(name))
            ledger.post(number, name, "server", "weight", np.array([update.weight]))
        return updates
    vectors, places = {}, {name: place for place, name in enumerate(federation.names)}
    for name, update in updates.items():
        at = number, places[name], kind
        vectors[name] = terms.plan.grid(noisy(house, terms, update, noise_sd, debits[name], at))
    ledger.post_each(number, "server", kind, vectors)
    return {name: read_sum(vector) for name, vector in vectors.items()}


def check_readable(federation: Federation, kind: str) -> None:
    """Refuse to read single updates where they are hidden.

    Raises:
        RuleError.
    """
    if federation.house.encrypt is not None:
        raise RuleError(
            f"{kind!r} was to be read owner by owner, and updates are hidden in this federation.",
            "Nobody but its owner is to know a single update.",
            "Use federation.gather, which opens sums only, or leave encrypt= out.",
        )
