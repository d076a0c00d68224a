"""The auditor: reads the ledger, the budgets and the settings of a federation, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fedlab_nb.audit.evidence import Evidence, evidence
from fedlab_nb.audit.export import csv_text, json_text, write
from fedlab_nb.audit.report import Report, reported
from fedlab_nb.audit.verify import Verification, verified
from fedlab_nb.cards import card
from fedlab_nb.errors import SettingError
from fedlab_nb.parties import Federation
from fedlab_nb.units import counted, listed


class Auditor:
    """The fourth role of IEEE 3652.1, beside data owner, model user and coordinator; FATE has no word for it.

    It sees who sent what kind of thing to whom, how large and whether hidden, what each release was for and what it
    cost, and the settings. It has no way to a row, to a key, or to what was in a message. What it writes is evidence
    for people who decide; it decides nothing.

    Raises:
        SettingError: for something that is not a Federation.
    """

    def __init__(self, federation: Federation) -> None:
        if not isinstance(federation, Federation):
            raise SettingError(
                f"An Auditor was given {type(federation).__name__!r}.",
                "It reads the ledger and the budgets of a federation, and nothing else has these.",
                "Write fl.Auditor(federation), also after the federation's runs have ended.",
            )
        self._federation = federation

    def verify(self, heads: Iterable[str] = ()) -> Verification:
        """What can be proved from the record now; true if every check holds.

        ``heads`` are digests that the owners noted from an earlier ``verify()``: each must still be part of one of the
        two chains, which tells whether the ledger or the vault was replaced by another since.

        Raises:
            SettingError: for a head that is no digest.
        """
        return verified(self._seen(), heads)

    def report(self, heads: Iterable[str] = ()) -> Report:
        """What happened, beside the roles of IEEE 3652.1 and articles of the GDPR, with the risks that remain.

        ``heads`` are as in ``verify``.

        Raises:
            SettingError: for a head that is no digest.
        """
        seen = self._seen()
        return reported(seen, verified(seen, heads))

    def to_json(self, path: str | Path) -> Path:
        """Write the whole record to ``path`` (.json) and return it; its ``fields`` say what everything means.

        Raises:
            SettingError: for a path that cannot be one, or cannot be written; nothing of it is written then.
        """
        seen = self._seen()
        return write(path, ".json", json_text(seen, verified(seen)))

    def to_csv(self, path: str | Path) -> Path:
        """Write every message, agreement, debit and kept answer to ``path`` (.csv), a line each, and return it.

        Raises:
            SettingError: for a path that cannot be one, or cannot be written; nothing of it is written then.
        """
        return write(path, ".csv", csv_text(self._seen()))

    def _seen(self) -> Evidence:
        return evidence(self._federation)

    def __repr__(self) -> str:
        ledger, vault = self._federation.ledger, self._federation.books.vault
        lines = counted(len(vault), "line")
        return f"Auditor({counted(len(ledger), 'message')} in the ledger, {lines} in the journal)"

    def _repr_html_(self) -> str:
        ledger, vault = self._federation.ledger, self._federation.books.vault
        rows = [
            ("Owners", listed(self._federation.names)),
            ("Ledger", counted(len(ledger), "message")),
            ("Journal", f"{vault.name}, {counted(len(vault), 'line')}"),
            ("May read", "ledger, budgets and settings; no row, no key, nothing that was in a message"),
            ("Ask for", ".verify(), .report(), .to_json(path), .to_csv(path)"),
        ]
        return card("Auditor (IEEE 3652.1)", rows, "What it writes is evidence for people who decide.")
