"""What the record says in sentences, each computed: how much is protected, how, and what that has cost."""

from __future__ import annotations

from fedlab_nb.audit.evidence import Evidence, Party
from fedlab_nb.audit.replay import spent
from fedlab_nb.channel.compare import scheme_name, travels
from fedlab_nb.units import counted, delta_text, epsilon_text, listed

EVIDENCE = "This is evidence for people who decide: it tells what the record shows, and judges nothing."
DECISION = (
    "Whether this is enough is for people to decide: what stands here is evidence for them, and what the record does "
    "not show they have to find out elsewhere."
)


def encryption(evidence: Evidence) -> str:
    """Whether encryption is in force, and how many answers of owners were readable one by one."""
    house, answers, readable = evidence.house, len(evidence.answers), evidence.readable
    if evidence.vertical:
        return _encryption_of_columns(evidence)
    if house.encrypt is None:
        return f"No encryption is in force: the server could read all {counted(answers, 'answer')} of single owners."
    kinds = listed(sorted({repr(c.kind) for c in readable})) or "none"
    return (
        f"Encryption is in force ({scheme_name(house.encrypt)}): {answers - len(readable)} of "
        f"{counted(answers, 'answer')} of single owners crossed {travels(house.encrypt)}; readable one by one: {kinds}."
    )


def _encryption_of_columns(evidence: Evidence) -> str:
    """The same where owners send to each other: who could read an answer is whoever it was sent to."""
    scheme, readable = evidence.house.encrypt, evidence.readable
    kinds = listed(sorted({repr(c.kind) for c in readable})) or "none"
    force = f"Encryption is in force ({scheme_name(scheme)})" if scheme else "No encryption is in force"
    return (
        f"{force}: {len(evidence.answers) - len(readable)} of {counted(len(evidence.answers), 'answer')} of single "
        f"owners crossed sealed or masked; readable one by one, for whoever they were sent to: {kinds}."
    )


def opening(evidence: Evidence) -> str:
    """Who can open sums, and how many single updates were sent to a key holder."""
    if evidence.vertical:
        return _opening_of_columns(evidence)
    sent = sum(c.receiver == "key holder" for c in evidence.answers)
    return {
        "none": "There are no keys: nothing is sealed.",
        "authority": f"One key holder has the secret key; it was sent {counted(sent, 'answer')} of single owners.",
        "owners": "Every owner has the secret key, and could open whatever sealed update it gets hold of.",
        "threshold": "Nobody has the secret key: a sum opens only if every owner of the round helps.",
        "masks": "There is no secret key: masks cancel in the sum, and enough owners together can take them off.",
    }[evidence.house.hiding]


def _opening_of_columns(evidence: Evidence) -> str:
    """Who handed out keys where owners multiply each other's sealed numbers, and what the key holder was sent."""
    keys = [giver for giver in evidence.key_givers if giver in evidence.names]
    told = (
        [f"{listed([repr(name) for name in keys])}: a secret key of its own each, for sums sent to it."] if keys else []
    )
    if "key holder" in evidence.key_givers:
        told.append(f"The key holder has a secret key; it {opened_by_holder(evidence)}.")
    return " ".join(told) or "No key was handed out so far."


def opened_by_holder(evidence: Evidence) -> str:
    """What reached the key holder where owners hold different columns: of padded numbers it learns nothing."""
    got = [c for c in evidence.crossings if c.receiver == "key holder" and c.encrypted]
    padded = sum(c.kind.startswith("padded ") for c in got)
    return (
        f"got {counted(len(got) - padded, 'sealed sum')}, and {counted(padded, 'sealed gradient')} under pads: random "
        "numbers to it"
    )


def mechanism(evidence: Evidence) -> str:
    """Whether noise hides anything, and what."""
    house = evidence.house
    if house.protect is None:
        return "No privacy mechanism is in force: answers leave exact."
    if house.noise_seed is not None:
        return "This federation is a rehearsal: its noise repeats from a known seed and protects nobody."
    noise = house.protect.noise_multiplier
    how = "as much noise as the budget asks for" if noise is None else f"noise multiplier {noise:g}"
    return (
        f"A privacy mechanism is in force: it hides a single {house.protect.unit} ({house.protect.clip_words}, {how})."
    )


def releases(evidence: Evidence) -> str:
    """How many releases were debited, with noise and without."""
    exact, noisy = evidence.releases(exact=True), evidence.releases(exact=False)
    if evidence.book.fault:
        return "How many releases there were cannot be told: the journal is not as it was written."
    if not exact:
        return f"The journal has {counted(noisy, 'release')} of these owners' data, all of them with noise."
    return (
        f"The journal has {counted(noisy + exact, 'release')} of these owners' data: {noisy} with noise, {exact} exact."
    )


def unit(evidence: Evidence) -> str:
    """What epsilon is about: a row or an owner."""
    return evidence.house.protect.unit if evidence.house.protect else "row"


def spending(party: Party, evidence: Evidence) -> str:
    """What an owner's data has spent of what was agreed, since its journal began."""
    epsilon, agreed = spent(party.account, party.delta, unit(evidence)), party.agreed
    limit = f"of {epsilon_text(agreed.epsilon)} agreed" if agreed else "and no limit agreed"
    if not party.account.releases:
        return f"nothing {limit}"
    if epsilon is None:
        return f"no guarantee (something left exact, or protected less); {limit.removeprefix('and ')}"
    return f"epsilon {epsilon_text(epsilon)} {limit}, per {unit(evidence)}, at delta {delta_text(party.delta)}"


def spendings(evidence: Evidence) -> str:
    """What every owner has spent, those who stand alike together."""
    alike: dict[str, list[str]] = {}
    for party in evidence.parties:
        alike.setdefault(spending(party, evidence), []).append(repr(party.name))
    told = "; ".join(f"{listed(names)}: {words}" for words, names in alike.items())
    return f"{told} (as this kernel had counted: the journal cannot be believed)" if evidence.book.fault else told


def guaranteed(evidence: Evidence) -> bool:
    """Whether an epsilon holds for every owner's data, over all that ever left it."""
    house = evidence.house
    if house.protect is None or house.noise_seed is not None:
        return False
    return all(spent(party.account, party.delta, house.protect.unit) is not None for party in evidence.parties)


def keeping(evidence: Evidence) -> str:
    """Where the journal is kept."""
    if evidence.book.in_file:
        return f"The journal is kept in a file ({evidence.book.name})."
    return "The journal is kept in memory: it ends with the kernel, and what was spent is then forgotten."


def chains(evidence: Evidence) -> str:
    """Whether ledger and journal are as they were written."""
    ledger = "is as it was written" if evidence.ledger_holds else "was altered"
    journal = "is as it was written" if evidence.book.holds else "was altered"
    lines = f" of {counted(len(evidence.book.lines), 'line')}" if evidence.book.lines else ""
    size = counted(len(evidence.crossings), "message")
    return f"The chain of {size} {ledger}; the chain of the journal{lines} {journal}."
