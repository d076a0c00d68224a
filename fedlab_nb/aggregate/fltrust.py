"""FLTrust: owners count by how well their changes agree with one that the server learned from rows of its own.

Source: Cao, Fang, Liu and Gong 2021, "FLTrust: Byzantine-robust federated learning via trust bootstrapping",
Algorithm 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from fedlab_nb.aggregate.rule import READS, SINGLE, Floats, read, rule_card
from fedlab_nb.errors import SettingError
from fedlab_nb.units import counted

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False, eq=False)
class FLTrust:
    """The owners' changes x_i, scaled to the length of the server's own change g, averaged by their trust in (0, 1].

        trust_i = max(0, cos(x_i, g)),   x = |g| sum_i trust_i x_i / |x_i| / sum_i trust_i

    ``frame`` holds the root rows: a few clean rows, with the same columns as the owners' frames, that the server may
    see and learn g from in every round. The aggregate is never longer than g, whatever owners send, and however many
    of them; owners' weights do not matter. Where no owner points the way of g, the model stays as it is.

    Source: Cao et al. 2021, Algorithm 2 and equations 2 to 4.

    >>> import pandas as pd
    >>> rule = FLTrust(pd.DataFrame({"age": [41, 50], "ill": [0, 1]}))
    >>> rule
    FLTrust(2 root rows)
    >>> rule(np.array([[2.0, 0.0], [-900.0, 0.0]]), np.ones(2), root=np.array([1.0, 0.0]))
    array([1., 0.])
    """

    frame: pd.DataFrame
    needs: ClassVar[tuple[str, ...]] = SINGLE

    def __post_init__(self) -> None:
        import pandas as pd

        if not isinstance(self.frame, pd.DataFrame) or self.frame.empty:
            given = "an empty frame" if isinstance(self.frame, pd.DataFrame) else f"a {type(self.frame).__name__}"
            raise SettingError(
                f"FLTrust was given {given} as root rows.",
                "The server learns from rows of its own which owners to trust.",
                "Pass a pandas DataFrame of some clean rows, with the columns of the owners' frames.",
            )

    def __call__(
        self, changes: Floats, weights: Floats, before: Floats | None = None, root: Floats | None = None
    ) -> Floats:
        """The aggregate (d,) of changes (n, d), by their trust in the server's own change ``root`` (d,).

        Raises:
            SettingError: without a finite ``root`` of d numbers.
        """
        rows, _ = read(self, changes, weights, before)
        if root is None or np.shape(root) != rows.shape[1:] or not np.isfinite(root).all():
            raise SettingError(
                f"FLTrust was called {'without the' if root is None else 'with an unfit'} root change.",
                "Trust is how well an owner's change agrees with the one that the server learned from the root rows.",
                f"Train on the root rows, and pass root= that change: {counted(rows.shape[1], 'finite number')}.",
            )
        length, lengths = float(np.linalg.norm(root)), np.linalg.norm(rows, axis=1)
        if length == 0.0:
            return np.zeros_like(root, dtype=np.float64)
        # An owner that sends nothing but zeros points nowhere, and gets no trust.
        units = rows / np.where(lengths > 0.0, lengths, 1.0)[:, None]
        trust = np.maximum(units @ (root / length), 0.0)
        total = float(trust.sum())
        return length * (trust @ units) / total if total > 0.0 else np.zeros_like(root, dtype=np.float64)

    def __repr__(self) -> str:
        return f"FLTrust({counted(len(self.frame), 'root row')})"

    def _repr_html_(self) -> str:
        settings = [("Root rows", f"{len(self.frame):,}, which the server may see")]
        formula = "x = |g| · Σ trust_i · x_i / |x_i| / Σ trust_i,  trust_i = max(0, cos(x_i, g))"
        note = "It is as good as the root rows: they must be clean, and like those of the owners. " + READS
        return rule_card("FLTrust", formula, settings, weights="by their trust", note=note)
