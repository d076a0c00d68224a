"""What a comparison will cost the owners' budgets, played by twins with invented rows before anything is released."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

from fedlab_nb.checkup.twin import twin_of
from fedlab_nb.errors import BudgetExceededError, SchemaError
from fedlab_nb.horizontal.noise import noise_plan
from fedlab_nb.parties import Federation
from fedlab_nb.parties.books import Books
from fedlab_nb.privacy import Account, Budget, stricter
from fedlab_nb.records import PrivacyEvent
from fedlab_nb.rounds import Strategy, rounds
from fedlab_nb.units import counted, delta_text, epsilon_text

# Invented rows of an owner: what a run releases, and so what it costs, does not depend on how many there are. Only
# where classes are not declared must there be many, so that they are named in spite of the noise.
ROWS = (64, 8000)

Counts = Mapping[tuple[PrivacyEvent, float], int]


@dataclass(frozen=True)
class Coming:
    """A run that is to come."""

    federation: Federation
    strategy: Strategy
    seed: int


def pays(federation: Federation) -> bool:
    """True if runs over it are paid for: there is a mechanism, and its noise protects somebody."""
    return federation.house.protect is not None and federation.house.noise_seed is None


def foresee(coming: Iterable[Coming], num_rounds: int) -> str:
    """Where the budgets will stand after these runs, one after another; "" where nothing is spent.

    Nothing here is asked, charged or written down.

    Raises:
        BudgetExceededError: if they do not all fit.
    """
    runs = [run for run in coming if pays(run.federation)]
    trial, before = _Trial(), _spent(runs, {})
    for number, run in enumerate(runs):
        if _known(run, num_rounds):
            continue  # what it released is kept, and what of its plan is left was agreed on when it began
        failure = trial.play(run, num_rounds, ROWS[0])
        if isinstance(failure, SchemaError):
            failure = trial.play(run, num_rounds, ROWS[1])
        if isinstance(failure, BudgetExceededError):
            raise _too_many(len(runs), number, failure, before, runs)
        if failure is not None:
            return (
                f"What {counted(len(runs), 'run')} will cost could not be foreseen on invented rows "
                f"({type(failure).__name__}); every release is charged before it is made, as always."
            )
    if not runs:
        return ""
    house = runs[0].federation.house
    unit, delta = (house.protect.unit if house.protect else "row"), runs[0].federation.delta
    agreed = min((b.epsilon for run in runs for b in _bindings(run.federation)), default=None)
    return (
        f"{counted(len(runs), 'run')} under a privacy mechanism, each of them paid for: epsilon goes from "
        f"{epsilon_text(before)} to about {epsilon_text(_spent(runs, trial.accounts))}"
        + (f" of the {epsilon_text(agreed)} agreed" if agreed is not None else ", with no budget agreed")
        + f" (delta {delta_text(delta)}, per {unit})."
    )


def _bindings(federation: Federation) -> list[Budget]:
    found = (federation.books.binding(name, federation.house) for name in federation.names)
    return [budget for budget in found if budget is not None]


def _spent(runs: Iterable[Coming], accounts: Mapping[str, Account]) -> float:
    """The most that any owner has spent, where the accounts are those given (by data), else as they are."""
    return max(
        (
            accounts.get(data, run.federation.account(name)).spent(run.federation.delta)
            for run in runs
            for name, data in run.federation.books.data.items()
        ),
        default=0.0,
    )


def _known(run: Coming, num_rounds: int) -> bool:
    """Whether the same run has begun before: it finds its noise again, and pays only for what it had not released."""
    asked = getattr(run.strategy, "asked", None)
    try:
        return noise_plan(run.federation, num_rounds, asked(num_rounds, run.seed) if asked else "")[1]
    except BudgetExceededError:
        return False


class _Trial:
    """Accounts (by data) as they will be after the runs that were played; no vault hears of them."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self._books: Books | None = None

    def play(self, run: Coming, num_rounds: int, rows: int) -> Exception | None:
        """Play a run on a twin with so many rows an owner, and count what it released; why it broke off, if it did."""
        books, self._books = self._books_of(run.federation), None
        try:
            twin = twin_of(_unsealed(run.federation), rows)
            twin.books = books
            for record in rounds(twin, run.strategy, num_rounds=num_rounds, seed=run.seed):
                if record.failed is not None:
                    return record.failed.error
        except Exception as error:  # noqa: BLE001 - a strategy may raise anything, and its cost is then not foreseen
            return error
        self.accounts |= {data: books.accounts[name] for name, data in books.data.items()}
        self._books = books
        return None

    def _books_of(self, federation: Federation) -> Books:
        """Books in which the runs so far stand; with the answers to what they asked, where they were of these data."""
        books = federation.books
        if self._books is not None and self._books.data == books.data:
            return self._books
        return books.apart({n: self.accounts.get(data, books.accounts[n]) for n, data in books.data.items()})


def _unsealed(federation: Federation) -> Federation:
    """The same in the clear: it releases the same, and an owner that is alone in a round sends more rather than less.

    Invented owners have no budget of their own, so that noise which follows from budgets gets the strictest of all.
    """
    house = {f.name: getattr(federation.house, f.name) for f in fields(federation.house)}
    if federation.house.protect is not None and federation.house.protect.noise_multiplier is None:
        for budget in _bindings(federation):
            house["budget"] = stricter(house["budget"], budget)
    return Federation(federation.owners, **(house | {"encrypt": None, "server": "kernel"}))


def _too_many(
    wanted: int, fit: int, failure: BudgetExceededError, before: float, runs: list[Coming]
) -> BudgetExceededError:
    if wanted == 1:
        return failure
    agreed = min((b.epsilon for run in runs for b in _bindings(run.federation)), default=None)
    of = f" (epsilon {epsilon_text(before)} is spent of {epsilon_text(agreed)})" if agreed is not None else ""
    return BudgetExceededError(
        f"{counted(wanted, 'run')} were to be compared, and the owners' budgets have room for {fit} of them{of}.",
        "Every run is paid for, whichever strategy it tries: noise that nobody fixed is calibrated so that the first "
        "one takes all that is left.",
        "Rehearse on a table that may be looked at, fl.Federation(fl.split_rows(table), ..., noise_seed=1), which "
        "costs nothing; or compare fewer runs, or rounds.",
    )


def cost_of(federation: Federation, before: Mapping[str, Counts]) -> float | None:
    """Epsilon of what was released since the accounts said ``before``, for the owner that released most.

    It is what a run costs by itself; None without a guarantee.
    """
    if not pays(federation) or federation.epsilon() is None:
        return None
    return max(_alone(federation.account(name), before[name], federation.delta) for name in federation.names)


def _alone(account: Account, before: Counts, delta: float) -> float:
    since = Counter(account.counts) - Counter(before)
    twin = Account(account.meter, account.set_aside)
    run = "this run" if account.is_one_plan else ""
    for (event, share), times in since.items():
        twin.add(event, share, times, run=run)
    return twin.spent(delta) if since else 0.0
