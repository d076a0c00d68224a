"""Whatever is released, in any order: never more than agreed; refusals leave no trace; reopening forgets nothing."""

import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedlab_nb.errors import BudgetExceededError, VaultError
from fedlab_nb.privacy import Budget, Debit, GaussianMeter, RenyiMeter, Vault, gaussian_epsilon
from fedlab_nb.privacy.vault.file import File
from fedlab_nb.records import PrivacyEvent
from tests.vault.common import DELTA, HAIR, assert_unchanged, facts_of, forget_unused, recounted

DATA = ("rows of A", "rows of B", "rows of C")
NOISY = st.builds(
    PrivacyEvent,
    round=st.integers(0, 3),
    purpose=st.sampled_from(["an update", "a score"]),
    rows=st.sampled_from(["training", "held-out", "all"]),
    unit=st.just("row"),
    mechanism=st.sampled_from(["gaussian", "laplace"]),
    amount=st.floats(0.5, 50.0),
    sample_rate=st.sampled_from([1.0, 0.1]),
    times=st.sampled_from([1, 3]),
)
OTHERS = st.builds(
    PrivacyEvent,
    round=st.just(1),
    purpose=st.just("something else"),
    rows=st.sampled_from(["training", "held-out", "all"]),
    unit=st.sampled_from(["row", "owner"]),
    mechanism=st.sampled_from(["gaussian", "laplace", "none"]),
    amount=st.sampled_from([0.0, 0.01, 0.5, 20.0]),
    delta=st.sampled_from([0.0, 0.0, 1e-4]),
)
BUDGETS = st.sampled_from([None, Budget(0.5, DELTA), Budget(2.0, DELTA), Budget(6.0, 1e-4)])
EVENTS = st.lists(NOISY | OTHERS, max_size=3).map(tuple)


@st.composite
def charges(draw):
    """Debits of some owners at once, each with data of its own."""
    data = draw(st.permutations(DATA))[: draw(st.integers(1, 3))]
    names = st.sampled_from(["Clinic A", "Clinic B"])
    shares = st.sampled_from([0.2, 0.2, 0.3])
    return [Debit(draw(names), each, draw(shares), draw(EVENTS), draw(BUDGETS)) for each in data]


OPENINGS = st.tuples(st.sampled_from(DATA), BUDGETS, st.sampled_from([GaussianMeter(), RenyiMeter(6.0)]))
KEPT = st.tuples(st.sampled_from(["q", "r"]), st.text(max_size=3))
STEPS = st.lists(
    st.tuples(st.just("charge"), charges())
    | st.tuples(st.just("charge"), charges())
    | st.tuples(st.sampled_from(["fails", "ends"]), charges())
    | st.tuples(st.just("open"), OPENINGS)
    | st.tuples(st.just("keep"), KEPT)
    | st.tuples(st.just("reopen"), st.none()),
    max_size=8,
)


class Ends(BaseException):
    """The process ends here."""


def charge(vault, debits):
    """What must hold of a charge: it fits every budget that binds it, or nothing of it happened."""
    before = facts_of(vault)
    try:
        vault.charge(debits)
    except BudgetExceededError:
        assert_unchanged(vault, before)
        return
    for debit in debits:
        if debit.budget is not None and debit.events:
            assert vault.account(debit.data).spent(debit.budget.delta) <= debit.budget.epsilon * HAIR
    assert len(vault) - before[-1] == sum(len(debit.events) for debit in debits)


def interrupted(vault, debits, kind):
    """The disk fails before the commit, or the process ends right after it."""
    before, run = facts_of(vault), File.writing.__wrapped__

    def failing(self):
        inner = run(self)
        yield next(inner)
        if kind == "fails":
            error = VaultError("The disk failed.", "It is a test.", "Go on.")
            with suppress(VaultError):
                inner.throw(error)
            raise error
        with suppress(StopIteration):
            next(inner)
        raise Ends

    from contextlib import contextmanager

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(File, "writing", contextmanager(failing))
        with suppress(VaultError, BudgetExceededError, Ends):
            vault.charge(debits)
    if kind == "fails":
        assert_unchanged(vault, before)


def keep(vault, question, text):
    """The first answer stays."""
    known = vault.answer(question)
    vault.keep(question, 0, text)
    assert vault.answer(question) == (text if known is None else known)


@settings(max_examples=25, deadline=None)
@given(steps=STEPS)
def test_any_sequence_stays_within_what_was_agreed_and_is_known_again_after_reopening(steps):
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        vault = Vault(Path(folder) / "v")
        for kind, given_ in steps:
            if kind == "charge":
                charge(vault, given_)
            elif kind in ("fails", "ends"):
                interrupted(vault, given_, kind)
            elif kind == "open":
                data, budget, meter = given_
                vault.open(data, "Clinic A", budget, "row", meter)
            elif kind == "keep":
                keep(vault, *given_)
            else:
                vault = Vault(Path(folder) / "v")
            vault.answer("q")  # whoever looks has seen all lines, also those that an interrupt kept from being counted
        reopened = Vault(Path(folder) / "v")
        assert facts_of(reopened) == facts_of(vault)
        assert reopened.verify()
        assert vault.verify()
        for data, account in recounted(reopened.entries()).items():
            assert reopened.account(data).counts == account.counts
        del vault, reopened
        forget_unused()


@settings(max_examples=40, deadline=None)
@given(first=charges(), second=charges(), order=st.permutations(range(3)))
def test_the_order_of_owners_does_not_matter(first, second, order):
    spent = []
    for turn in (list, lambda debits: [debits[i] for i in order if i < len(debits)]):
        vault = Vault()
        for debits in (first, second):
            with suppress(BudgetExceededError):
                vault.charge(turn(debits))
        spent.append({data: vault.account(data).spent(DELTA) for data in DATA})
    assert spent[0] == pytest.approx(spent[1])


@settings(max_examples=40, deadline=None)
@given(amounts=st.lists(st.floats(0.5, 20.0), min_size=1, max_size=8), epsilon=st.floats(0.2, 10.0))
def test_plain_gaussian_releases_go_on_just_as_long_as_the_formula_allows(amounts, epsilon):
    """By hand: releases at multipliers s act as one with 1/s^2 summed up, and are refused where that is too much."""
    vault, squares = Vault(), 0.0
    for amount in amounts:
        event = PrivacyEvent(1, "an update", "training", "row", "gaussian", amount)
        would_be = gaussian_epsilon((squares + amount**-2) ** 0.5, DELTA)
        if abs(would_be / epsilon - 1) < 1e-6:
            continue  # too close to call in floating point
        try:
            vault.charge([Debit("Clinic A", "rows of A", 0.2, (event,), Budget(epsilon, DELTA))])
        except BudgetExceededError:
            assert would_be > epsilon
        else:
            assert would_be < epsilon
            squares += amount**-2
    assert vault.account("rows of A").spent(DELTA) == pytest.approx(gaussian_epsilon(squares**0.5, DELTA))


# Fails until trial() in privacy/account.py looks at every budget once more when all debits are added up.
def test_two_owners_with_the_same_rows_are_held_to_both_budgets():
    vault = Vault()
    event = PrivacyEvent(1, "an update", "training", "row", "gaussian", 4.0)
    small, large = Budget(0.7, DELTA), Budget(8.0, DELTA)
    both = [Debit("A", "same rows", 0.2, (event,), small), Debit("B", "same rows", 0.2, (event,), large)]
    with pytest.raises(BudgetExceededError):
        vault.charge(both)
    assert vault.account("same rows").releases == 0
