"""The report as one object: prints as text, shows as cards, and gives itself as Markdown."""

from __future__ import annotations

from dataclasses import dataclass

from fedlab_nb.audit import words
from fedlab_nb.audit.evidence import Evidence
from fedlab_nb.audit.export import stamp
from fedlab_nb.audit.report.duties import duties
from fedlab_nb.audit.report.processing import limits, processing, recipients
from fedlab_nb.audit.report.risks import risks
from fedlab_nb.audit.report.roles import exposures, roles, sights, traffic
from fedlab_nb.audit.report.section import Mark, Section, html, markdown, text
from fedlab_nb.audit.verify import MARKS, Verification
from fedlab_nb.cards import framed, one_line
from fedlab_nb.units import counted


@dataclass(frozen=True, repr=False)
class Report:
    """What the record shows, for people who decide: its first and its last sentence say so."""

    sections: tuple[Section, ...]
    title: str

    def __str__(self) -> str:
        return text(self.sections)

    def markdown(self) -> str:
        """The report as Markdown, to be kept or printed; nothing that a party is called becomes markup."""
        return markdown(self.sections)

    def __repr__(self) -> str:
        return one_line(f"Report({self.title})")

    def _repr_html_(self) -> str:
        return framed(html(self.sections))


def reported(evidence: Evidence, verification: Verification) -> Report:
    """Every section, computed from the evidence."""
    size = f"{counted(len(evidence.parties), 'owner')}, {counted(len(evidence.crossings), 'message')}"
    sections = (
        _summary(evidence, verification),
        _checks(verification),
        roles(evidence),
        duties(evidence, verification),
        processing(evidence),
        recipients(evidence),
        limits(evidence),
        traffic(evidence),
        sights(evidence),
        exposures(evidence),
        risks(evidence),
        Section("To be decided", (words.DECISION,)),
    )
    return Report(sections, f"{size}, {stamp(evidence.at)}")


def _summary(evidence: Evidence, verification: Verification) -> Section:
    held = f"{len(verification.checks) - len(verification.failed)} of {len(verification.checks)} checks hold."
    told = (
        words.EVIDENCE,
        f"Taken at {stamp(evidence.at)}. {words.chains(evidence)} {held}",
        f"{words.encryption(evidence)} {words.mechanism(evidence)} {words.releases(evidence)}",
        f"Spent: {words.spendings(evidence)}. {words.keeping(evidence)}",
    )
    return Section("Audit report", told)


def _checks(verification: Verification) -> Section:
    rows = tuple((c.what, Mark(*MARKS[c.holds]), c.found) for c in verification.checks)
    heads = (f"Head of the ledger: {verification.ledger_head}", f"Head of the vault: {verification.vault_head}")
    return Section("What was checked", heads, ("Check", "", "Found"), rows)
