"""Who could read what: sentences computed from the settings and from what the ledger holds, never from hopes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

from fedlab_nb.channel import HANDSHAKE
from fedlab_nb.parties.federation import Federation
from fedlab_nb.parties.shown.kinds import FOR_A_KEY, KINDS, family
from fedlab_nb.privacy import (
    Account,
    Budget,
    RenyiMeter,
    Total,
    by_purpose,
    epsilon_after,
    frozen_rounds_left,
    rounds_left,
)
from fedlab_nb.privacy.forecast import who_stops_first
from fedlab_nb.privacy.tight import naive_epsilon
from fedlab_nb.records import Access, Message, PrivacyEvent, Spending, WhatIf
from fedlab_nb.units import counted

Word = Literal["own", "reads", "sealed", "never"]

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
    kinds = {family(crossing.kind) for crossing in crossings}
    # Where nobody opens a sum for it, the server works it out itself from what all owners help with.
    together = {f"sum of {c.kind}s" for c in crossings if c.encrypted and from_an_owner(c, federation)}
    together -= {kind.removesuffix(", opened") for kind in kinds if kind.endswith(", opened")}
    for kind, name in KINDS.items():
        if kind in together:
            rows.append(Access(name, "never", "reads", "never"))
        elif kind in kinds:
            crossed = [c for c in crossings if family(c.kind) in (kind, f"{kind}, opened")]
            words = _owner(crossed, federation), _server(crossed), _key_holder(crossed)
            rows.append(Access(name, *words, samples=_samples(crossed, federation)))
        elif kind.startswith("sum of ") and kind.removeprefix("sum of ").removesuffix("s") in kinds:
            rows.append(Access(name, "never", "reads", "never"))
    others = (family(c.kind) for c in crossings if from_an_owner(c, federation))
    for kind in dict.fromkeys(kind for kind in others if kind.removesuffix(", opened") not in KINDS):
        crossed = [c for c in crossings if family(c.kind) == kind]
        words = _owner(crossed, federation), _server(crossed), _key_holder(crossed)
        rows.append(Access(f"{kind} of one owner", *words, samples=_samples(crossed, federation)))
    return tuple(rows)


def crossings_of(federation: Federation) -> list[Crossing]:
    """The distinct ways in which something has crossed."""
    return [Crossing(*facts) for facts in federation.ledger.crossings]


def has_key(party: str, federation: Federation) -> bool:
    """True if this party handed out a public key, so that it has the secret one."""
    return any(c.kind == "public key" and c.sender == party for c in crossings_of(federation))


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
    between = [m for m in crossed if {m.sender, m.receiver} <= set(federation.names)]
    if any(not m.encrypted or (family(m.kind) in FOR_A_KEY and has_key(m.receiver, federation)) for m in between):
        return "reads"  # one owner has told another
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
    bindings = {name: federation.books.binding(name, house) for name in federation.names}
    agreed = min((b.epsilon for b in bindings.values() if b is not None), default=None)
    unit = house.protect.unit if house.protect else "row"
    if spent is None or house.protect is None:
        return Spending(agreed, federation.delta if house.protect else None, None, unit, claim, private=False)
    most = max(federation.names, key=lambda name: federation.account(name).spent(federation.delta))
    bound = bindings[most]
    noise = next((event.amount for event in each if event.purpose == UPDATE), None)
    outlooks = {name: (tuple(federation.account(name).lanes()), budget) for name, budget in bindings.items()}
    planned = frozen_rounds_left([(federation.account(o.name), o.held_out) for o in federation.owners], each)
    futures = _futures(federation, set(outlooks.values()), each, to_come, rounds_to_come) if noise else ()
    if planned is not None and noise:
        # A frozen plan is paid as a whole: what is left of it costs no more, and no other noise can be had.
        futures = (WhatIf(noise, planned, spent),)
    left = next((future.rounds for future in futures if future.noise_multiplier == noise), None)
    # A comparison for the end of a run: it takes milliseconds, and no round is to wait for it.
    ended = rounds_to_come == 0 or left == 0
    return Spending(
        bound.epsilon if bound is not None else agreed,
        federation.delta,
        spent,
        unit,
        claim,
        private=True,
        left=left,
        lines=by_purpose(federation.account(most), federation.delta),
        what_if=futures,
        noise_multiplier=noise,
        first=_first(outlooks, each, to_come) if noise and planned is None else None,
        naive=_naive(federation.account(most), federation.delta) if ended else None,
    )


def _first(
    outlooks: Mapping[str, tuple[tuple[Total, ...], Budget | None]],
    each: Sequence[PrivacyEvent],
    to_come: Sequence[PrivacyEvent],
) -> tuple[str, int] | None:
    """Whose budget ends first and after how many more rounds; None if nobody's does, or all end alike.

    ``outlooks`` are by owner what its account gave, and the budget that binds it.
    """
    named: dict[tuple[tuple[Total, ...], Budget | None], str] = {}
    for name, outlook in outlooks.items():
        named.setdefault(outlook, name)  # one stands for all who have given the same under the same budget
    if len(named) == 1:
        return None
    lanes = {name: lanes for (lanes, _), name in named.items()}
    budgets = {name: budget for (_, budget), name in named.items() if budget is not None}
    found = who_stops_first(lanes, budgets, dict.fromkeys(lanes, each), dict.fromkeys(lanes, to_come))
    if found is None:
        return None
    later = len(budgets) < len(lanes) or any(
        rounds_left(lanes[name], budget, each, to_come) != found[1] for name, budget in budgets.items()
    )
    return found if later else None


def _naive(account: Account, delta: float) -> float | None:
    """The epsilons of all releases of the same rows added up, where that is most; None where none holds."""
    one_kind = len({share for _, share in account.counts}) > 1  # the split changed: all rows may be the same
    sums = []
    for rows in ("training", "held-out"):
        touched: Counter[PrivacyEvent] = Counter()
        for (event, _), times in account.counts.items():
            touched[event] += times if one_kind or event.rows in (rows, "all") else 0
        sums.append(naive_epsilon(touched, delta))
    return max(sums) if max(sums) < math.inf else None


def _noisier(each: Sequence[PrivacyEvent], factor: float) -> list[PrivacyEvent]:
    return [replace(e, amount=e.amount * factor) if e.purpose == UPDATE else e for e in each]


def _futures(
    federation: Federation,
    lanes: Collection[tuple[Sequence[Total], Budget | None]],
    each: Sequence[PrivacyEvent],
    to_come: Sequence[PrivacyEvent],
    rounds_to_come: int,
) -> tuple[WhatIf, ...]:
    """What would come of the planned noise, and of other noise."""
    return tuple(_future(federation, lanes, _noisier(each, f), to_come, rounds_to_come) for f in WHAT_IF)


def _future(
    federation: Federation,
    lanes: Iterable[tuple[Sequence[Total], Budget | None]],
    each: Sequence[PrivacyEvent],
    to_come: Sequence[PrivacyEvent],
    rounds_to_come: int,
) -> WhatIf:
    """If every further round released ``each``: rounds that fit at every owner, and the largest epsilon at the end."""
    fits = (rounds_left(lane, budget, each, to_come) for lane, budget in lanes if budget is not None)
    fit = min((n for n in fits if n is not None), default=None)
    after = max(epsilon_after(lane, federation.delta, each, rounds_to_come, to_come) for lane, _ in lanes)
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
            "delta), earlier, and what has left stays known."
        )
    what = "one row" if house.protect.unit == "row" else "all rows of one owner"
    shares = (
        f" The noise comes in shares, one from each owner of a round: enough against any "
        f"{counted(house.protect.colluding, 'owner')} who know their own, not against more who put theirs together."
        if house.encrypt
        else ""
    )
    sampled = any(isinstance(federation.account(name).meter, RenyiMeter) for name in federation.names)
    credit = "with credit for rows that took part at random, in secret" if sampled else "without credit for sampling"
    if all(federation.account(name).is_one_plan for name in federation.names):
        credit = (
            "as one plan that was frozen and paid before its first release, by composing privacy loss distributions, "
            "with credit for rows that took part at random, in secret"
        )
    kept = "in its vault" if federation.books.vault.path else "since this session began"
    return (
        f"Adding or removing {what} changes the odds of anything released by at most a factor of e^epsilon, except "
        f"with probability delta = {federation.delta:g}. Every round, statistic and score of the same table {kept} "
        f"is counted, {credit}.{shares}"
    )
