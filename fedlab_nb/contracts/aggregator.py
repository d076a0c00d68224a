"""The laws of an aggregation rule, whoever wrote it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.aggregate import Rule, combine, needs_of
from fedlab_nb.contracts.report import Broken, Law, Report, check_needs, examine
from fedlab_nb.errors import FedLabError
from fedlab_nb.parties.matrix import NEEDS
from fedlab_nb.settings import check_setting, is_whole
from fedlab_nb.units import counted

Floats = NDArray[np.float64]

SIZE = 7
# Far above rounding, and above what is left of an iteration that has come to rest.
CLOSE = 1e-6
CALLS = 8
RANDOM = "Draw nothing by chance; let parameters decide."


def check_aggregator(rule: Rule, *, owners: int = 12) -> Report:
    """Whether ``rule(changes, weights)`` keeps the laws of an aggregation rule, tried on made-up changes.

    ``changes`` (n, d) holds a row for each owner, ``weights`` (n,) their weights; the rule gives the aggregate (d,).
    A rule may also name parameters ``before`` (the aggregate of the round before, or None) and ``root`` (the server's
    own change). It is tried with so many ``owners``, and with one to four of them, of which it may refuse too few.

    Raises:
        SettingError: ``owners`` that is not a whole number from 5 up.

    >>> check_aggregator(lambda changes, weights: weights @ changes / weights.sum())
    Report(the rule <lambda>: all 11 laws hold)
    >>> check_aggregator(lambda changes, weights: changes.sum(axis=0)).faults[0].law
    'Where all owners send the same change, that is the aggregate, or a shorter one of the same direction.'
    """
    check_setting(
        "check_aggregator",
        "owners",
        owners,
        fits=is_whole(owners, 5),
        wanted="a whole number from 5 up",
        why="With very few owners most rules give the same, and no fault would be seen.",
        example="12",
    )
    name = getattr(rule, "__name__", None) or repr(rule)
    case = _Case(rule, owners)
    laws: list[tuple[str, Callable[[], None]]] = [
        ("It is called as rule(changes, weights), and gives d finite numbers, one for each column.", case.shape),
        ("Its needs are known ones, or left out.", partial(_known_needs, rule)),
        ("It leaves the changes and weights that it is given as they are.", case.inputs),
        ("For the same changes it gives the same aggregate again, bit for bit.", case.again),
        ("What it saw in another round does not matter.", case.memory),
        ("The order of the owners does not matter.", case.order),
        ("Weights count in proportion: twice all weights is the same.", case.proportion),
        (
            "Where all owners send the same change, that is the aggregate, or a shorter one of the same direction.",
            case.same,
        ),
        ("Where all owners send zeros, the aggregate is zero.", case.zeros),
        ("One owner alone gets its own change, or a shorter one; or it is refused in words.", case.one),
        ("Few owners are combined, or refused in words.", case.few),
    ]
    return examine(f"the rule {name}", [Law(*law) for law in laws])


def _known_needs(rule: Rule) -> None:
    check_needs(needs_of(rule), list(NEEDS))


@dataclass(frozen=True)
class _Case:
    """A rule, and the made-up round that it is tried on."""

    rule: Rule
    owners: int

    @property
    def changes(self) -> Floats:
        """The same made-up changes (n, d) each time, in a fresh array: owners agree, but for some noise."""
        rng = np.random.default_rng([self.owners, 1])
        return rng.normal(size=SIZE) + 0.3 * rng.normal(size=(self.owners, SIZE))

    @property
    def weights(self) -> Floats:
        """Made-up numbers of rows (n,), in a fresh array."""
        return np.random.default_rng([self.owners, 2]).integers(10, 50, self.owners).astype(np.float64)

    def called(self, changes: Floats, weights: Floats, before: Floats | None = None) -> Any:
        """What the rule gives, whatever that is; the server's own change is the mean of all."""
        root = changes.mean(axis=0)
        return combine(self.rule, changes.copy(), weights.copy(), before=before, root=root)

    def vector(self, changes: Floats, weights: Floats, before: Floats | None = None) -> Floats:
        """The aggregate (d,), once it was seen to be one."""
        found = self.called(changes, weights, before)
        d = changes.shape[1]
        if not isinstance(found, np.ndarray) or found.shape != (d,):
            kind = f"an array of shape {found.shape}" if isinstance(found, np.ndarray) else f"a {type(found).__name__}"
            raise Broken(
                f"For {counted(len(changes), 'change')} of {d} numbers it gave {kind}, not an array of shape ({d},).",
                "Combine over the owners, axis 0: such as changes.mean(axis=0).",
            )
        if found.dtype.kind != "f" or not np.isfinite(found).all():
            raise Broken(
                f"It gave numbers that are not finite real ones (type {found.dtype}).",
                "Look for a division by zero: a spread, a norm or a sum that can be zero; or for a whole-number type.",
            )
        return found

    def shape(self) -> None:
        """Callable, with the right parameters, and a vector in the first round and in later ones."""
        if not callable(self.rule):
            raise Broken(f"It is a {type(self.rule).__name__}, which cannot be called.", "Give it a __call__ method.")
        if inspect.isclass(self.rule):
            raise Broken(f"{self.rule.__name__} is a class.", f"Pass an object of it: {self.rule.__name__}(...).")
        first = self.vector(self.changes, self.weights)
        self.vector(self.changes, self.weights, before=first)

    def inputs(self) -> None:
        """The arrays are the same afterwards."""
        changes, weights = self.changes, self.weights
        combine(self.rule, changes, weights, before=None, root=changes.mean(axis=0))
        for given, now, word in ((self.changes, changes, "changes"), (self.weights, weights, "weights")):
            if not np.array_equal(given, now):
                raise Broken(
                    f"After the call the {word} that it was given had other values.",
                    f"Work on a copy, {word}.copy(), and avoid .sort(), += and writing into {word}[...].",
                )

    def again(self) -> None:
        """Many calls, the same bits: one owner in twelve, drawn by chance, is often the same twice."""
        first = self.vector(self.changes, self.weights)
        if not all(np.array_equal(first, self.vector(self.changes, self.weights)) for _ in range(CALLS)):
            raise Broken("Calls with the same changes gave different aggregates.", RANDOM)

    def memory(self) -> None:
        """Another round in between changes nothing."""
        first = self.vector(self.changes, self.weights)
        self.vector(-3.0 * self.changes, self.weights)
        if not np.array_equal(first, self.vector(self.changes, self.weights)):
            raise Broken(
                "After a call with other changes, it gave another aggregate than before.",
                "Keep nothing between calls; a parameter called before gets the aggregate of the round before.",
            )

    def order(self) -> None:
        """Owners in another order."""
        order = np.random.default_rng(3).permutation(self.owners)
        straight = self.vector(self.changes, self.weights)
        if not _close(straight, self.vector(self.changes[order], self.weights[order])):
            raise Broken(
                "The same changes in another order of owners gave another aggregate.",
                "Choose owners by what they sent, never by their place; keep each weight with its change.",
            )

    def proportion(self) -> None:
        """All weights doubled."""
        straight = self.vector(self.changes, self.weights)
        if not _close(straight, self.vector(self.changes, 2.0 * self.weights)):
            raise Broken("With all weights doubled it gave another aggregate.", "Divide by weights.sum().")

    def same(self) -> None:
        """All owners alike."""
        self._shortened(np.repeat(self.changes[:1], self.owners, axis=0), f"Where {self.owners} owners sent the same")

    def zeros(self) -> None:
        """Nobody learned anything."""
        if np.abs(self.vector(np.zeros((self.owners, SIZE)), self.weights)).max() > CLOSE:
            raise Broken("Where all owners sent zeros, it gave other numbers.", "Add nothing that no owner sent.")

    def one(self) -> None:
        """One owner, or a refusal."""
        try:
            self.called(self.changes[:1], self.weights[:1])
        except FedLabError:
            return
        self._shortened(self.changes[:1], "For one owner alone")

    def few(self) -> None:
        """Two, three and four owners, or a refusal."""
        for n in (2, 3, 4):
            try:
                self.called(self.changes[:n], self.weights[:n])
            except FedLabError:
                continue
            except Exception as error:
                raise Broken(
                    f"For {n} owners it raised {type(error).__name__}.",
                    "Raise fl.errors.RoundError, saying how many owners it needs.",
                ) from error
            self.vector(self.changes[:n], self.weights[:n])

    def _shortened(self, changes: Floats, where: str) -> None:
        """The aggregate is the change that all rows are, times a factor above 0 and at most 1."""
        found, change = self.vector(changes, self.weights[: len(changes)]), changes[0]
        factor = float(found @ change / (change @ change))
        if not _close(found, factor * change):
            raise Broken(f"{where}, it gave a change of another direction.", "Mix in nothing that no owner sent.")
        if not 0.0 < factor <= 1.0 + CLOSE:
            raise Broken(
                f"{where}, it gave that change times {factor:.3g}.",
                "Divide a sum by what it sums: by weights.sum(), or by the number of owners.",
            )


def _close(one: Floats, other: Floats) -> bool:
    return bool(np.abs(one - other).max() <= CLOSE * max(1.0, float(np.abs(one).max())))
