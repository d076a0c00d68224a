"""The card of a vault: where it is, what is in it, and what it cannot tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedlab_nb.cards import card, code

if TYPE_CHECKING:
    from fedlab_nb.privacy.vault.vault import Vault


def vault_card(vault: Vault) -> str:
    """Its file, the length of its journal, and the head that vouches for it."""
    kinds = [entry.kind for entry in vault.entries()]
    begun = kinds.count("begun")
    rows = [
        ("Kept in", str(vault.path) if vault.path else "memory, until the kernel ends"),
        ("Agreements", f"{kinds.count('opened'):,}"),
        (
            "Debits",
            f"{kinds.count('debit'):,}, one for each release of each owner, or kind of release of a frozen plan",
        ),
        *([("Begun", f"{begun:,} releases of frozen plans, which were debited as a whole")] if begun else []),
        ("Answers kept", f"{kinds.count('answer'):,}: an equal question gets the stored answer, free"),
        ("Head of the chain", code(vault.head)),
        ("As it was written", "yes" if vault.verify() else "NO: an entry was edited, removed or added"),
    ]
    note = "Whoever can replace the whole file can put an older copy in its place: let the owners note the head."
    return card("Vault: the budgets of all data used with it", rows, note)
