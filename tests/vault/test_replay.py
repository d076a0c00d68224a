"""An equal question is answered from the vault, free and with equal bits; a question that differs at all is not."""

import numpy as np
import pandas as pd
import pytest

import fedlab_nb as fl
from fedlab_nb.errors import BudgetExceededError
from fedlab_nb.privacy import Vault
from fedlab_nb.records import PrivacyEvent
from tests.rounds.common import bits, forget, logistic, play
from tests.vault.common import DELTA
from tests.vault.test_homes import ask, federation, frame, owner
from tests.vault.victims import owners as invented

ROWS = fl.RowLevelDP(noise_multiplier=4.0)


def run(path, made=None, *, strategy=None, seed=0, num_rounds=2, **settings):
    """A run in a new kernel; its history, and the debits and answers that it added to the vault."""
    forget()
    fed = fl.Federation(made or invented(1), **{"protect": ROWS, "vault": Vault(path), **settings})
    before = len(fed.books.vault)
    history = play(fed, strategy, seed=seed, num_rounds=num_rounds)
    assert history[-1].failed is None, history[-1].failed
    return history, [entry for entry in fed.books.vault.entries()[before:] if entry.kind != "opened"]


SETTINGS = {
    "plain": {},
    "encrypted": {"encrypt": fl.CKKS()},
    "masked": {"encrypt": fl.SecAgg()},
    "half of the owners": {"sample_rate": 0.6},
    "sampled rows": {"protect": fl.RowLevelDP(noise_multiplier=4.0, row_rate=0.3)},
    "with a budget": {"protect": None, "budget": fl.Budget(8.0, DELTA)},
}


@pytest.mark.parametrize("kind", SETTINGS)
def test_the_same_call_costs_once_and_gives_the_same_bits(tmp_path, kind):
    first, new = run(tmp_path / "v", **SETTINGS[kind])
    assert new
    second, more = run(tmp_path / "v", **SETTINGS[kind])
    assert bits(second) == bits(first)
    assert more == []


def other_table(change):
    made = invented(1)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 3))
    table = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": np.where(x.sum(1) > 0, "yes", "no")})
    return [fl.DataOwner("Bank A", change(table), target="y", categories={"y": ["no", "yes"]}), *made[1:]]


def split(share):
    """The same tables, another share of them held out."""
    rng, made = np.random.default_rng(1), []
    for name in ("Bank A", "Bank B", "Bank C"):
        x = rng.normal(size=(60, 3))
        table = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": np.where(x.sum(1) > 0, "yes", "no")})
        made.append(fl.DataOwner(name, table, target="y", categories={"y": ["no", "yes"]}, held_out=share))
    return made


OTHERS = {
    "another seed": {"seed": 1},
    "another learning rate": {"strategy": logistic(lr=0.5)},
    "another model": {"strategy": fl.FedAvg(fl.models.mlp())},
    "a row less": {"made": other_table(lambda table: table[1:])},
    "a changed cell": {"made": other_table(lambda table: table.assign(a=table["a"] + 1e-9 * (table.index == 7)))},
    "more noise": {"protect": fl.RowLevelDP(noise_multiplier=4.001)},
    "another clip": {"protect": fl.RowLevelDP(noise_multiplier=4.0, clip=0.5)},
    "another split": {"made": split(0.4)},
    "fewer owners": {"made": invented(1)[:2]},
    "encrypted": {"encrypt": fl.CKKS()},
    "a rehearsal": {"noise_seed": 3},
}


@pytest.mark.parametrize("what", OTHERS)
def test_a_run_that_differs_in_anything_trains_anew(tmp_path, what):
    first, new = run(tmp_path / "v")
    other, more = run(tmp_path / "v", **OTHERS[what])
    count = [sum(e.kind == "debit" and e.event.purpose == "a round's update" for e in each) for each in (new, more)]
    owners = 2 if what == "fewer owners" else 3
    assert count == [2 * 3, 2 * owners], "each round was paid anew"
    assert not np.array_equal(first[0].state.weights["server"], other[0].state.weights["server"])


def test_more_rounds_of_the_same_run_are_another_run(tmp_path):
    """Its noise is planned for so many rounds."""
    first, _ = run(tmp_path / "v", num_rounds=2)
    longer, more = run(tmp_path / "v", num_rounds=3)
    assert len(longer) == 3
    assert more
    assert len(first) == 2


def updates(entries):
    return [e for e in entries if e.kind == "debit" and e.event.purpose == "a round's update"]


def test_the_moments_of_another_split_are_asked_anew(tmp_path):
    _, first = run(tmp_path / "v")
    other, more = run(tmp_path / "v", split(0.4))
    asked = [[e.event.purpose for e in each if e.kind == "debit" and not e.event.round] for each in (first, more)]
    assert asked[0] == asked[1], "training rows are others, so their ranges and moments are too"
    assert other


def test_rows_read_in_another_way_are_asked_anew(tmp_path):

    def made(bounds):
        return [
            fl.DataOwner(name, frame(seed), target="ill", categories={"ill": ["no", "yes"]}, bounds=bounds)
            for name, seed in (("Clinic A", 1), ("Clinic B", 2))
        ]

    _, first = run(tmp_path / "v", made({"a": (-5, 5)}))
    _, more = run(tmp_path / "v", made({"b": (-5, 5)}))
    asked = [[e.event.purpose for e in each if e.kind == "debit" and not e.event.round] for each in (first, more)]
    assert asked[0] == asked[1], "the ranges of another column"


def test_an_answer_with_slightly_other_noise_is_another_answer(tmp_path):
    fed = federation(vault=Vault(tmp_path / "v"))

    def verdict(noise):
        event = PrivacyEvent(1, "a verdict", "held-out", "row", "gaussian", noise)
        return fed.hear(
            "verdict", lambda *_: np.array([noise]), number=1, debits=dict.fromkeys(fed.names, (event,)), asked="same"
        )

    first, second = verdict(10.0001), verdict(10.0004)
    assert (first["Clinic A"][0], second["Clinic A"][0]) == (10.0001, 10.0004)
    assert fed.account("Clinic A").releases == 2


def test_questions_are_told_apart_by_all_that_they_say(tmp_path):
    fed = federation(vault=Vault(tmp_path / "v"), budget=fl.Budget(20.0, DELTA))
    first = ask(fed, asked="how many")
    assert ask(fed, asked="how many") == first
    assert ask(fed, asked="how many", number=2) == first, "in whichever round it is asked"
    assert fed.account("Clinic A").releases == 1
    others = [
        ask(fed, 5.0001, asked="how many"),
        ask(fed, asked="how many more"),
        ask(fed),
        ask(fed),
        ask(federation([owner("Clinic B", 2), owner("Clinic A", 1)]), asked="how many"),
        ask(federation([owner("Clinic A", 1), owner("Clinic C", 3)]), asked="how many"),
        ask(federation(encrypt=fl.CKKS()), asked="how many"),
    ]
    assert len({float(value[0]) for value in [first, *others]}) == 8
    assert fed.account("Clinic A").releases == 8


def test_rehearsals_exact_answers_and_questions_without_words_are_not_kept(tmp_path):
    vault = Vault(tmp_path / "v")
    for settings in ({"noise_seed": 1}, {"budget": None}):
        fed = federation(vault=vault, **settings)
        ask(fed, asked="how many")
        ask(fed, asked="how many")
        play(fed, num_rounds=2)
    ask(federation(vault=vault, budget=fl.Budget(20.0, DELTA)))
    assert [entry.kind for entry in vault.entries() if entry.kind == "answer"] == []
    assert all(
        e.event.mechanism == "none" for e in vault.entries() if e.kind == "debit" and e.event.purpose != "a count"
    )


def test_scores_are_paid_also_where_the_update_came_from_the_vault(tmp_path, monkeypatch):
    """The process ended between a round's update and its score: the score had been paid ahead by that process alone."""
    from fedlab_nb.parties.books import Books

    class Ends(BaseException):
        pass

    keep, kept = Books.keep, []

    def until_the_first_score(books, question, number, payload):
        kept.append(question)
        if len(kept) == 6:  # plan, ranges, moments, held-out count, update; then the score
            raise Ends
        return keep(books, question, number, payload)

    with monkeypatch.context() as patched:
        patched.setattr(Books, "keep", until_the_first_score)
        with pytest.raises(Ends):
            run(tmp_path / "v")
    answers = sum(entry.kind == "answer" for entry in Vault(tmp_path / "v").entries())
    assert answers == 5
    _, more = run(tmp_path / "v")
    assert more[0].kind == "debit"
    assert (more[0].event.round, more[0].event.purpose, more[0].event.rows) == (1, "a round's score", "held-out")
    assert [e.event.purpose for e in more[:3]] == ["a round's score"] * 3
    assert more[3].kind == "answer"


def test_a_stored_answer_is_given_also_where_the_budget_is_spent(tmp_path):
    forget()
    fed = federation(vault=Vault(tmp_path / "v"), budget=fl.Budget(0.5, DELTA))
    first = ask(fed, 5.0, asked="how many")
    with pytest.raises(BudgetExceededError):
        ask(fed, 5.0, asked="another")
    forget()
    again = federation(vault=Vault(tmp_path / "v"), budget=fl.Budget(0.1, DELTA))
    assert ask(again, 5.0, asked="how many") == first, "what is public stays public"


def test_answers_stay_in_memory_too_while_there_is_room(monkeypatch):
    from fedlab_nb.privacy.vault import vault as module

    fed = federation(budget=fl.Budget(20.0, DELTA))
    assert ask(fed, asked="how many") == ask(fed, asked="how many")
    monkeypatch.setattr(module, "MEMORY_BYTES", 0)
    assert ask(fed, asked="another") != ask(fed, asked="another")
    assert fed.account("Clinic A").releases == 3
