"""Where budgets are kept: a chained, append-only journal in memory or in one SQLite file."""

from fedlab_nb.privacy.vault.home import home_of, mark_of, move_in
from fedlab_nb.privacy.vault.journal import Entry
from fedlab_nb.privacy.vault.vault import Vault

__all__ = ["Entry", "Vault", "home_of", "mark_of", "move_in"]
