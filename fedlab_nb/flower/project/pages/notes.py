"""What the guide says of a run whose strategy, plan or owners are out of the common, before anything else."""

from __future__ import annotations

from fedlab_nb.aggregate.fltrust import FLTrustApart
from fedlab_nb.crypto.linkage import BITS
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
  `flwr run . fedlab_superlink --stream --run-config "root_rows='/full/path/root_rows.parquet'"`. Another file is
  refused by its SHA-256, `{digest}`.
"""


_LINKED = """\
- **Rows are linked:** the two owners have no id in common. Rows count as the same person's where the columns that both
  name for it (`id` in `site.toml`) are alike by {threshold!r} or more (Dice), each the other's only best. A link may be
  wrong; the log says how many are doubtful. For this the server gets a pseudonym of each row of both: {bits:,} bits,
  which hold no name and are no encryption. It sees which are alike and what is frequent in them; who knows which names
  are frequent can guess some. The owners agree on the pseudonyms' key between themselves, and the server lacks it. With
  one of them, or where fingerprints are not noted (section 3), it could have it, and check every guess of a name at the
  other owner. Each owner learns which of its rows the other one has as well, or has one that is alike. Nobody can check
  that the server links those that are most alike. It takes 2 trips more than an id would.
"""


def notes(name: str, agreement: Agreement) -> str:
    """Lines for the head of the guide of the project ``name``; "" where all is as usual."""
    house, rule = agreement.house, getattr(agreement.strategy, "aggregate", None)
    frozen = isinstance(house.protect, RowLevelDP) and house.protect.frozen and house.noise_seed is None
    lines = [_REHEARSAL] if house.noise_seed is not None else []
    lines += [_LATE] if isinstance(agreement.strategy, FedBuff) else []
    lines += [_FROZEN] if frozen else []
    if agreement.linkage is not None:
        lines.append(_LINKED.format(threshold=agreement.linkage, bits=BITS))
    if isinstance(rule, FLTrustApart):
        lines.append(_ROOT.format(name=name, rows=f"{rule.rows:,} rows", digest=rule.digest))
    return "".join(lines)
