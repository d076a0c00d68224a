"""Strategies and plans with something of their own: late owners, rows of the server, a run that is paid beforehand."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fedlab_nb as fl
from fedlab_nb.aggregate import FLTrust
from fedlab_nb.aggregate.fltrust import FLTrustApart
from fedlab_nb.errors import BudgetExceededError, RuleError, SettingError
from fedlab_nb.flower import news, server
from fedlab_nb.flower.agreement import Agreement
from fedlab_nb.flower.project import export
from fedlab_nb.flower.watch import WatchedFederation
from fedlab_nb.horizontal.asynchronous import FedBuff
from fedlab_nb.records import PrivacyEvent
from tests.flower.common import Apart, House, owners, played
from tests.flower.net import Net
from tests.flower.test_apart import BOUNDS, ask, assert_the_same

MODEL = fl.models.logistic()
ONE_BY_ONE = {"executor": "sequential"}
BUFFERS = {
    "one at a time": FedBuff(MODEL, buffer_size=1, durations=(1.0, 1.7, 4.1), server_lr=0.8, **ONE_BY_ONE),
    "two of three": FedBuff(MODEL, buffer_size=2, durations=(1.0, 1.7, 4.1), **ONE_BY_ONE),
    "drawn times": FedBuff(MODEL, buffer_size=2, **ONE_BY_ONE),
    "packed": FedBuff(MODEL, buffer_size=2, compress=fl.compress.TopK(0.3), **ONE_BY_ONE),
    "median": FedBuff(MODEL, buffer_size=3, aggregate=fl.aggregate.Median(), **ONE_BY_ONE),
}


# Owners who are late.


def memory(history):
    """What the server remembers, but for what owners keep for themselves."""
    kept = [record.state.memory for record in history]
    return [{name: value.tobytes() for name, value in m.items() if isinstance(value, np.ndarray)} for m in kept]


@pytest.mark.parametrize("name", BUFFERS)
def test_late_owners_give_the_same_bits_and_the_same_ledger(name):
    here, far = assert_the_same(BUFFERS[name], House(), num_rounds=7)
    assert [m.nbytes for m in here.ledger.messages] == [m.nbytes for m in far.told.messages]
    begun = [m.round for m in far.told.messages if m.kind == "model, to begin with"]
    assert len(set(begun)) > 3  # they begin at different times


@pytest.mark.parametrize("scheme", [fl.CKKS(), fl.CKKS(keys="threshold"), fl.BFV()], ids=repr)
def test_late_owners_are_hidden_in_sums_as_in_the_notebook(scheme):
    assert_the_same(BUFFERS["two of three"], House(encrypt=scheme), num_rounds=3)


def test_late_owners_that_cannot_be_reached_are_the_same():
    strategy = FedBuff(MODEL, buffer_size=2, **ONE_BY_ONE)
    assert_the_same(strategy, House(sample_rate=0.6, dropout=0.2), num_rounds=8, n=5)


def test_late_owners_whose_updates_carry_rehearsed_noise_are_the_same():
    house = House(protect=fl.OwnerLevelDP(noise_multiplier=1.0, clip=0.5), noise_seed=3)
    assert_the_same(FedBuff(MODEL, buffer_size=5, **ONE_BY_ONE), house, num_rounds=4, n=12, bounds=BOUNDS)


def test_the_server_remembers_the_same_of_late_owners():
    strategy = BUFFERS["two of three"]
    here = played(fl.Federation(owners()), strategy, 6)
    far = played(Apart(owners()).federation(strategy), strategy, 6)
    assert memory(here) == memory(far)
    assert any("model of step 0" in record.state.memory for record in far)


def unscored(n=3):
    """Owners who hold nothing out, so that nobody is told the newest model to score it."""
    rows = fl.data.breast_cancer().iloc[:240]
    return [fl.DataOwner(f"Owner {i + 1}", rows.iloc[i::n], target="diagnosis", held_out=0.0) for i in range(n)]


def test_an_owner_is_told_the_model_that_it_begins_with_once_and_no_newer_one_while_it_is_at_work():
    strategy, apart = BUFFERS["one at a time"], Apart(unscored())
    history = played(apart.federation(strategy), strategy, 14)
    models = [record.state.weights["server"] for record in history]
    sent = b"".join(data for name, data in apart.crossed if name == "Owner 3")  # it sends in steps 7 and 14
    whole = [model.tobytes() in sent for model in models]
    rounded = [model.astype(np.float32).tobytes() in sent for model in models]
    assert not any(whole)
    assert [step for step, there in enumerate(rounded, 1) if there] == [7]  # with that one it began anew
    here = played(fl.Federation(unscored()), strategy, 14)
    assert [r.state.weights["server"].tobytes() for r in here] == [m.tobytes() for m in models]


def test_an_owner_is_shown_nothing_of_who_else_is_at_work():
    strategy = BUFFERS["one at a time"]
    state = played(fl.Federation(owners()), strategy, 3)[-1].state
    late = next(i for i, step in enumerate(state.memory["begun"]) if step == 0.0)
    shown = strategy.shown(state, f"Owner {late + 1}")
    others = [i for i in range(3) if i != late]
    assert shown["begun"][others].tolist() == [-1.0, -1.0]
    assert shown["left"].tolist() == [0.0, 0.0, 0.0]
    assert shown["clock"].tolist() == [3.0, 0.0]
    assert set(shown) == {"begun", "left", "clock", "model of step 0", "server"}
    assert shown["server"] is shown["model of step 0"]


def test_a_late_owner_whose_process_begins_anew_gets_its_model_again():
    strategy, apart = BUFFERS["one at a time"], Apart(owners(), House(min_owners=1))
    far = apart.federation(strategy)
    stream = fl.rounds(far, strategy, num_rounds=9)
    for _ in range(3):
        next(stream)
    fresh = Apart(owners(), House(min_owners=1), identities=apart.identities)
    apart.sites["Owner 3"], apart.readings["Owner 3"] = fresh.sites["Owner 3"], fresh.readings["Owner 3"]
    rest = list(stream)
    assert [record.failed for record in rest] == [None] * len(rest)
    senders = {m.sender for m in far.ledger.messages if m.kind == "update" and m.round > 4}
    assert "Owner 3" in senders


# Rows of the server's own.

ROOT = fl.data.breast_cancer().iloc[400:440]


def trusting(rows=ROOT):
    return fl.FedAvg(MODEL, aggregate=FLTrust(rows), **ONE_BY_ONE)


def root_bytes(rows=ROOT):
    """Root rows as they would stand in a message, in text or in a file."""
    numbers = rows.drop(columns="diagnosis").to_numpy(dtype=np.float64)
    return [row[:2].tobytes() for row in numbers] + [f"{row[0]!r}".encode() for row in numbers.tolist()]


def test_root_rows_give_the_same_bits_and_the_same_ledger():
    here, far = assert_the_same(trusting(), House(), num_rounds=3)
    assert [m.nbytes for m in here.ledger.messages] == [m.nbytes for m in far.told.messages]


@pytest.fixture
def trusted(monkeypatch):
    """A federation whose server has root rows, as an exported project with its sites."""
    federation = fl.Federation(owners())
    net = Net(federation, trusting(), monkeypatch)
    yield net
    net.close()


def told(net, root_rows):
    return [*server.told(net.agreement, net.grid, 1.0, 3.0, net.app, root_rows)]


def test_a_run_of_the_exported_project_reads_the_root_rows_from_the_servers_own_file(trusted):
    *begun, end = told(trusted, trusted.rehearsal._own["root_rows"])
    assert end.error is None
    records = [said.record for said in begun if isinstance(said, news.Played)]
    known = played(fl.Federation(owners()), trusting())
    for one, other in zip(known, records, strict=True):
        assert one.state.weights["server"].tobytes() == other.state.weights["server"].tobytes()
        assert one.metrics == other.metrics


def test_no_root_row_is_in_the_project_or_in_anything_that_reaches_a_site(trusted):
    crossed = []
    for node, reply in [*trusted.grid.parties.items()]:
        trusted.grid.parties[node] = lambda data, reply=reply: crossed.append(data) or reply(data)
    file = Path(trusted.rehearsal._own["root_rows"])
    assert told(trusted, str(file))[-1].error is None
    project = trusted.rehearsal.project
    assert not file.is_relative_to(project)
    everything = [path.read_bytes() for path in project.rglob("*") if path.is_file()] + crossed
    assert len(crossed) > 6
    assert not any(row in data for data in everything for row in root_bytes())
    rows = pd.read_parquet(file)
    assert rows.equals(ROOT.reset_index(drop=True))  # the search looks for what is there
    assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("wrong", ["", "missing.parquet", "other.parquet"])
def test_without_the_root_rows_that_were_agreed_on_nothing_is_asked(trusted, tmp_path, wrong):
    ROOT.head(20).to_parquet(tmp_path / "other.parquet")
    (end,) = told(trusted, wrong and str(tmp_path / wrong))
    assert isinstance(end.error, SettingError)
    assert "root_rows" in end.error.what
    assert "--run-config" in end.error.do
    assert trusted.grid.trips == 0


def test_root_rows_that_nothing_needs_are_refused(monkeypatch):
    net = Net(fl.Federation(owners()), fl.FedAvg(MODEL, **ONE_BY_ONE), monkeypatch)
    try:
        (end,) = told(net, "root_rows.parquet")
    finally:
        net.close()
    assert "no rule that trains on any" in str(end.error)


def test_the_agreement_tells_nobody_which_rows_they_are_and_stays_the_same(tmp_path):
    first = export(fl.Federation(owners()), trusting(), tmp_path / "one")
    again = export(fl.Federation(owners()), trusting(), tmp_path / "one", overwrite=True)
    other = export(fl.Federation(owners()), trusting(), tmp_path / "two")
    assert first.digest == again.digest
    rules = [Agreement.read(p.folder / "fedlab_app").strategy.aggregate for p in (first, again, other)]
    assert [type(rule) for rule in rules] == [FLTrustApart] * 3
    # Equal rows in another file have another digest: nobody can try out which rows these are.
    assert rules[0].digest == rules[1].digest != rules[2].digest
    said = json.loads((first.folder / "fedlab_app" / "agreement.json").read_text())
    assert "FLTrust(40 root rows)" in said["strategy"]
    assert "root_rows.parquet" in (first.folder / "README.md").read_text()
    assert "one-server/root_rows.parquet" in first._repr_html_()
    changed = export(fl.Federation(owners()), trusting(ROOT.head(30)), tmp_path / "one", overwrite=True)
    assert changed.digest != first.digest


def test_root_rows_of_an_earlier_export_are_not_written_over(tmp_path):
    project = export(fl.Federation(owners()), trusting(), tmp_path / "one")
    for path in sorted(project.folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    with pytest.raises(SettingError, match="There is a file one-server"):
        export(fl.Federation(owners()), trusting(), tmp_path / "one")
    assert [*project.folder.iterdir()] == []


def test_names_alone_are_enough_for_a_project_with_root_rows(tmp_path):
    project = export(["A", "B", "C"], trusting(), tmp_path / "lab", target="diagnosis")
    assert project.root_rows.exists()


def test_a_rule_without_its_root_rows_combines_nothing():
    rule = FLTrustApart(40, "0" * 64)
    with pytest.raises(SettingError, match="root rows are not"):
        rule(np.ones((2, 3)), np.ones(2))
    assert "0" * 64 in rule._repr_html_()


def test_root_rows_that_no_table_holds_are_refused(tmp_path):
    odd = pd.DataFrame({"age": [1, 2], "ill": [{1, 2}, object()]})
    with pytest.raises(SettingError, match="cannot be written"):
        FLTrust(odd).apart(tmp_path / "root_rows.parquet")


# A plan that is paid as a whole beforehand.

FROZEN = fl.RowLevelDP(row_rate=0.2, frozen=True)
FROZEN_HOUSE = House(encrypt=fl.CKKS(), protect=FROZEN, budget=fl.Budget(8.0, 1e-3))
STRATEGY = fl.FedAvg(MODEL, **ONE_BY_ONE)
NAMES = ("Owner 1", "Owner 2", "Owner 3")


def sure(first):
    """Owners of rows that no other test spends from, all of whose columns are declared."""
    return owners(first=first, bounds=BOUNDS)


def vaults(folder):
    return {name: fl.Vault(folder / f"{name}.vault") for name in NAMES}


def elsewhere(monkeypatch):
    """From here on it is as in other processes: no data of this one has a vault."""
    monkeypatch.setattr("fedlab_nb.privacy.vault.home._HOMES", {})


def frozen_alike(one, other):
    """Two accounts: the same releases, the same plan, as much of it begun."""
    assert one.counts == other.counts
    assert one.frozen.begun == other.frozen.begun
    assert one.frozen.schedule == other.frozen.schedule
    assert one.is_one_plan
    assert other.is_one_plan
    assert one.spent(1e-3) == other.spent(1e-3)


def test_a_frozen_plan_costs_what_it_costs_in_the_notebook_and_is_debited_at_each_owner(tmp_path, monkeypatch):
    settings = {f: getattr(FROZEN_HOUSE, f) for f in House.__dataclass_fields__}
    here = fl.Federation(sure(20), vault=fl.Vault(tmp_path / "here.vault"), **settings)
    expected = played(here, STRATEGY, 3)
    elsewhere(monkeypatch)
    kept = vaults(tmp_path)
    apart = Apart(sure(20), FROZEN_HOUSE, kept)
    far = apart.federation(STRATEGY)
    got = played(far, STRATEGY, 3)
    assert [r.failed for r in (*expected, *got)] == [None] * 6
    assert [r.epsilon for r in expected] == [r.epsilon for r in got]
    assert got[0].epsilon == got[2].epsilon <= 8.0  # all of it is paid before the first round
    facts = [(m.round, m.sender, m.receiver, m.kind) for m in here.ledger.messages]
    assert facts == [(m.round, m.sender, m.receiver, m.kind) for m in far.told.messages]
    for name, side in apart.sides.items():
        frozen_alike(here.account(name), side._books.accounts[name])
        frozen_alike(here.account(name), far.account(name))
        lines = fl.Vault(kept[name].path).entries()  # as a new process reads it
        first = [entry.kind for entry in lines].index("begun")
        assert {entry.kind for entry in lines[first:]} == {"begun"}  # nothing is debited after the first release


def test_frozen_noise_that_is_rehearsed_is_the_same():
    protect = fl.RowLevelDP(row_rate=0.2, frozen=True)
    for encrypt in (None, fl.CKKS()):
        house = House(encrypt=encrypt, protect=protect, budget=fl.Budget(8.0, 1e-3), noise_seed=3)
        assert_the_same(STRATEGY, house, num_rounds=3)


def test_under_equal_noise_a_frozen_run_has_the_same_bits(tmp_path, monkeypatch):
    """Noise that protects is never the same twice: here it is, and all else is as it really is."""
    from fedlab_nb.protect import noise as module

    def known(seed, *path):
        assert seed is None
        return np.random.Generator(np.random.Philox(np.random.SeedSequence([5, *path])))

    for place in ("fedlab_nb.protect.shares", "fedlab_nb.parties.federation", "fedlab_nb.flower.orders.owner"):
        monkeypatch.setattr(f"{place}.noise_source", known)
    assert module.noise_source is not known
    settings = {f: getattr(FROZEN_HOUSE, f) for f in House.__dataclass_fields__}
    here = fl.Federation(sure(40), vault=fl.Vault(tmp_path / "here.vault"), **settings)
    expected = played(here, STRATEGY, 3)
    elsewhere(monkeypatch)
    got = played(Apart(sure(40), FROZEN_HOUSE, vaults(tmp_path)).federation(STRATEGY), STRATEGY, 3)
    for one, other in zip(expected, got, strict=True):
        assert one.failed is other.failed is None
        assert one.state.weights["server"].tobytes() == other.state.weights["server"].tobytes()
        assert (one.metrics, one.owner_metrics, one.epsilon) == (other.metrics, other.owner_metrics, other.epsilon)


def test_each_owner_debits_the_whole_plan_before_anything_of_it_leaves(tmp_path):
    kept = vaults(tmp_path)
    apart = Apart(sure(60), FROZEN_HOUSE, kept)
    seen = {}
    for name, side in apart.sides.items():
        inner = side.compute

        def compute(*given, name=name, inner=inner):
            seen.setdefault(name, [e.kind for e in fl.Vault(kept[name].path).entries()])
            return inner(*given)

        apart.sites[name]._verbs["compute"] = compute
    record = next(fl.rounds(apart.federation(STRATEGY), STRATEGY, num_rounds=3))
    assert record.failed is None
    assert set(seen) == set(NAMES)
    for kinds in seen.values():
        assert kinds.count("debit") >= 3
        assert kinds[-1] == "debit"  # and nothing has begun


def test_a_kill_between_rounds_spends_nothing_back_and_the_run_is_not_begun_again(tmp_path):
    kept = vaults(tmp_path)
    far = Apart(sure(80), FROZEN_HOUSE, kept).federation(STRATEGY)
    first = next(fl.rounds(far, STRATEGY, num_rounds=3))  # and then nothing more is heard of it
    again = Apart(sure(80), FROZEN_HOUSE, {name: fl.Vault(vault.path) for name, vault in kept.items()})
    server_again = again.federation(STRATEGY)
    assert server_again.epsilon() == first.epsilon
    for name, side in again.sides.items():
        frozen_alike(far.account(name), side._books.accounts[name])
    with pytest.raises(BudgetExceededError, match="frozen plan of another run already") as caught:
        played(server_again, STRATEGY, 3)
    assert "over Flower" in caught.value.do
    # What is none of the plan has no room beside it, whoever asks.
    with pytest.raises(BudgetExceededError):
        again.sides["Owner 1"].charge([PrivacyEvent(9, "a round's update", "training", "row", "gaussian", 0.3)])


def test_an_owner_that_begins_anew_goes_on_with_its_plan(tmp_path):
    house = House(encrypt=fl.CKKS(), protect=FROZEN, budget=fl.Budget(8.0, 1e-3), min_owners=2)
    kept = vaults(tmp_path)
    apart = Apart(sure(100), house, kept)
    far = apart.federation(STRATEGY)
    stream = fl.rounds(far, STRATEGY, num_rounds=5)
    next(stream)
    before = fl.Vault(kept["Owner 2"].path).account(apart.sides["Owner 2"]._books.data["Owner 2"])
    fresh = Apart(sure(100), house, {n: fl.Vault(v.path) for n, v in kept.items()}, identities=apart.identities)
    apart.sites["Owner 2"], apart.readings["Owner 2"] = fresh.sites["Owner 2"], fresh.readings["Owner 2"]
    records = [next(stream), next(stream)]
    assert records[1].failed is None
    assert records[1].lost == ()
    after = fresh.sides["Owner 2"]._books.accounts["Owner 2"]
    assert after.counts == before.counts  # nothing was debited again
    assert sum(after.frozen.begun.values()) > sum(before.frozen.begun.values())


def test_a_plan_without_noise_is_reserved_by_nobody(tmp_path):
    apart = Apart(sure(120), FROZEN_HOUSE, vaults(tmp_path))
    bare = (PrivacyEvent(0, "a round's update", "training", "row", "none"),)
    reply = ask(apart, "Owner 1", [("reserve", [bare, "a run"])])
    assert isinstance(reply.error, RuleError)
    assert apart.sides["Owner 1"]._books.accounts["Owner 1"].frozen is None


def test_a_plan_beyond_an_owners_own_budget_is_refused_at_its_site(tmp_path):
    apart = Apart(sure(140), FROZEN_HOUSE, vaults(tmp_path))
    loud = (PrivacyEvent(0, "a round's update", "training", "row", "gaussian", 0.3, sample_rate=0.2, times=50),)
    reply = ask(apart, "Owner 1", [("reserve", [loud, "a run"])])
    assert isinstance(reply.error, BudgetExceededError)


def test_whoever_watches_a_frozen_run_sees_its_epsilon(tmp_path, monkeypatch):
    federation = fl.Federation(sure(160), encrypt=fl.CKKS(), protect=FROZEN, budget=fl.Budget(8.0, 1e-3))
    net = Net(federation, STRATEGY, monkeypatch)
    try:
        begun, *rounds_played, end = told(net, "")
        assert end.error is None
        watched = WatchedFederation(net.agreement, begun.introductions)
        lines = [line for i, said in enumerate(rounds_played) for line in news.lines(i, said, net.agreement.allowed)]
        for said in news.read(lines, net.agreement.allowed):
            watched.take(said)
            assert watched.epsilon() == said.record.epsilon
            assert watched.account("Owner 1").is_one_plan
        assert "The plan is frozen" in (net.rehearsal.project / "README.md").read_text()
    finally:
        net.close()
