"""A budget belongs to data: no other name, order, federation or way to write a path begins it anew."""

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fedlab_nb as fl
from fedlab_nb.errors import BudgetExceededError, RuleError, SettingError
from fedlab_nb.privacy import Vault
from fedlab_nb.records import PrivacyEvent, Update
from tests.rounds.common import forget
from tests.vault.common import DELTA, HAIR, forget_unused, refused

AGREED = fl.Budget(2.0, DELTA)


def frame(seed=0, rows=30):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"a": rng.normal(size=rows), "b": rng.normal(size=rows), "ill": ["no", "yes"] * (rows // 2)})


def owner(name="Clinic A", seed=0, table=None, **settings):
    return fl.DataOwner(name, frame(seed) if table is None else table, target="ill", **settings)


def owners(**settings):
    return [owner("Clinic A", 1, **settings), owner("Clinic B", 2, **settings)]


def federation(made=None, **settings):
    return fl.Federation(made or owners(), **{"budget": AGREED, **settings})


def ask(fed, amount=5.0, *, asked="", number=1):
    """One noisy sum."""
    event = PrivacyEvent(number, "a count", "training", "row", "gaussian", amount)
    return fed.gather(
        "count",
        lambda _, rows: Update(np.array([float(len(rows.training[0]))]), 1.0),
        number=fed.turn(),
        cohort=fed.names,
        bound=1e3,
        noise_sd=amount,
        debits={name: [event] for name in fed.names},
        asked=asked,
    ).value


def spent(fed, name="Clinic A"):
    return fed.account(name).spent(DELTA)


def test_a_federation_without_vault_uses_the_one_that_keeps_its_data(tmp_path):
    vault = Vault(tmp_path / "v")
    ask(federation(vault=vault))
    later = federation()
    assert later.books.vault is vault
    ask(later)
    assert Vault(tmp_path / "v").account(later.books.data["Clinic A"]).releases == 2
    mixed = federation([owner("Clinic A", 1), owner("Clinic C", 3)])
    assert mixed.books.vault is vault, "one owner whose vault is known is enough"
    ask(mixed)
    assert vault.account(mixed.books.data["Clinic C"]).releases == 1


def test_data_in_no_vault_stays_in_memory(tmp_path):
    fed = federation(vault=None)
    ask(fed)
    assert fed.books.vault.path is None
    assert federation(vault=None).account("Clinic A").releases == 1


def test_what_was_released_before_a_vault_was_named_is_carried_into_it(tmp_path):
    before = federation()
    ask(before)
    ask(before, 3.0)
    fl.Federation(owners(), noise_seed=1, budget=AGREED).charge(
        {"Clinic B": [PrivacyEvent(1, "a rehearsal", "training", "row", "gaussian", 1.0)]}
    )
    kept = federation(vault=Vault(tmp_path / "v"))
    for name in ("Clinic A", "Clinic B"):
        assert kept.account(name).counts == before.account(name).counts
        assert spent(kept, name) == pytest.approx(spent(before, name))
    assert not kept.account("Clinic B").guaranteed("row")
    federation(vault=Vault(tmp_path / "v"))
    assert Vault(tmp_path / "v").account(kept.books.data["Clinic A"]).releases == 2, "carried in once"
    assert kept.books.vault.verify()


def test_a_federation_in_memory_does_not_go_on_spending_what_a_vault_keeps_by_now(tmp_path):
    old = federation()
    ask(old)
    new = federation(vault=Vault(tmp_path / "v"))
    refused(lambda: ask(old), "Clinic A", "The vault 'v'", error=SettingError)
    refused(lambda: old.charge({"Clinic B": [PrivacyEvent(1, "x", "all", "row", "none")]}), error=SettingError)
    assert spent(old) == pytest.approx(spent(new))
    ask(new)
    ask(federation())
    assert new.account("Clinic A").releases == 3


def test_data_has_one_vault(tmp_path):
    federation(vault=Vault(tmp_path / "v"))
    for other in (Vault(tmp_path / "w"), Vault()):
        refused(lambda other=other: federation(vault=other), "Clinic A", "another vault", error=SettingError)
    federation([owner("X", 7), owner("Y", 8)], vault=Vault(tmp_path / "w"))
    both = [owner("Clinic A", 1), owner("X", 7)]
    refused(lambda: federation(both), "another vault", error=SettingError)
    refused(lambda: federation(both, vault=Vault(tmp_path / "v")), "'X'", error=SettingError)


WAYS = {
    "the same object": lambda path: path,
    "a relative path": lambda path: Path(os.path.relpath(path)),
    "text": str,
    "a path with dots": lambda path: path.parent / "other" / ".." / path.name,
}


@pytest.mark.parametrize("way", WAYS)
def test_another_way_to_write_the_path_is_the_same_vault(tmp_path, monkeypatch, way):
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    path = tmp_path / "v"
    ask(federation(vault=Vault(path)))
    ask(federation(vault=Vault(WAYS[way](path))))
    assert spent(federation()) == pytest.approx(spent(federation(vault=Vault(path))))
    assert Vault(path).account(federation().books.data["Clinic A"]).releases == 2


@pytest.mark.skipif(os.name == "nt", reason="links need a right of their own on Windows")
def test_a_link_to_a_vault_is_the_same_vault(tmp_path):
    path, link, folder = tmp_path / "v", tmp_path / "link", tmp_path / "folder"
    first = Vault(path)
    link.symlink_to(path)
    folder.symlink_to(tmp_path)
    ask(federation(vault=first))
    for way in (link, folder / "v", folder / "link"):
        ask(federation(vault=Vault(way)))
    assert federation().books.vault is first
    assert federation().account("Clinic A").releases == 4
    assert first.verify()


def test_a_copy_of_a_vault_is_another_vault(tmp_path):
    vault = Vault(tmp_path / "v")
    federation(vault=vault)
    del vault
    forget_unused()
    shutil.copy(tmp_path / "v", tmp_path / "copy")
    for suffix in ("-wal", "-shm"):
        shutil.copy(tmp_path / f"v{suffix}", tmp_path / f"copy{suffix}")
    ask(federation())
    copy = Vault(tmp_path / "copy")
    assert copy.mark == Vault(tmp_path / "v").mark
    refused(lambda: federation(vault=copy), "another vault", error=SettingError)


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps an open file from being deleted")
def test_a_vault_that_was_deleted_and_made_anew_does_not_begin_anew_in_this_kernel(tmp_path):
    old = federation(vault=Vault(tmp_path / "v"))
    ask(old)
    for each in tmp_path.iterdir():
        each.unlink()
    new = Vault(tmp_path / "v")
    refused(lambda: federation(vault=new), "another vault", error=SettingError)
    refused(lambda: ask(old), "deleted")
    assert len(new) == 0


DISGUISES = {
    "another name": lambda: owner("Somebody else", 1),
    "shuffled rows": lambda: owner(table=frame(1).sample(frac=1.0, random_state=3)),
    "shuffled columns": lambda: owner(table=frame(1)[["ill", "b", "a"]]),
    "another index": lambda: owner(table=frame(1).set_index(np.arange(30) * 7)),
    "smaller numbers": lambda: owner(table=frame(1).astype({"ill": "category"})),
    "another target": lambda: fl.DataOwner("Clinic A", frame(1), target="a"),
    "another split": lambda: owner(seed=1, held_out=0.4),
    "declared columns": lambda: owner(seed=1, bounds={"a": (-5, 5)}, categories={"ill": ["no", "yes"]}),
    "a budget of its own": lambda: owner(seed=1, budget=fl.Budget(1.0, DELTA)),
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_no_disguise_makes_data_look_unspent(tmp_path, disguise):
    first = federation(vault=Vault(tmp_path / "v"))
    ask(first)
    forget()  # as a new kernel would
    other = DISGUISES[disguise]()
    others = [other, fl.DataOwner("Clinic C", frame(5), target=other.target)]
    if disguise == "declared columns":
        others[1] = owner("Clinic C", 5, bounds={"a": (-5, 5)}, categories={"ill": ["no", "yes"]})
    later = federation(others, vault=Vault(tmp_path / "v"))
    assert later.account(other.name).releases == 1
    assert later.account("Clinic C").releases == 0


def test_one_row_more_or_less_is_other_data(tmp_path):
    vault = Vault(tmp_path / "v")
    ask(federation(vault=vault))
    less = [owner(table=frame(1)[1:]), owner("Clinic B", 2)]
    fed = federation(less, vault=vault)
    assert (fed.account("Clinic A").releases, fed.account("Clinic B").releases) == (0, 1)


def test_the_same_rows_twice_in_one_federation_are_refused(tmp_path):
    twice = [owner("Clinic A", 1), owner("Clinic B", 1)]
    refused(lambda: federation(twice, vault=Vault(tmp_path / "v")), "hold the same rows", error=RuleError)


def until_refused(fed):
    asked = 0
    while asked < 100:
        try:
            ask(fed, 4.0)
        except BudgetExceededError as error:
            return asked, str(error)
        asked += 1
    return asked, ""


def test_an_owners_own_budget_binds_it_and_the_federations_binds_the_others(tmp_path):
    small, large = fl.Budget(1.0, DELTA), fl.Budget(3.0, DELTA)
    vault = Vault(tmp_path / "v")
    mixed = [owner("Clinic A", 1, budget=small), owner("Clinic B", 2), owner("Clinic C", 3, budget=large)]
    count, told = until_refused(federation(mixed, vault=vault))
    assert count == small.rounds(4.0)
    assert "'Clinic A'" in told
    forget()
    without = federation(mixed[1:], vault=Vault(tmp_path / "v"))
    more, told = until_refused(without)
    assert count + more == AGREED.rounds(4.0)
    assert "'Clinic B'" in told
    last = federation([mixed[2], owner("Clinic D", 4, budget=fl.Budget(9.0, DELTA))], budget=None)
    assert sum((count, more, until_refused(last)[0])) == large.rounds(4.0)
    kept = Vault(tmp_path / "v")
    for fed, name, budget in ((without, "Clinic B", AGREED), (last, "Clinic C", large)):
        assert kept.account(fed.books.data[name]).spent(DELTA) <= budget.epsilon * HAIR


def test_a_refused_question_costs_nobody_anything(tmp_path):
    vault = Vault(tmp_path / "v")
    fed = federation([owner("Clinic A", 1, budget=fl.Budget(0.5, DELTA)), owner("Clinic B", 2)], vault=vault)
    before = len(vault)
    with pytest.raises(BudgetExceededError, match="Clinic A"):
        ask(fed, 2.0)
    assert len(vault) == before
    assert fed.account("Clinic B").releases == 0
    assert [m for m in fed.ledger.messages if m.kind == "count"] == []
