"""What a planned run will cost, measured on a twin before anything starts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from fedlab_nb.checkup.machine import cores, resident
from fedlab_nb.checkup.twin import Amount, Played, TwinFailedError, begin, play, twin_of
from fedlab_nb.errors import FedLabError
from fedlab_nb.ledger import KEPT_BYTES
from fedlab_nb.parties import Federation
from fedlab_nb.pool.worth import worth
from fedlab_nb.records import Spending
from fedlab_nb.rounds import Strategy, rounds


@dataclass(frozen=True)
class Cost:
    """What a run of ``num_rounds`` rounds will take; ``memory`` is what it adds to this process, in bytes.

    ``first`` and ``last`` are those rounds (with what is done once, at the beginning and at the end), ``middle`` is a
    mean round between them.
    """

    num_rounds: int
    first: Amount
    middle: Amount
    last: Amount
    memory: float
    keys: Amount = field(default_factory=Amount)

    @property
    def whole(self) -> Amount:
        """All rounds together, and the fresh keys in between."""
        return self.first + self.middle * max(self.num_rounds - 2, 0) + self.last + self.keys


@dataclass(frozen=True)
class Outlook:
    """The privacy budget at the end of the planned run, and what is left of it now.

    ``epsilon`` is what the owner that spends most will have spent; None without a guarantee, and ``claim`` says why.
    ``left`` is what the owner with least has left now, ``where`` says who that is if others have more; ``rounds`` is
    how many rounds fit. Without an agreed budget there is nothing to tell, and any number fits (both None).
    """

    claim: str
    agreed: float | None = None
    delta: float | None = None
    unit: str = "row"
    epsilon: float | None = None
    left: float | None = None
    where: str = ""
    rounds: int | None = None


@dataclass(frozen=True)
class Planned:
    """A planned run: what it will cost, or why it would not work.

    ``refused`` is the error with which the run would be refused; ``broken`` says how the twin failed.
    ``guessed`` are the columns whose categories nobody declared, so that the twin's are invented. ``pooling`` says
    whether several processes would be faster, "" where nobody would think of them.
    """

    title: str
    rows: int
    encrypted: bool = False
    sampled: bool = False
    cost: Cost | None = None
    outlook: Outlook | None = None
    refused: FedLabError | None = None
    broken: str = ""
    guessed: tuple[str, ...] = ()
    pooling: str = ""


def planned(federation: Federation, strategy: Strategy, num_rounds: int, rows: int) -> Planned:
    """What this run will cost. It is played by a twin: nothing here is asked, charged or written down.

    Raises:
        SettingError: if ``rows`` is no number of rows.
    """
    try:
        rounds(federation, strategy, num_rounds=num_rounds)  # checks the parts, and begins nothing
    except FedLabError as refusal:
        return Planned("The planned run", rows, refused=refusal)
    about = _about(federation, strategy, num_rounds, rows)
    federation.owners[0].mock(rows=rows)  # a number of rows that cannot be is the caller's mistake, not the twin's
    try:
        # Once before it counts: what is loaded and made ready once a session is no cost of the run.
        begin(twin_of(federation, rows), strategy, num_rounds)
        before = resident()
        played = play(twin_of(federation, rows), strategy, num_rounds)
        grown = max(resident() - before, 0)
    except (FedLabError, TwinFailedError) as error:
        return replace(about, broken=str(error))
    except Exception as error:  # noqa: BLE001 - a strategy may raise anything, and a twin that fails is to be seen
        return replace(about, broken=f"{type(error).__name__}: {error}")
    scheme = federation.house.encrypt
    cost = _cost(played, num_rounds, grown, scheme.rounds_per_key if scheme else 0)
    a_round = cost.middle if num_rounds > 2 else cost.last
    pooling = worth(federation, a_round.seconds, a_round.shared, cores())
    return replace(about, cost=cost, outlook=_outlook(federation, played.spending), pooling=pooling)


def _about(federation: Federation, strategy: Strategy, num_rounds: int, rows: int) -> Planned:
    house, schema = federation.house, federation.schema
    run = f"{type(strategy).__name__} over {len(federation.names)} owners"
    return Planned(
        f"The planned run: {run}, {num_rounds} round{'s' if num_rounds > 1 else ''}",
        rows,
        encrypted=house.encrypt is not None,
        sampled=house.sample_rate < 1.0 or house.dropout > 0.0,
        guessed=tuple(
            c.name for c in (*schema.features, schema.target) if c.kind == "category" and c.categories is None
        ),
    )


def _cost(played: Played, num_rounds: int, grown: int, rounds_per_key: int) -> Cost:
    keys = played.keys * (num_rounds // rounds_per_key if rounds_per_key else 0)
    cost = Cost(num_rounds, played.first, played.middle, played.last, memory=0.0, keys=keys)
    # The ledger drops the oldest payloads; all else that a round leaves behind is kept.
    return replace(cost, memory=grown + cost.whole.kept + min(cost.whole.sent, KEPT_BYTES))


def _outlook(federation: Federation, spending: Spending) -> Outlook:
    """The end as the twin's strategy forecasts it after its first round; what is left now, from the real accounts."""
    house = federation.house
    if not spending.private or house.protect is None:
        return Outlook(spending.claim)
    outlook = Outlook(spending.claim, spending.agreed, spending.delta, spending.unit, spending.forecast)
    found = {name: federation.books.left(name, house) for name in federation.names}
    left = {name: epsilon for name, epsilon in found.items() if epsilon is not None}
    if not left:
        return outlook
    least = min(left, key=left.__getitem__)
    return replace(
        outlook,
        left=left[least],
        where=f" at {least!r}, which has least" if len(set(left.values())) > 1 else "",
        rounds=None if spending.left is None else spending.left + 1,
    )
