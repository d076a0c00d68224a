"""Who could read what: sentences computed from the settings and from what the ledger holds, never from hopes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

from fedlab_nb.channel import HANDSHAKE
from fedlab_nb.parties.federation import Federation
from fedlab_nb.privacy import Total, by_purpose, epsilon_after, rounds_left
from fedlab_nb.records import Access, Message, PrivacyEvent, Spending, WhatIf

Word = Literal["own", "reads", "sealed", "never"]

# What the table calls each kind of message in the ledger, in the order in which a reader asks.
KINDS = {
    "update": "one owner's update",
    "sum of updates": "sum of updates",
    "model": "the model",
    "moment": "one owner's statistics",
    "sum of moments": "sum of statistics",
    "category list": "one owner's categories",
    "score count": "one owner's score counts",
    "own score": "one owner's score",
    "verdict": "one owner's noisy verdict",
}


# The purpose of the release that a strategy's noise multiplier is for.
UPDATE = "a round's update"
# Noise that the forecast compares, as a multiple of the noise in force.
WHAT_IF = (0.5, 0.75, 1.0, 1.5, 2.0, 4.0)


class Crossing(NamedTuple):
    """A distinct way in which something went from one party to another."""

    kind: str
    sender: str
    receiver: str
    encrypted: bool


def access(federation: Federation) -> tuple[Access, ...]:
    """Who sees what, read off the ledger: for each kind of thing what reached whom, how, and the newest of it."""
    crossings = [c for c in crossings_of(federation) if c.kind not in HANDSHAKE]
    rows = [Access("rows of an owner", "own", "never", "never")]
    kinds = {crossing.kind for crossing in crossings}
    # Where nobody opens a sum for it, the server works it out itself from what all owners help with.
    together = {f"sum of {c.kind}s" for c in crossings if c.encrypted and from_an_owner(c, federation)}
    together -= {kind.removesuffix(", opened") for kind in kinds if kind.endswith(", opened")}
    for kind, name in KINDS.items():
        if kind in together:
            rows.append(Access(name, "never", "reads", "never"))
        elif kind in kinds:
            crossed = [c for c in crossings if c.kind in (kind, f"{kind}, opened")]
            words = _owner(crossed, federation), _server(crossed), _key_holder(crossed)
            rows.append(Access(name, *words, samples=_samples(crossed, federation)))
        elif kind.startswith("sum of ") and kind.removeprefix("sum of ").removesuffix("s") in kinds:
            rows.append(Access(name, "never", "reads", "never"))
    for kind in dict.fromkeys(c.kind for c in crossings if from_an_owner(c, federation) and c.kind not in KINDS):
        crossed = [c for c in crossings if c.kind == kind]
        words = _owner(crossed, federation), _server(crossed), _key_holder(crossed)
        rows.append(Access(f"{kind} of one owner", *words, samples=_samples(crossed, federation)))
    return tuple(rows)


def crossings_of(federation: Federation) -> list[Crossing]:
    """The distinct ways in which something has crossed."""
    return [Crossing(*facts) for facts in federation.ledger.crossings]


def from_an_owner(crossing: Crossing, federation: Federation) -> bool:
    """True if an owner sent it."""
    return crossing.sender in federation.names


def _samples(
    crossed: Sequence[Crossing], federation: Federation
) -> tuple[Message | None, Message | None, Message | None]:
    """The newest such message at an owner, the server and the key holder, without its payload."""

    def newest(parties: Sequence[str], *, readable_first: bool) -> Message | None:
        mine = [c for c in crossed if c.sender in parties or c.receiver in parties]
        found = [m for m in (federation.ledger.newest(*c) for c in mine) if m is not None]
        best = max(found, key=lambda m: (readable_first and not m.encrypted, m.number), default=None)
        return replace(best, payload=None) if best is not None else None

    return (
        newest(federation.names, readable_first=True),
        newest(["server"], readable_first=True),
        newest(["key holder"], readable_first=True),
    )


def _owner(crossed: Sequence[Crossing], federation: Federation) -> Word:
    if any(m.sender in federation.names and not m.kind.endswith(", opened") for m in crossed):
        return "own"
    if any(m.sender in federation.names for m in crossed):
        return "reads"
    return "reads" if any(m.receiver in federation.names and not m.encrypted for m in crossed) else "never"


def _server(crossed: Sequence[Crossing]) -> Word:
    held = [m for m in crossed if "server" in (m.sender, m.receiver)]
    if any(not m.encrypted for m in held):
        return "reads"
    return "sealed" if held else "never"


def _key_holder(crossed: Sequence[Crossing]) -> Word:
    # Whatever reaches the key holder it can open; that only sums reach it is the protocol, and shown here.
    return "reads" if any("key holder" in (m.sender, m.receiver) for m in crossed) else "never"


def spending(
    federation: Federation,
    each: Sequence[PrivacyEvent] = (),
    to_come: Sequence[PrivacyEvent] = (),
    rounds_to_come: int = 0,
) -> Spending:
    """Where the budget stands, for the owner that spent most, and what may be claimed.

    ``each`` are the releases of one more round, ``rounds_to_come`` the planned rounds, ``to_come`` what is promised
    beside them (the verdict after the last round). What is foretold holds for every owner.
    """
    house = federation.house
    spent, claim = federation.epsilon(), _claim(federation)
    agreed = house.budget.epsilon if house.budget else None
    unit = house.protect.unit if house.protect else "row"
    if spent is None or house.protect is None:
        return Spending(agreed, federation.delta if house.protect else None, None, unit, claim, private=False)
    accounts = [federation.account(name) for name in federation.names]
    most = max(accounts, key=lambda account: account.spent(federation.delta))
    noise = next((event.amount for event in each if event.purpose == UPDATE), None)
    lanes = {tuple(account.lanes()) for account in accounts}
    futures = tuple(
        _future(federation, lanes, _noisier(each, factor), to_come, rounds_to_come) for factor in WHAT_IF if noise
    )
    return Spending(
        agreed,
        federation.delta,
        spent,
        unit,
        claim,
        private=True,
        left=next((future.rounds for future in futures if future.noise_multiplier == noise), None),
        lines=by_purpose(most, federation.delta),
        what_if=futures,
        noise_multiplier=noise,
    )


def _noisier(each: Sequence[PrivacyEvent], factor: float) -> list[PrivacyEvent]:
    return [replace(e, amount=e.amount * factor) if e.purpose == UPDATE else e for e in each]


def _future(
    federation: Federation,
    lanes: Iterable[Sequence[Total]],
    each: Sequence[PrivacyEvent],
    to_come: Sequence[PrivacyEvent],
    rounds_to_come: int,
) -> WhatIf:
    """If every further round released ``each``: rounds that fit at every owner, and the largest epsilon at the end."""
    budget, fit = federation.house.budget, None
    if budget is not None:
        fits = (rounds_left(lane, budget, each, to_come) for lane in lanes)
        fit = min((n for n in fits if n is not None), default=None)
    after = max(epsilon_after(lane, federation.delta, each, rounds_to_come, to_come) for lane in lanes)
    noise = next(event.amount for event in each if event.purpose == UPDATE)
    return WhatIf(noise, fit, after if after < math.inf else None)


def _claim(federation: Federation) -> str:
    house = federation.house
    if house.protect is None:
        return "No guarantee: there is no privacy mechanism, so the model and its scores may give rows away."
    if house.noise_seed is not None:
        return "No guarantee: this is a rehearsal, with noise from a known seed that anyone who knows it can subtract."
    if federation.epsilon() is None:
        return (
            "No guarantee: the same rows left without protection, or under a weaker one (another unit, a larger "
            "delta), earlier in this session, and what has left stays known."
        )
    what = "one row" if house.protect.unit == "row" else "all rows of one owner"
    shares = (
        " The noise comes in shares, one from each owner of a round: enough against any one owner who knows its own, "
        "not against several who put theirs together."
        if house.encrypt
        else ""
    )
    return (
        f"Adding or removing {what} changes the odds of anything released by at most a factor of e^epsilon, except "
        f"with probability delta = {federation.delta:g}. Every round, statistic and score of the same table since this "
        f"session began is counted, without credit for sampling.{shares}"
    )
