"""What can be proved from the record alone: chains, debits before answers, sums, limits, and what crossed sealed."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from fedlab_nb.audit.evidence import Evidence
from fedlab_nb.audit.replay import Agreement, agreements, rebuilt
from fedlab_nb.cards import card, code, framed, marked, one_line, pairs_html, panel, table_html
from fedlab_nb.errors import SettingError
from fedlab_nb.ledger import GENESIS
from fedlab_nb.units import counted, delta_text, epsilon_text, listed

# So many characters of a digest are enough to know it by: cards show half of it.
LEAST_HEAD = 16
# What training sends to be summed, and nobody is to read of a single owner.
SUMMED = ("update", "moment", "range count", "score count")
MARKS = {
    True: ("✓", "holds", "fl-good"),
    False: ("✕", "does not hold", "fl-bad"),
    None: ("–", "not known", "fl-maybe"),
}
NOTE = "Evidence about the record, for people who decide: not about what happened outside of it."


@dataclass(frozen=True, repr=False)
class Check:
    """One thing that was checked: whether it ``holds`` (None: it cannot be told), and what was ``found``."""

    what: str
    holds: bool | None
    found: str

    def __repr__(self) -> str:
        return one_line(f"Check({self.what!r}: {_WORDS[self.holds]})")

    def _repr_html_(self) -> str:
        return card(f"Check: {self.what}", [("Outcome", _WORDS[self.holds]), ("Found", self.found)])


_WORDS = {True: "holds", False: "does not hold", None: "not known"}


@dataclass(frozen=True, repr=False)
class Verification:
    """Every check with its outcome; true if all of them hold.

    ``ledger_head`` and ``vault_head`` are the digests that vouch for all messages and all lines of the journal up to
    now: let every owner note them, and give them to a later ``verify(heads=...)``.
    """

    checks: tuple[Check, ...]
    ledger_head: str
    vault_head: str

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that do not hold, or of which it cannot be told."""
        return tuple(check for check in self.checks if not check.holds)

    def __bool__(self) -> bool:
        return not self.failed

    def __repr__(self) -> str:
        names = ", ".join(check.what.lower() for check in self.failed)
        held = f"{len(self.checks) - len(self.failed)} of {len(self.checks)} checks hold"
        return one_line(f"Verification({held}{f'; not: {names}' if names else ''})")

    def __str__(self) -> str:
        lines = [f"{' '.join(MARKS[c.holds][:2])}: {c.what}. {one_line(c.found)}" for c in self.checks]
        heads = [f"Head of the ledger: {self.ledger_head}", f"Head of the vault:  {self.vault_head}"]
        return "\n".join([*lines, *heads, NOTE])

    def _repr_html_(self) -> str:
        rows = [(c.what, marked(*MARKS[c.holds]), c.found) for c in self.checks]
        heads = pairs_html(
            [("Head of the ledger", code(self.ledger_head)), ("Head of the vault", code(self.vault_head))]
        )
        title = "Checked: all of it holds" if self else f"Checked: {counted(len(self.failed), 'check')} failed"
        return framed(panel(title, table_html(("What", "", "Found"), rows) + heads, note=NOTE))


def verified(evidence: Evidence, heads: Iterable[str] = ()) -> Verification:
    """All checks on this evidence; ``heads`` are digests that owners noted earlier.

    Raises:
        SettingError: for a head that is no digest.
    """
    noted = _noted(heads)
    checks = [_ledger(evidence), _journal(evidence)]
    for what, check in _ON_JOURNAL.items():
        holds, found = check(evidence) if not evidence.book.fault else (None, "The journal cannot be believed.")
        checks.append(Check(what, holds, found))
    checks.append(_sealed(evidence))
    checks += [_heads(evidence, noted)] if noted else []
    return Verification(tuple(checks), evidence.ledger_head, evidence.book.head)


def _ledger(evidence: Evidence) -> Check:
    size, how = counted(len(evidence.crossings), "message"), "each carries the digest of all before it"
    if evidence.ledger_holds:
        return Check("Chain of messages", True, f"{size}: {how}, and none is missing, added or altered.")
    return Check("Chain of messages", False, f"{size}: one of them is missing, was added or altered.")


def _journal(evidence: Evidence) -> Check:
    book, size = evidence.book, counted(len(evidence.book.lines), "line")
    if book.fault:
        return Check("Chain of the journal", False, book.fault)
    if not book.holds:
        return Check("Chain of the journal", False, f"{book.name}: a kept answer is not the one that was written.")
    kept = "and every kept answer is the one that was written"
    return Check("Chain of the journal", True, f"{book.name}, {size}: as it was written, {kept}.")


def _debits_first(evidence: Evidence) -> tuple[bool, str]:
    """Each kept answer names the debit before it; one without a debit of its own had been paid for ahead."""
    debits = {line.number for line in evidence.book.lines if line.kind in ("debit", "begun")}
    answers = [line for line in evidence.book.lines if line.kind == "answer"]
    named = [line for line in answers if line.facts["debit"]]
    late = [a for a in named if a.facts["debit"] not in debits or a.facts["debit"] >= a.number]
    if late:
        return False, f"Line {late[0].number} of the journal keeps an answer that no debit before it pays for."
    ahead = len(answers) - len(named)
    rest = f"; {ahead} had no debit of their own (paid ahead, or free: how much noise was planned)" if ahead else ""
    return True, f"{counted(len(answers), 'kept answer')}, {len(named)} of them with a debit before it{rest}."


def _paid(evidence: Evidence) -> tuple[bool, str]:
    """No owner sent more updates than releases of its training rows were debited, and none sent anything undebited."""
    sent = Counter(c.sender for c in evidence.answers if c.kind == "update")
    paid: Counter[str] = Counter()
    for line, event in evidence.debits:
        paid[line.facts["data"]] += event.times if event.rows != "held-out" else 0
    silent = {c.sender for c in evidence.answers} - {p.name for p in evidence.parties if p.data in paid}
    if silent:
        return False, f"{min(silent)!r} sent answers, and the journal has no debit of its data."
    unpaid = [p.name for p in evidence.parties if sent[p.name] > paid[p.data]]
    if unpaid:
        first = unpaid[0]
        return False, f"{first!r} sent {counted(sent[first], 'update')}, more than releases of its rows were debited."
    crossed = f"{counted(len(evidence.answers), 'answer')} crossed, {counted(sum(sent.values()), 'update')} among them"
    return True, f"{crossed}: every sender's data was debited, for as many releases as it sent updates or more."


def _sums_agree(evidence: Evidence) -> tuple[bool, str]:
    """The accounts that releases are refused by say what the journal alone adds up to."""
    journal = rebuilt(evidence)
    for party in evidence.parties:
        mine, written = party.account, journal[party.data]
        equal = math.isclose(mine.spent(party.delta), written.spent(party.delta), rel_tol=1e-9)
        if mine.counts != written.counts or not equal:
            return False, (
                f"The account of {party.name!r} says {counted(mine.releases, 'release')}, the journal "
                f"{written.releases}, or they add up to another epsilon."
            )
    total = sum(account.releases for account in journal.values())
    return True, f"{counted(total, 'debit')} in the accounts, the same ones in the journal, to the same epsilon."


def _limits_kept(evidence: Evidence) -> tuple[bool, str]:
    made = agreements(evidence)
    bounded = [a for a in made if a.budget is not None]
    over = next((a for a in bounded if not a.kept), None)
    if over is not None:
        return False, f"{_reached(over)}: more than agreed, in line {over.line.number} of the journal."
    if not bounded:
        return True, "No limit is written down, so none was passed."
    return True, f"{counted(len(bounded), 'agreement')} with a limit, and no debit went beyond the one in force."


def _reached(agreement: Agreement) -> str:
    budget = agreement.budget
    assert budget is not None
    return (
        f"{agreement.line.owner!r} came to epsilon {epsilon_text(agreement.after)} of {epsilon_text(budget.epsilon)} "
        f"at delta {delta_text(budget.delta)}"
    )


def _sealed(evidence: Evidence) -> Check:
    """Where encryption is in force: nothing that belongs into a sum has crossed readable; what else did is named.

    Answers that owners give one by one (lists, scores, a question asked of each) are readable on purpose: their kinds
    are told, with those that crossed both ways.
    """
    what, readable = "Sealed stays sealed", evidence.readable
    if evidence.house.encrypt is None:
        found = f"No encryption is in force, nothing was to be sealed: the server could read {len(readable)} answers."
        return Check(what, True, found)
    bare = next((c for c in readable if c.kind in SUMMED), None)
    if bare is not None:
        found = f"Message {bare.number}, {bare.kind!r} from {bare.sender!r}, crossed readable, and was to be hidden."
        return Check(what, False, found)
    hidden, open_ones = {c.kind for c in evidence.answers if c.encrypted}, {c.kind for c in readable}
    others, both = listed(sorted(open_ones), most=12) or "nothing", listed(sorted(open_ones & hidden), most=12)
    found = f"{len(evidence.answers) - len(readable)} answers crossed hidden; readable one by one: {others}."
    found += f" Both ways: {both}." if both else ""
    return Check(what, True, found)


def _heads(evidence: Evidence, noted: Sequence[str]) -> Check:
    known = [GENESIS, *(c.digest for c in evidence.crossings), *(line.digest for line in evidence.book.lines)]
    lost = [head for head in noted if not any(digest.startswith(head) for digest in known)]
    if lost:
        found = (
            f"{lost[0]!r} is in neither chain: something was replaced, or it was noted while the vault was empty, or "
            "of another federation."
        )
        return Check("Heads noted earlier", False, found)
    return Check("Heads noted earlier", True, f"{counted(len(noted), 'head')} noted earlier, still part of the chains.")


def _noted(heads: Iterable[str]) -> tuple[str, ...]:
    """The heads without what a card adds to them."""
    given = (heads,) if isinstance(heads, str) else tuple(heads)
    noted = tuple(head.strip().rstrip("…").lower() if isinstance(head, str) else "" for head in given)
    for head, plain in zip(given, noted, strict=True):
        if not re.fullmatch(f"[0-9a-f]{{{LEAST_HEAD},64}}", plain):
            raise SettingError(
                f"heads has {head!r}, which is not the head of a chain.",
                f"A head is a digest: 64 hex characters, of which the first {LEAST_HEAD} are enough to know it by.",
                "Give what an owner noted from auditor.verify(): its .ledger_head or its .vault_head.",
            )
    return noted


_ON_JOURNAL: Mapping[str, Callable[[Evidence], tuple[bool, str]]] = {
    "Debits before answers": _debits_first,
    "Answers were paid for": _paid,
    "Accounts and journal agree": _sums_agree,
    "Spent within what was agreed": _limits_kept,
}
