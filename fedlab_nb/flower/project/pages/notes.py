"""What the guide says of a training whose strategy or plan is out of the common, before anything else."""

from __future__ import annotations

from fedlab_nb.aggregate.fltrust import FLTrustApart
from fedlab_nb.flower.agreement import Agreement
from fedlab_nb.horizontal.asynchronous import FedBuff
from fedlab_nb.protect import RowLevelDP

_REHEARSAL = (
    "- **A rehearsal: its noise follows from a known seed and protects nobody. Run it on invented rows only.**\n"
)
_LATE = (
    "- **Lateness is simulated:** a clock of the strategy's own, at the server, says who comes when. Nobody is at work "
    "in between: each owner computes when it is asked, the server waits for it, and no time is saved.\n"
)
_FROZEN = (
    "- **The plan is frozen:** each owner's vault is debited with the whole run before anything of it leaves, and must "
    "not have been debited before. Nothing comes back if the run is stopped, and it cannot be gone on with: those rows "
    "have then spent their budget.\n"
)
_ROOT = """\
- **Root rows:** the rule FLTrust trains on {rows} that the server alone may see. They are not in this folder. Whoever
  exported it has `{name}-server/root_rows.parquet` beside it: bring it to the server's machine by a way of your own,
  readable there by the user of the programs below alone, and name it in every run:
  `flwr run . lab --stream --run-config "root_rows='/full/path/root_rows.parquet'"`. Another file is refused by its
  SHA-256, `{digest}`.
"""


def notes(name: str, agreement: Agreement) -> str:
    """Lines for the head of the guide of the project ``name``; "" where all is as usual."""
    house, rule = agreement.house, getattr(agreement.strategy, "aggregate", None)
    frozen = isinstance(house.protect, RowLevelDP) and house.protect.frozen and house.noise_seed is None
    lines = [_REHEARSAL] if house.noise_seed is not None else []
    lines += [_LATE] if isinstance(agreement.strategy, FedBuff) else []
    lines += [_FROZEN] if frozen else []
    if isinstance(rule, FLTrustApart):
        lines.append(_ROOT.format(name=name, rows=f"{rule.rows:,} rows", digest=rule.digest))
    return "".join(lines)
