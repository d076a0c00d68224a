"""gain(): the label owner alone, federated, and, where all owners consent, all columns in one place; on one card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.cards import framed, one_line, pairs_html, panel, table_html
from fedlab_nb.errors import RuleError, SettingError
from fedlab_nb.parties import Federation
from fedlab_nb.parties.columns.road import charge
from fedlab_nb.records import History
from fedlab_nb.rounds import rounds
from fedlab_nb.units import LOWER_IS_BETTER, listed, metric_name, number
from fedlab_nb.vertical import align
from fedlab_nb.vertical.shared import Meeting, Mine, VerticalStrategy
from fedlab_nb.vertical.shared.meeting import Part, Setup
from fedlab_nb.vertical.shared.scores import metrics
from fedlab_nb.vertical.shared.strategy import SCORES

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Sides = dict[str, Floats]

POOLED_COLUMNS = "columns, given with consent"
# Scores that differ by no more than this are the same but for the grid on which sealed numbers lie.
SAME = 1e-3


@runtime_checkable
class Plain(Protocol):
    """A strategy for different columns that also says what it gives without any protocol."""

    labels_at: str

    def plain(
        self, columns: Mapping[str, Floats], y: Floats, new: Mapping[str, Floats], setup: Setup, num_rounds: int
    ) -> Floats:
        """Scores (m, outputs) of ``new`` rows by the same algorithm with all ``columns`` in one place.

        ``columns`` and ``new`` have, by owner, columns as that owner reads them, (n, d) and (m, d): of some owners or
        all; ``y`` (n,) are the labels.
        """


@dataclass(frozen=True, repr=False)
class Gain:
    """Scores on held-out rows by who learns from which columns, and whether the protocol lost anything.

    ``scores`` maps "<owner> alone", "federated" and, with consent, "pooled" to their metrics. ``apart`` is the largest
    difference between a federated and a pooled score of a held-out row (None where nothing was pooled).
    """

    scores: Mapping[str, Mapping[str, float]]
    history: History
    apart: float | None = None

    @property
    def metric(self) -> str:
        """The score by which it is judged: AUC, else accuracy, or RMSE."""
        known = self.scores["federated"]
        return next(name for name in ("auc", "rmse", "accuracy") if name in known)

    @property
    def gained(self) -> float:
        """By how much the federated model is better than the label owner's own; below 0 if it is worse."""
        alone, federated = (own[self.metric] for own in list(self.scores.values())[:2])
        return alone - federated if self.metric in LOWER_IS_BETTER else federated - alone

    @property
    def verdict(self) -> str:
        """What the protocol lost against all columns in one place, in a sentence."""
        if self.apart is None:
            return "Not measured: columns are pooled only with every owner's consent."
        name, both = metric_name(self.metric), [self.scores[way][self.metric] for way in ("federated", "pooled")]
        if self.apart <= SAME:
            return f"Lossless: no held-out row's score differs from the pooled model's by more than {self.apart:.1g}."
        worse = both[0] - both[1] if self.metric in LOWER_IS_BETTER else both[1] - both[0]
        said = f"{name} is {number(abs(worse))} {'worse' if worse > 0 else 'better'} than with pooled columns"
        return f"Not lossless: {said}, and a row's score differs by up to {self.apart:.2g}."

    def frame(self) -> pd.DataFrame:
        """One row a way of learning, one column a metric."""
        import pandas as pd

        return pd.DataFrame(self.scores).T

    def __repr__(self) -> str:
        told = ", ".join(f"{way} {number(own[self.metric])}" for way, own in self.scores.items() if self.metric in own)
        return one_line(f"Gain({metric_name(self.metric)}: {told})")

    def _repr_html_(self) -> str:
        names = list(self.scores["federated"])
        lines = [[way, *(number(own[n]) if n in own else "–" for n in names)] for way, own in self.scores.items()]
        body = table_html(("Learned from", *(metric_name(name) for name in names)), lines)
        sign = "better" if self.gained >= 0 else "worse"
        body += pairs_html(
            [
                ("Learning together", f"{metric_name(self.metric)} {number(abs(self.gained))} {sign} than alone"),
                ("Against pooled columns", self.verdict),
            ]
        )
        return framed(panel("What learning together brings", body, note="On held-out rows that all owners have."))


def gain(
    federation: Federation,
    strategy: VerticalStrategy,
    *,
    num_rounds: int = 10,
    seed: int = 0,
    consent: Sequence[str] = (),
) -> Gain:
    """What the owner of the labels gains by learning from other owners' columns; scores on held-out rows.

    Three models by the same algorithm and settings: of the label owner's columns alone; of all columns by the
    protocol; and, if ``consent`` names every owner, of all columns in the hands of the label owner. For the last one
    the other owners send their columns, readable: for rows that may be pooled, such as a lab's own. The ledger keeps
    all of it.

    Raises:
        SettingError, RuleError: what cannot work, before anything leaves.
        FedLabError: the run failed.

    >>> import fedlab_nb as fl
    >>> table = fl.data.breast_cancer()
    >>> names = list(table.columns)
    >>> owners = fl.split_columns(table, lab=[*names[:6], "diagnosis"], clinic=names[6:20], seed=1)
    >>> federation = fl.Federation(owners, encrypt=fl.CKKS("deep"))
    >>> found = fl.gain(federation, fl.vertical.LogisticRegression("lab"), num_rounds=2, consent=["lab", "clinic"])
    >>> list(found.scores)
    ['lab alone', 'federated', 'pooled']
    """
    _check(federation, strategy, consent)
    with federation.in_use():
        history = History(rounds(federation, strategy, num_rounds=num_rounds, seed=seed))
        last = history[-1]
        if last.failed is not None:
            raise last.failed.error
        setup: Setup = last.state.context  # type: ignore[assignment]
        if not setup.held_out:
            raise SettingError(
                f"{setup.held_out} of the rows in common are held out, or too few to be scored.",
                "Models are compared on rows that none of them has learned from, five or more.",
                "Make owners with held_out=0.2, or with more rows in common.",
            )
        return _compared(federation, strategy, history, setup, federation.turn(), pooled=bool(consent))


def _compared(
    federation: Federation, strategy: VerticalStrategy, history: History, setup: Setup, number: int, *, pooled: bool
) -> Gain:
    holder, last = setup.labels_at, history[-1]
    charge(federation, "models to compare with", federation.names, number=number)
    train, test = (_at(federation, setup, number, part) for part in ("training", "held_out"))
    columns = {holder: train.own("columns", lambda mine: mine.X, at=holder)}
    new = {holder: test.own("columns", lambda mine: mine.X, at=holder)}
    y = train.own("labels", lambda mine: mine.y, at=holder)
    plain, passes = cast("Plain", strategy).plain, last.number
    scores = {f"{holder} alone": _told(test, plain(columns, y, new, setup, passes), setup)}
    strategy.foretell(test, last.state)
    federated = test.own("joint scores", lambda mine: np.asarray(mine.memory.pop(SCORES)), at=holder)
    scores["federated"] = dict(last.metrics) or _told(test, federated, setup)
    if not pooled:
        return Gain(scores, history)
    for name in setup.others:
        columns[name] = train.send(POOLED_COLUMNS, lambda mine: mine.X, sender=name, to=holder)
        new[name] = test.send(POOLED_COLUMNS, lambda mine: mine.X, sender=name, to=holder)
    together = plain(columns, y, new, setup, passes)
    scores["pooled"] = _told(test, together, setup)
    return Gain(scores, history, float(np.abs(together - federated).max()))


def _at(federation: Federation, setup: Setup, number: int, part: Part) -> Meeting:
    return Meeting(federation, align(federation), setup, number, part)


def _told(test: Meeting, scores: Floats, setup: Setup) -> dict[str, float]:
    """The metrics of ``scores``, as the owner of the labels tells them to the server."""
    names: list[str] = []
    told = test.send("score", partial(_metrics, scores=scores, setup=setup, names=names), sender=setup.labels_at,
                     to="server")  # fmt: skip
    return dict(zip(names, told.tolist(), strict=True))


def _metrics(mine: Mine, scores: Floats, setup: Setup, names: list[str]) -> Floats:
    found = metrics(scores, mine.y, setup)
    names.extend(found)
    return np.array(list(found.values()))


def _check(federation: Federation, strategy: VerticalStrategy, consent: Sequence[str]) -> None:
    if not isinstance(strategy, VerticalStrategy) or not isinstance(strategy, Plain):
        raise RuleError(
            f"A gain was asked for with {type(strategy).__name__}.",
            "It compares a strategy for different columns with the same algorithm without any protocol, which this one "
            "does not have.",
            'Use a strategy such as fl.vertical.LogisticRegression(labels_at="bank"); for equal ones fl.compare.',
        )
    if not isinstance(federation, Federation):
        raise SettingError(
            f"The federation is {type(federation).__name__}.",
            "Without it there is nobody to learn together.",
            'Pass fl.Federation(owners, encrypt=fl.CKKS("deep")).',
        )
    if getattr(strategy, "patience", None) is not None:
        raise RuleError(
            f"A gain was asked for with patience={strategy.patience}.",  # type: ignore[attr-defined]
            "It ends with the round that is best on held-out rows, and then compares models on these same rows.",
            "Leave patience out, and choose num_rounds.",
        )
    named = (consent,) if isinstance(consent, str) else tuple(consent)
    missing = [name for name in federation.names if name not in named]
    strangers = [name for name in named if name not in federation.names]
    if named and (missing or strangers):
        raise RuleError(
            f"Columns were to be pooled, and {listed(missing or strangers)} "
            + ("did not consent." if missing else "is no owner of this federation."),
            "Pooled columns are readable for the owner of the labels, row by row: only all owners can allow it.",
            f"Pass consent={list(federation.names)!r} if all of them agree; or leave consent= out.",
        )
