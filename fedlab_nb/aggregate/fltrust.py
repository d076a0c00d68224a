"""FLTrust: owners count by how well their changes agree with one that the server learned from rows of its own.

Source: Cao, Fang, Liu and Gong 2021, "FLTrust: Byzantine-robust federated learning via trust bootstrapping",
Algorithm 2.
"""

from __future__ import annotations

import hashlib
import io
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NoReturn

import numpy as np

from fedlab_nb.aggregate.rule import READS, SINGLE, Floats, read, rule_card
from fedlab_nb.errors import SettingError
from fedlab_nb.units import counted

if TYPE_CHECKING:
    import pandas as pd

FORMULA = "x = |g| · Σ trust_i · x_i / |x_i| / Σ trust_i,  trust_i = max(0, cos(x_i, g))"
NOTE = "It is as good as the root rows: they must be clean, and like those of the owners. " + READS


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

    def apart(self, file: Path) -> FLTrustApart:
        """The same rule with its root rows in a ``file`` (parquet) of the server's: what owners may be shown of it.

        A file that holds these rows already stays as it is.

        Raises:
            SettingError: if the rows cannot be written to a table.
        """
        import pandas as pd

        rows = self.frame.reset_index(drop=True)
        try:
            if not (file.exists() and pd.read_parquet(file).equals(rows)):
                # With a secret in it: else whoever knows the digest could try out which rows these are.
                rows.attrs = {"salt": secrets.token_hex(32)}
                file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                file.touch(mode=0o600)
                rows.to_parquet(file, index=False)
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            raise SettingError(
                f"The root rows of FLTrust cannot be written to {file.name!r} ({type(error).__name__}).",
                "The server reads them from a file of its own, as they must not travel with what owners get.",
                "Give a frame of numbers and texts with one name for each column, and a folder that can be written to.",
            ) from None
        return FLTrustApart(len(rows), hashlib.sha256(file.read_bytes()).hexdigest())

    def __repr__(self) -> str:
        return f"FLTrust({counted(len(self.frame), 'root row')})"

    def _repr_html_(self) -> str:
        settings = [("Root rows", f"{len(self.frame):,}, which the server may see")]
        return rule_card("FLTrust", FORMULA, settings, weights="by their trust", note=NOTE)


@dataclass(frozen=True, repr=False)
class FLTrustApart:
    """FLTrust as owners know it: how many root rows there are, and the SHA-256 of the file that only the server has."""

    rows: int
    digest: str
    needs: ClassVar[tuple[str, ...]] = SINGLE

    def joined(self, file: str) -> FLTrust:
        """The rule with its root rows, read from the ``file`` at the server.

        Raises:
            SettingError: there is no such file, or it is not the one whose digest all parties know.
        """
        import pandas as pd

        try:
            found = Path(file).read_bytes()
        except OSError:
            found = b""
        if hashlib.sha256(found).hexdigest() != self.digest:
            raise SettingError(
                f"{self!r} trains on root rows of the server's, and root_rows={Path(file).name!r} is not their file.",
                f"All parties agreed on the file with the SHA-256 {self.digest[:16]}..., and other rows would trust "
                "other owners.",
                "Copy root_rows.parquet, which the export wrote beside the project, to the server's machine and name "
                "it: flwr run . fedlab_superlink --run-config \"root_rows='/full/path/root_rows.parquet'\".",
            )
        return FLTrust(pd.read_parquet(io.BytesIO(found)))

    def __call__(self, changes: Floats, weights: Floats) -> NoReturn:  # noqa: ARG002 - as rules are called
        """Nothing is combined without the root rows.

        Raises:
            SettingError: always.
        """
        raise SettingError(
            f"{self!r} was called where its root rows are not.",
            "Trust is how well an owner's change agrees with one that is learned from these rows, and the server has "
            "them.",
            "Join them first: rule.joined('root_rows.parquet').",
        )

    def __repr__(self) -> str:
        return f"FLTrust({counted(self.rows, 'root row')})"

    def _repr_html_(self) -> str:
        settings = [("Root rows", f"{self.rows:,}, in a file of the server's"), ("Its SHA-256", self.digest)]
        return rule_card("FLTrust", FORMULA, settings, weights="by their trust", note=NOTE)
