"""A vertical run the whole way but for Flower: project, sites with settings and rows, log, and who watches it."""

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.crypto.seal import KEY_HOLDER, SERVER
from fedlab_nb.errors import FedLabError, SettingError
from fedlab_nb.flower import export, news
from fedlab_nb.flower.agreement import Agreement
from fedlab_nb.flower.party.place import ORDERS
from fedlab_nb.flower.project.folder import APP
from fedlab_nb.flower.watch import attach
from tests.flower.deploy.common import with_flower
from tests.flower.net import Net, rounds_of, why_not
from tests.flower.test_watch import Runs
from tests.vertical.common import federation, owners, people, tables

pytestmark = with_flower
LOGISTIC = fl.vertical.LogisticRegression("bank")
ALONE = fl.vertical.LogisticRegression("bank", key_holder=False)
BANK, SHOP, HOLDER = 1, 2, 3


def rows_of(shift):
    """Owners of other data for every shift: an account is kept for data, and outlives a run."""
    return owners(people(160).assign(income=lambda t: t.income + shift, visits=lambda t: t.visits + shift))


@pytest.fixture
def net(monkeypatch):
    """Makes a project and its sites, and clears them away."""
    made = []

    def make(strategy=ALONE, num_rounds=2, shift=0.0):
        made.append(Net(federation(rows_of(shift)), strategy, monkeypatch, num_rounds))
        made[-1].owners = rows_of(shift)
        return made[-1]

    yield make
    for each in made:
        for party in each.parties.values():
            if party._site is not None:
                party._site.close()
        each.close()


def here(those, strategy, num_rounds=2):
    fed = federation(those)
    return fed, list(fl.rounds(fed, strategy, num_rounds=num_rounds))


def lines_of(told, run):
    return [line for i, said in enumerate(told, 1) for line in news.lines(i, said, run.agreement.allowed)]


def counts(account):
    return sorted((event.purpose, event.round, times) for (event, _), times in account.counts.items())


@pytest.mark.parametrize("strategy", [LOGISTIC, ALONE])
def test_a_run_between_sites_is_that_of_a_notebook(net, strategy):
    run = net(strategy)
    assert set(run.parties) == ({BANK, SHOP, HOLDER} if strategy is LOGISTIC else {BANK, SHOP})
    records, (fed, expected) = rounds_of([*run.told()]), here(run.owners, strategy)
    assert [r.metrics for r in records] == [r.metrics for r in expected]
    assert [{*r.traffic} for r in records] == [{*r.traffic} for r in expected]
    assert fed.ledger.verify()


@pytest.mark.parametrize("strategy", [LOGISTIC, ALONE])
def test_owners_part_files_predict_what_the_notebooks_model_predicts(net, strategy):
    run = net(strategy)
    rounds_of([*run.told()])
    files = [run.settings[node].parent / "part.safetensors" for node in (BANK, SHOP)]
    parts = [fl.vertical.load_part(path) for path in files]
    assert [part.owner for part in parts] == ["bank", "shop"]
    fed, expected = here(run.owners, strategy)
    known = strategy.model_of(expected[-1].state)
    model = fl.vertical.VerticalModel.of(parts)
    for part in parts:
        assert np.array_equal(part.weights, known.parts[part.owner].weights)
        assert (part.target is not None) == (part.owner == "bank")
    new = owners(people(120).assign(income=lambda t: t.income * 1.1))
    one, other = model.predict(new), known.predict(new)
    assert len(one) > 20
    assert one.equals(other)
    assert fed.ledger.verify()


def test_no_site_has_the_part_of_another(net):
    run = net()
    rounds_of([*run.told()])
    for node, name in ((BANK, "bank"), (SHOP, "shop")):
        found = [*run.settings[node].parent.glob("*.safetensors")]
        assert [fl.vertical.load_part(path).owner for path in found] == [name]


def test_a_notebook_that_watches_sees_rounds_ledger_and_accounts(net):
    run = net(shift=0.011)
    watched = attach(run.rehearsal.project, Runs(lines_of(run.told(), run)), 7)
    history = watched.wait()
    fed, expected = here(rows_of(0.012), ALONE)
    assert (watched.state, len(history)) == ("finished", 2)
    own, far = fed.ledger.messages, watched.federation.ledger.messages
    assert watched.federation.ledger.verify()
    assert [(m.round, m.sender, m.receiver, m.kind) for m in far if SERVER not in (m.sender, m.receiver)] == [
        (m.round, m.sender, m.receiver, m.kind) for m in own if SERVER not in (m.sender, m.receiver)
    ]
    assert len(far) == len(own)
    assert all(m.payload is None for m in far)
    assert {m.peek.head for m in far if SERVER not in (m.sender, m.receiver)} == {""}
    for name in fed.names:
        assert counts(watched.federation.account(name)) == counts(fed.account(name))
    assert history[-1].metrics.keys() == expected[-1].metrics.keys()


def test_the_model_of_a_watched_run_is_refused_with_words(net):
    run = net()
    watched = attach(run.rehearsal.project, Runs(lines_of(run.told(), run)), 7)
    watched.wait()
    with pytest.raises(SettingError, match="owners are in processes of their own") as raised:
        _ = watched.model
    assert "VerticalModel.of" in str(raised.value)


def test_what_the_log_says_holds_nothing_of_rows_or_parts(net):
    run = net()
    told = [*run.told()]
    text = "\n".join(lines_of(told, run))
    played = [said for said in told if isinstance(said, news.Played)]
    assert all(str(said.record.state.weights["bank"]).startswith("NotHere") for said in played)
    read = [*news.read(text.splitlines(), run.agreement.allowed)]
    assert len(read) == len(told)
    setup = read[1].context
    assert str(setup.target).startswith("NotHere")
    assert {str(reading)[:7] for reading in setup.readings.values()} == {"NotHere"}
    ids = [each for table in tables(run.owners).values() for each in table["customer"]]
    assert not [each for each in ids if each in repr(read)]


def test_a_party_that_does_not_come_ends_the_run_before_anybody_is_told(net):
    run = net()
    run.grid.parties.pop(SHOP)
    asked = []
    inner = run.grid.parties[BANK]
    run.grid.parties[BANK] = lambda data: asked.append(data[:1]) or inner(data)
    assert "'shop' did not come within 3 s" in why_not([*run.told()])
    assert ORDERS not in asked


def test_a_key_holder_is_waited_for_where_it_opens_sums(net):
    run = net(LOGISTIC)
    run.grid.parties.pop(HOLDER)
    assert f"{KEY_HOLDER!r} did not come" in why_not([*run.told()])


def test_messages_that_come_twice_change_nothing(net):
    run, known = net(), net()
    again = []

    def twice(data, ask):
        reply = ask(data)
        if data[:1] == ORDERS:
            again.append(ask(data) == reply)
        return [reply, reply]

    run.grid.ways = dict.fromkeys(run.parties, twice)
    one, other = rounds_of([*run.told()]), rounds_of([*known.told()])
    assert [r.metrics for r in one] == [r.metrics for r in other]
    assert len(again) > 20
    assert all(again)


@pytest.mark.parametrize("node", [BANK, SHOP])
def test_a_process_that_began_anew_ends_the_run_and_is_named(net, node):
    run = net()
    trips = []

    def dies(data, ask):
        trips.append(1)
        if len(trips) == 8:
            run.parties[node]._site.close()
            run.begin_anew(node)
            return [run.parties[node].reply(data)]
        return [ask(data)]

    run.grid.ways[node] = dies
    *_, end = run.told()
    assert end.error.party == ("bank" if node == BANK else "shop")
    assert "has started again" in str(end.error)


def test_another_fingerprint_than_noted_is_refused_by_the_site_that_noted_it(net):
    run = net()
    (run.settings[SHOP].parent / "identity.key").write_bytes(b"k" * 32)
    run.begin_anew(SHOP)
    *_, end = run.told()
    assert "'bank' knows 'shop' by the identity" in str(end.error)


def test_garbage_from_the_server_does_not_end_a_partys_process(net):
    run = net()
    for data in (b"", b"garbage", b"FEDLAB1\n" + b"\xff" * 64):
        reply = run.parties[SHOP].reply(ORDERS + data)
        assert reply[:8] == b"FEDLAB1\n"


def test_a_site_without_a_part_file_would_lose_its_part_and_is_refused(net):
    run = net()
    run.change(SHOP, part="")
    run.begin_anew(SHOP)
    (end,) = run.told()
    assert "'shop' names no file for its part of the model" in str(end.error)
    assert not [*run.settings[BANK].parent.glob("*.safetensors")]


@pytest.mark.parametrize("strategy", [LOGISTIC, ALONE])
def test_a_project_is_exported_by_names_alone(tmp_path, strategy):
    deep = fl.CKKS("deep")
    made = export(["bank", "shop"], strategy, tmp_path / "loans", num_rounds=3, target="default", encrypt=deep)
    agreement = Agreement.read(tmp_path / "loans" / APP)
    assert (agreement.names, agreement.num_rounds, agreement.vertical) == (("bank", "shop"), 3, True)
    assert agreement.digest == made.digest
    sites = {name for name in made.files if name.startswith("sites/")}
    holder = {"sites/key_holder.toml"} if strategy is LOGISTIC else set()
    assert sites == {"sites/bank.toml", "sites/shop.toml"} | holder
    texts = {name: (tmp_path / "loans" / name).read_text() for name in sites - {"sites/key_holder.toml"}}
    assert all('\npart = "part.safetensors"' in text and '\nid = "ID"' in text for text in texts.values())
    assert '\ntarget = "default"' in texts["sites/bank.toml"]
    assert "\ntarget = " not in texts["sites/shop.toml"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"protect": fl.RowLevelDP(), "budget": fl.Budget(8.0, 1e-3)}, ""), ({"encrypt": fl.CKKS()}, "deep"), ({}, "")],
)
def test_what_a_notebook_would_refuse_is_not_exported(tmp_path, settings, words):
    with pytest.raises(FedLabError) as raised:
        export(["bank", "shop"], ALONE, tmp_path / "loans", target="default", **settings)
    assert words in str(raised.value)
    assert not (tmp_path / "loans").exists()
