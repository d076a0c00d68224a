"""What is compared, from what a user passes: lines to be run, or runs that are there."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields

from fedlab_nb.errors import RuleError, SettingError
from fedlab_nb.handle import Run
from fedlab_nb.parties import Federation
from fedlab_nb.parties.rules import is_number, is_seed
from fedlab_nb.records import History
from fedlab_nb.rounds import Strategy

Source = Federation | Callable[[int], Federation]

# More lines than this cannot be told apart in one chart.
MOST = 12


@dataclass(frozen=True)
class Entry:
    """A line to be run: a strategy over a federation, or over one that is made anew for every seed."""

    name: str
    source: Source
    strategy: Strategy

    def federation(self, seed: int) -> Federation:
        """A federation for one run: the same owners, settings and accounts, and a ledger of its own."""
        if isinstance(self.source, Federation):
            return afresh(self.source, seed)
        made = self.source(seed)
        if not isinstance(made, Federation):
            raise SettingError(
                f"The function for {self.name!r} gave {type(made).__name__} for seed {seed}, not a Federation.",
                "Each run is played over the federation that it makes.",
                "Return fl.Federation(owners, ...) from it.",
            )
        if made.house.protect is not None and made.house.noise_seed is None:
            raise RuleError(
                f"The function for {self.name!r} makes federations under a privacy mechanism, a new one for each run.",
                "Rows that are dealt out anew are new data to their accounts: each deal would begin an unspent budget, "
                "and the epsilon of every one of them would be too small.",
                "Pass one fl.Federation, whose owners keep their accounts, or rehearse: fl.Federation(..., "
                "noise_seed=1).",
            )
        return made


def afresh(federation: Federation, seed: int = 0) -> Federation:
    """The same owners under the same settings with an empty ledger. Their budgets stay as they are.

    A rehearsal's noise is that of its own seed plus ``seed``: otherwise all runs would have the same luck with it.
    """
    house = {f.name: getattr(federation.house, f.name) for f in fields(federation.house)}
    if house["noise_seed"] is not None:
        house["noise_seed"] += seed
    return Federation(federation.owners, **house)


def entries(of: object, strategies: object) -> tuple[Entry, ...]:
    """The lines to be run: several strategies over one federation, or one strategy over several federations.

    Raises:
        SettingError: for anything else.
    """
    if isinstance(of, Mapping) and isinstance(strategies, Mapping):
        raise SettingError(
            "Several federations and several strategies were given.",
            "A line of the chart is one of each, and which of them belong together is not said.",
            'Give one federation and {"name": strategy, ...}, or {"name": federation, ...} and one strategy.',
        )
    if isinstance(of, Mapping):
        _check_names(of)
        return tuple(Entry(name, _source(source), _strategy(strategies)) for name, source in of.items())
    named = strategies if isinstance(strategies, Mapping) else {type(strategies).__name__: strategies}
    _check_names(named)
    return tuple(Entry(name, _source(of), _strategy(strategy)) for name, strategy in named.items())


def _source(given: object) -> Source:
    if isinstance(given, Federation):
        return given
    if callable(given) and not isinstance(given, type):
        try:
            inspect.signature(given).bind(0)
        except TypeError:
            raise SettingError(
                "The function that makes federations cannot be called with a seed.",
                "It is called once for every seed, so that each of them may deal the rows out anew.",
                "Write lambda seed: fl.Federation(fl.split_rows(table, seed=seed)), for example.",
            ) from None
        return given
    raise SettingError(
        f"compare was given {_kind(given)} where a federation belongs.",
        "Runs are compared over the owners of a federation, or over one that is made for every seed.",
        "Pass fl.Federation(owners), or lambda seed: fl.Federation(fl.split_rows(table, seed=seed)).",
    )


def _strategy(given: object) -> Strategy:
    if isinstance(given, type) or not all(hasattr(given, verb) for verb in ("check", "start", "step")):
        raise SettingError(
            f"compare was given {_kind(given)} where a strategy belongs.",
            "Without it there is nothing to train with.",
            'Pass {"FedAvg": fl.FedAvg(fl.models.logistic()), ...}.',
        )
    return given  # type: ignore[return-value]


def _kind(given: object) -> str:
    return f"the class {given.__name__}" if isinstance(given, type) else f"an object of type {type(given).__name__}"


def _check_names(named: Mapping[object, object]) -> None:
    wrong = next((name for name in named if not isinstance(name, str) or not name.strip()), None)
    if wrong is not None:
        raise SettingError(
            f"A line is called {wrong!r}.",
            "The chart and the table tell lines apart by their names.",
            'Use a text for each, such as {"FedAvg": ..., "lr 0.1": ...}.',
        )
    if not 0 < len(named) <= MOST:
        raise SettingError(
            f"{len(named)} lines were to be compared.",
            f"There must be something to draw, and more than {MOST} lines cannot be told apart in one chart.",
            f"Give 1 to {MOST} of them.",
        )


def histories(of: object) -> dict[str, tuple[History, ...]]:
    """The rounds of runs that are there, by name; it waits for runs that still go on.

    Raises:
        SettingError: for what is no run, or has no rounds.
    """
    if not isinstance(of, Mapping):
        raise SettingError(
            f"compare was given {_kind(of)}, and no strategies.",
            "Either strategies are run over a federation, or runs that are there are compared by their names.",
            'Write fl.compare(federation, {"FedAvg": ...}), or fl.compare({"lr 0.1": run, "lr 1": other}).',
        )
    _check_names(of)
    return {name: tuple(_history(name, one) for one in _several(given)) for name, given in of.items()}


def _several(given: object) -> Sequence[object]:
    return given if isinstance(given, list | tuple) and not isinstance(given, History) and given else [given]


def _history(name: str, given: object) -> History:
    if isinstance(given, Run):
        given.frame()  # waits for the end, and does not mind if the run failed
        given = given.history
    if not isinstance(given, History):
        hint = " It is a federation: pass the strategy to train with as well." * isinstance(given, Federation)
        raise SettingError(
            f"compare was given {_kind(given)} for {name!r}, not a run.{hint}",
            "Runs are compared by the rounds that they recorded.",
            "Pass what fl.train gave, its history, or a list of these with other seeds.",
        )
    if not given:
        raise SettingError(
            f"The history for {name!r} has no rounds.", "There is nothing to compare.", "Train for a round at least."
        )
    return given


def seeds_of(given: object) -> tuple[int, ...]:
    """The seeds: 0 to n - 1 for a number n, else those that were given.

    Raises:
        SettingError: for anything else.
    """
    several = [*range(int(given))] if is_number(given, whole=True) else given  # type: ignore[call-overload]
    listed = list(several) if isinstance(several, Sequence | range) and not isinstance(several, str) else []
    if not listed or not all(map(is_seed, listed)) or len(set(listed)) < len(listed):
        raise SettingError(
            f"seeds={given!r} was asked for.",
            "Each strategy is run once for every seed, and how far these runs lie apart shows how much is luck.",
            "Give how many, such as seeds=3, or different whole numbers from 0 up, such as seeds=[7, 8, 9].",
        )
    return tuple(map(int, listed))


def check_target(target: object) -> None:
    """Refuse a target that no score could reach or miss.

    Raises:
        SettingError: if it is no number.
    """
    if target is not None and not (is_number(target) and abs(target) < float("inf")):  # type: ignore[arg-type]
        raise SettingError(
            f"target={target!r} was asked for.",
            "It is the score whose first round is looked for.",
            "Give a number, such as target=0.95 for an accuracy, or leave it out.",
        )
