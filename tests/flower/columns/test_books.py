"""Budgets of a vertical run: each owner debits its own releases, at its own site, before anything of them leaves."""

import pytest

import fedlab_nb as fl
from fedlab_nb.errors import FedLabError
from fedlab_nb.flower.columns.site import ColumnsSite, OneParty
from fedlab_nb.flower.columns.talk import Guest, read_return
from fedlab_nb.flower.survey.asking import spent_of
from fedlab_nb.parties.house import House
from fedlab_nb.privacy import Vault
from fedlab_nb.rounds import rounds
from tests.flower.columns.apart import DEEP, ColumnsApart, together
from tests.flower.columns.attacked import Attacked
from tests.vertical.common import owners, people

LOGISTIC = fl.vertical.LogisticRegression("bank", key_holder=False)
PROTECTED = {"protect": fl.RowLevelDP(), "budget": fl.Budget(8.0, 1e-3)}


def fresh(shift):
    """Owners of data that nobody has asked before: an account is kept for data, whoever brings it."""
    return owners(people(160).assign(income=lambda t: t.income + shift, visits=lambda t: t.visits + shift))


def counted(account):
    return dict(account.counts)


def spent_at(federation):
    return {name: counted(federation.books.accounts[name]) for name in federation.names}


class WithVaults(ColumnsApart):
    """Every owner's site keeps its account in a file of its own."""

    def __init__(self, those, folder, **settings):
        super().__init__(those, LOGISTIC, **settings)
        self.paths = {owner.name: folder / f"{owner.name}.vault" for owner in those}
        self.vaults = {name: Vault(path) for name, path in self.paths.items()}
        for owner in those:
            facts = owner.name, self.agreement, self.trusts[owner.name], owner, self.vaults[owner.name]
            self.sites[owner.name] = ColumnsSite(*facts)

    def spent(self):
        return {name: counted(self.sites[name]._books.accounts[name]) for name in self.paths}


def test_accounts_say_what_those_of_a_notebook_say():
    apart = ColumnsApart(fresh(0.001), LOGISTIC)
    federation, found = apart.played()
    assert found[-1].failed is None
    own = {name: counted(site._books.accounts[name]) for name, site in apart.sites.items()}
    assert own == spent_at(together(fresh(0.002), LOGISTIC)[0])
    assert {event.purpose for event, _ in own["shop"]} >= {
        "which rows are in common",
        "what a vertical run begins with",
    }
    assert {name: counted(said.account) for name, said in spent_of(federation).items()} == own


def test_vaults_say_what_those_of_a_notebook_say_and_say_it_again_when_they_are_opened(tmp_path):
    apart = WithVaults(fresh(0.003), tmp_path)
    _, found = apart.played()
    assert found[-1].failed is None
    expected = spent_at(together(fresh(0.004), LOGISTIC)[0])
    assert apart.spent() == expected
    for owner in (again := WithVaults(fresh(0.003), tmp_path)).paths:
        assert again.vaults[owner].verify()
    assert again.spent() == expected


def test_a_vault_holds_what_its_own_owner_gave_away_and_nothing_of_others(tmp_path):
    apart = WithVaults(fresh(0.005), tmp_path)
    apart.played()
    for name, vault in apart.vaults.items():
        facts = [entry.facts for entry in vault.entries()]
        assert len(facts) > 5
        assert {each["owner"] for each in facts} == {name}
        assert {each["data"] for each in facts} == {apart.sites[name]._books.data[name]}


def test_a_second_run_goes_on_from_what_the_first_has_spent(tmp_path):
    first = WithVaults(fresh(0.006), tmp_path)
    first.played()
    once = first.spent()
    second = WithVaults(fresh(0.006), tmp_path)
    federation, found = second.played()
    assert found[-1].failed is None
    twice = second.spent()
    assert {name: sum(each.values()) for name, each in twice.items()} == {
        name: 2 * sum(each.values()) for name, each in once.items()
    }
    assert {name: counted(said.account) for name, said in spent_of(federation).items()} == twice


def test_what_leaves_was_debited_before(tmp_path):
    """At the first parcel of each owner its vault holds an entry; before that, none."""
    apart = WithVaults(fresh(0.007), tmp_path)
    inner, seen = apart.sites["bank"].answer, []

    def answer(data):
        before = sum(apart.spent()["bank"].values())
        reply = inner(data)
        parcels = read_return(reply).parcels
        seen.append((before, [p.facts.kind for p in parcels], sum(apart.spent()["bank"].values())))
        return reply

    apart.sites["bank"].answer = answer
    apart.played()
    first = next(each for each in seen if each[1])
    assert first[1] == ["masked ids"]
    assert first[0] == 0
    assert first[2] > 0
    assert all(after > 0 for _, kinds, after in seen if kinds)


@pytest.mark.parametrize("serial", [2, 4, 9, 13])
def test_a_run_that_ends_early_leaves_whole_entries_and_no_more_than_a_full_one(serial, tmp_path):
    class Ended(Attacked, WithVaults):
        spent = WithVaults.spent

        def __init__(self, those):
            WithVaults.__init__(self, those, tmp_path)
            self.to_server = lambda _, back: back
            self.to_site = lambda who, said: None if (who, said.serial) == ("shop", serial) else said

    shift = 0.01 * serial
    apart = Ended(fresh(shift))
    assert apart.outcome()[0].party == "shop"
    full = together(fresh(shift + 0.001), LOGISTIC)[0]
    for name, counts in apart.spent().items():
        assert apart.vaults[name].verify()
        assert all(times <= spent_at(full)[name][key] for key, times in counts.items())
    assert sum(apart.spent()["shop"].values()) < sum(spent_at(full)["shop"].values())


def words_of(play):
    with pytest.raises(FedLabError) as raised:
        play()
    return type(raised.value), str(raised.value)


@pytest.mark.parametrize(
    "settings", [PROTECTED, {"protect": fl.OwnerLevelDP(), **{k: PROTECTED[k] for k in ["budget"]}}]
)
def test_a_mechanism_that_nobody_applies_is_refused_as_in_a_notebook(settings):
    those = fresh(0.008)
    house = House(DEEP, **settings)

    def here():
        list(rounds(fl.Federation(those, encrypt=DEEP, **settings), LOGISTIC, num_rounds=2))

    apart = ColumnsApart(those, LOGISTIC, house)
    assert words_of(here) == words_of(apart.played)
    guests = [Guest(owner.name, owner.schema, owner.held_out) for owner in those]
    assert words_of(here) == words_of(lambda: OneParty("shop", those[1], guests, house, None))


def test_an_owner_whose_vault_holds_a_budget_is_not_asked_without_protection(tmp_path):
    """It was agreed on in another run; one exact answer would void it."""
    apart = WithVaults(fresh(0.009), tmp_path)
    vault, data = apart.vaults["shop"], apart.sites["shop"]._books.data["shop"]
    meter = apart.sites["shop"]._books.accounts["shop"].meter
    vault.open(data, "shop", fl.Budget(1.0, 1e-5), "row", meter)
    before = apart.spent()["shop"]
    _, found = apart.played()
    assert "holds a budget of epsilon 1" in str(found[-1].failed.error)
    assert apart.spent()["shop"] == before
    sent = [
        p
        for name, data in apart.crossed
        if name == "shop" and data not in apart.asked
        for p in read_return(data).parcels
    ]
    assert sent == []


def test_nobody_debits_another_owner():
    apart, charged = ColumnsApart(fresh(0.0095), LOGISTIC), {}
    inner = OneParty.charge

    def charge(self, debits):
        charged.setdefault(self._name, set()).update(debits)
        inner(self, debits)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OneParty, "charge", charge)
        _, found = apart.played()
    assert found[-1].failed is None
    assert charged["shop"] == {"bank", "shop"}, "the protocol asks all of them"
    own = {name: sum(site._books.accounts[name].counts.values()) for name, site in apart.sites.items()}
    assert len({*own.values()}) == 1
