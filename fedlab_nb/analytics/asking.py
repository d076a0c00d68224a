"""How a question reaches the owners, and what comes back: sums over owners, exact or with noise; debited before."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from fedlab_nb.analytics.apart import came
from fedlab_nb.analytics.apart.alone import heard
from fedlab_nb.analytics.questions.cells import count_cells
from fedlab_nb.analytics.questions.quantiles import octave_bins
from fedlab_nb.analytics.questions.question import Floats, Question, Range, Total
from fedlab_nb.analytics.questions.small import MIN_COUNT
from fedlab_nb.analytics.source import Source
from fedlab_nb.data.columns import as_values
from fedlab_nb.data.sums import LARGEST, OCTAVES
from fedlab_nb.errors import SettingError
from fedlab_nb.parties import Rows
from fedlab_nb.parties.columns.fitting import is_vertical
from fedlab_nb.privacy import gaussian_mu
from fedlab_nb.protect import with_share
from fedlab_nb.records import PrivacyEvent, Update
from fedlab_nb.vertical import align

# Counts, and sums of numbers in [-1, 1], stay below this: an owner may have up to a million rows.
MOST_ROWS = 2.0**20
# How fine a grid whole counts need, and by how much the rest of an exact number is enlarged to be sent beside it.
STEP = 2.0**-4
_ENLARGED = 2.0**24
# The grid of exact noise in an answer that one owner gives alone, where no encryption brings a grid of its own.
FINE_STEP = 2.0**-10
# What an owner that answers alone sends in place of a number that too few rows stand behind.
_HIDDEN = -(2.0**60)


@dataclass
class Inquiry:
    """One question of a user while it is asked: what it may cost, and what it took to answer it.

    ``noise_multiplier`` is 0 without a mechanism. ``numbers`` and ``hidden`` count what left and what was not shown;
    ``count_noise`` is the standard deviation of the noise in a count of rows that came back, 0 without noise. All that
    one owner of different columns tells has the number ``turn``, as others count questions and not what they take.
    """

    source: Source
    purpose: str
    epsilon: float | None
    noise_multiplier: float
    numbers: int = 0
    hidden: int = 0
    lists: list[str] = field(default_factory=list)
    by_owner: bool = False
    count_noise: float = 0.0
    turn: int | None = None

    @property
    def exact(self) -> bool:
        """True if no noise is added."""
        return self.epsilon is None

    @property
    def names(self) -> tuple[str, ...]:
        """The owners asked."""
        return self.source.names

    def sum(self, question: Question) -> Total:
        """The sum over the owners; of one owner alone, its own answer."""
        if self.source.owner is not None:
            return self.each(question)[self.source.owner]
        federation, split = self.source.federation, self.exact and not question.whole
        noise_sd = self.noise_multiplier * question.scale

        def work(_: str, rows: Rows) -> Update:
            vector = self._vector(question, rows)
            return Update(_halves(vector) if split else vector, 1.0)

        summed = federation.gather(
            question.kind,
            work,
            number=federation.turn(),
            cohort=self.names,
            bound=MOST_ROWS,
            step=STEP,
            noise_sd=0.0 if self.exact else noise_sd,
            debits=self._debits(),
            asked=self._asked(question),
        ).value
        self.numbers += summed.size
        # The noise that is really in the sum: every owner added a share, and all but some were to be enough.
        added = len(self.names) / federation.house.noise_shares(len(self.names))
        noise_sd = noise_sd * math.sqrt(added)
        self.count_noise = float(noise_sd[0])  # the first number is a count, as in every question
        return Total(_whole(summed) if split else summed, noise_sd)

    def each(self, question: Question) -> dict[str, Total]:
        """Every owner's own answer, readable for the server: without small cells, or with all of the noise in each."""
        federation, number = self.source.federation, self._number()
        house, noise_sd = federation.house, self.noise_multiplier * question.scale
        release = self._release()

        def work(name: str, rows: Rows) -> Floats:
            vector = self._vector(question, rows)
            if self.exact:
                return np.nan_to_num(question.guard(vector), nan=_HIDDEN)
            return with_share(
                vector,
                release.amount * question.scale,
                1,
                seed=house.noise_seed,
                path=(number, federation.names.index(name), *question.kind.encode()),
                step=FINE_STEP if house.protect and house.protect.exact_noise else None,
                noise_multiplier=release.amount,
            )

        told = heard(
            self.source, question.kind, work, number=number, debits=self._debits(), asked=self._asked(question)
        )
        answers = {name: came.numbers(name, answer, question.scale.shape) for name, answer in told.items()}
        self.numbers += sum(answer.size for answer in answers.values())
        self.by_owner, self.count_noise = True, float(noise_sd[0])
        return {n: Total(np.where(a == _HIDDEN, np.nan, a), noise_sd) for n, a in answers.items()}

    def shown(self, question: Question, total: Total) -> Floats:
        """What of an answer may be shown: all of it under noise, else what enough rows stand behind."""
        if not self.exact:
            return total.values
        values = question.guard(total.values)
        self.hidden += int(np.isnan(values).sum())
        return values

    def ranges(self, columns: Sequence[str]) -> dict[str, Range]:
        """The range that each numeric column is scaled by: declared, else, without noise, from counts of octaves."""
        if self.exact and self.source.owner is not None:
            # One owner's own sums lie on no grid: they need no scaling, and its octaves need not be known.
            wide = (-(2.0**LARGEST), 2.0**LARGEST)
            return {name: self.source.bounds_of(name) or wide for name in columns}
        return self.limits(columns)

    def limits(self, columns: Sequence[str]) -> dict[str, Range]:
        """The lowest and the highest edge for bins of each numeric column: declared, or as ``ranges`` learns them.

        Raises:
            SettingError: if a column has no declared bounds, and noise is added.
        """
        declared = {name: self.source.bounds_of(name) for name in columns}
        unknown = [name for name, limits in declared.items() if limits is None]
        if unknown and not self.exact:
            raise SettingError(
                f"Column {unknown[0]!r} has no declared bounds.",
                "How far one row can move a sum, and so how much noise hides it, follows from the lowest and the "
                "highest value that a row may have; taken from the rows themselves, they would give rows away.",
                f'Declare them at its owners: fl.DataOwner(..., bounds={{"{unknown[0]}": (lowest, highest)}}), at '
                f'a site under [bounds] in site.toml; or ask for quantile("{unknown[0]}", ...), which does without.',
            )
        found: dict[str, Range] = {}
        if unknown:
            question = count_cells("range count", *([octave_bins(name)] for name in unknown))
            counts = np.nan_to_num(self.sum(question).values).reshape(len(unknown), -1)
            found = {name: _spanned(line) for name, line in zip(unknown, counts, strict=True)}
        return {name: limits or found[name] for name, limits in declared.items()}

    def known(self, columns: Sequence[str]) -> dict[str, tuple[object, ...]]:
        """The list of values of each column: declared, else, without noise, as the owners name them.

        Raises:
            SettingError: if a column has no declared list and is numeric, noise is added, or owners name none of it.
        """
        known = {name: self.source.categories_of(name) for name in columns}
        unknown = [name for name, values in known.items() if values is None]
        for name in unknown:
            numeric = self.source.column(name).kind == "numeric"
            if numeric or not self.exact:
                raise SettingError(
                    f"Column {name!r} has no declared list of values.",
                    "Its values would have to be learned from the rows, and a rare value can name a single person."
                    if not numeric
                    else "It holds numbers, whose single values can be a row's own.",
                    f'Declare the list at its owners: fl.DataOwner(..., categories={{"{name}": [...]}}), at '
                    "a site under [categories] in site.toml"
                    + (f'; or ask for histogram("{name}").' if numeric else "."),
                )
        found = self._named(unknown) if unknown else {}
        return {name: found[name] if values is None else values for name, values in known.items()}

    def _named(self, columns: Sequence[str]) -> dict[str, tuple[object, ...]]:
        """The values that some owner has five rows of or more, as each owner names its own; SettingError for none."""

        def name_values(_: str, rows: Rows) -> str:
            table, named = self.source.table(rows), {}
            for column in columns:
                counts = Counter(as_values(table[column]))
                kept = [value for value, count in counts.items() if value is not None and count >= MIN_COUNT]
                named[column] = sorted(kept, key=_order)[: came.MOST_CATEGORIES + 1]
            return json.dumps(named)

        asked = f"{self.source.text}: values of {list(columns)!r} with {MIN_COUNT} rows or more"
        told = heard(self.source, "value list", name_values, number=self._number(), debits=self._debits(), asked=asked)
        lists = [came.lists(name, answer, columns) for name, answer in told.items()]
        self.lists += columns
        found: dict[str, tuple[object, ...]] = {
            c: tuple(sorted({v for named in lists for v in named[c]}, key=_order)) for c in columns
        }
        for column, values in found.items():
            self._check_list(column, len(values))
        return found

    def _check_list(self, column: str, size: int) -> None:
        declare = f'fl.DataOwner(..., categories={{"{column}": [...]}}), at a site under [categories] in site.toml'
        if size > came.MOST_CATEGORIES:
            raise SettingError(
                f"Column {column!r} has more than {came.MOST_CATEGORIES} different values.",
                "A table of so many cells rather lists rows than counts them.",
                f"Declare the values that matter at its owners: {declare}.",
            )
        if not size:
            raise SettingError(
                f"No value of column {column!r} has {MIN_COUNT} rows or more at any owner (of {self.source.text}).",
                "The column has no declared list of values, and owners name only those: a rarer one can name a single "
                "person. Without a value there is nothing to count.",
                f"Declare the list at its owners: {declare}; or leave the column out.",
            )

    def _number(self) -> int:
        return self.source.federation.turn() if self.turn is None else self.turn

    def _vector(self, question: Question, rows: Rows) -> Floats:
        return question.vector(self.source.table(rows))

    def _asked(self, question: Question) -> str:
        return f"{self.source.text}: {question.text}"

    def _release(self) -> PrivacyEvent:
        if self.exact:
            return PrivacyEvent(0, self.purpose, "all", "row", "none")
        return PrivacyEvent(0, self.purpose, "all", "row", "gaussian", amount=self.noise_multiplier)

    def _debits(self) -> Mapping[str, Sequence[PrivacyEvent]]:
        return {name: [self._release()] for name in self.names}


@contextmanager
def inquire(source: Source, purpose: str, epsilon: float | None) -> Iterator[Inquiry]:
    """Ask one question: no run goes on meanwhile, and what it costs is fixed beforehand.

    Raises:
        SettingError: if it is not said what the question may cost, or a run is going on.
        RuleError: if whole owners, rather than rows, are to be protected.
    """
    price = source.price(epsilon)
    federation, turn = source.federation, None
    with federation.in_use():
        if is_vertical(federation.schema):
            align(federation)
            turn = federation.turn()
        multiplier = 0.0 if price is None else 1.0 / gaussian_mu(price, federation.delta)
        yield Inquiry(source, purpose, price, multiplier, turn=turn)


def _halves(vector: Floats) -> Floats:
    """Each number as a coarse part and the enlarged rest: both fit any encryption's grid, and nothing is rounded away.

    >>> bool(_whole(_halves(np.array([0.1 + 2**18])))[0] == 0.1 + 2**18)
    True
    """
    coarse = np.rint(vector / STEP) * STEP
    return np.concatenate([coarse, (vector - coarse) * _ENLARGED])


def _whole(halves: Floats) -> Floats:
    coarse, rest = np.split(halves, 2)
    return coarse + rest / _ENLARGED


def _spanned(counts: Floats) -> Range:
    """The smallest run of octaves that holds all values; a neutral one around zero where there are none."""
    seen = np.flatnonzero(counts > 0.5)
    if not seen.size:
        return -1.0, 1.0
    return float(OCTAVES[seen[0]]), float(OCTAVES[seen[-1] + 1])


def _order(value: object) -> tuple[int, float, str]:
    return (0, float(value), "") if isinstance(value, int | float) else (1, 0.0, str(value))
