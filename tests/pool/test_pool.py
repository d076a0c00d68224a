"""The pool itself: what it is given, what it sends to whom, and what of it is left behind."""

import sys
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.errors import SettingError
from fedlab_nb.pool import Pool
from fedlab_nb.pool.site import Packing
from fedlab_nb.pool.workers import _parcels, _shared_out
from fedlab_nb.pool.writing import Reading, Writing
from fedlab_nb.records import State
from tests.pool.common import needs_distributed, rows_of
from tests.pool.conftest import pids
from tests.rounds.common import assert_teaches, bits, cells, play

pytestmark = needs_distributed

MLP = fl.models.mlp()


@pytest.mark.parametrize(("settings", "said"), [({"workers": 0}, "workers=0"), ({"workers": 2.0}, "workers=2.0")])
def test_numbers_of_workers_that_are_none_are_refused(settings, said):
    with pytest.raises(SettingError) as caught:
        Pool(**settings)
    assert_teaches(caught, said)


def test_without_the_package_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SettingError) as caught:
        Pool(2)
    assert_teaches(caught, 'pip install "fedlab_nb[pool]"')


def test_the_workers_of_a_given_client_are_used_and_left_running(pool_of):
    there = pool_of(2)
    with Pool(client=there._client) as pool:
        assert len(pool) == 2
        assert "2 workers" in repr(pool)
        made = cells(4)
        assert bits(play(pool.federation(made))) == bits(play(fl.Federation(made)))
    assert not there.closed
    assert len(pids(there)) == 2
    with pytest.raises(SettingError) as caught:
        Pool(2, client=there._client)
    assert_teaches(caught, "workers=2")


def test_a_client_without_workers_is_refused():
    nobody = SimpleNamespace(scheduler_info=lambda n_workers: {"workers": {}})
    with pytest.raises(SettingError) as caught:
        Pool(client=nobody)
    assert_teaches(caught, "no workers")


def test_processes_listen_on_this_machine_only_and_show_nothing(pool_of):
    import psutil

    pool = pool_of(2)
    assert pool._client.scheduler.address.startswith("tls://127.0.0.1:")
    ports = [
        socket.laddr
        for number in pids(pool)
        for socket in psutil.Process(number).net_connections("tcp")
        if socket.status == psutil.CONN_LISTEN
    ]
    assert {port.ip for port in ports} == {"127.0.0.1"}
    assert pool._cluster.scheduler.http_application.applications == []


def test_a_pooled_federation_is_one_with_workers(pool_of):
    federation = pool_of(2).federation(cells(4), sample_rate=0.5)
    assert isinstance(federation, fl.Federation)
    assert federation.workers == 2
    assert repr(federation) == "PooledFederation(4 owners, not encrypted, 2 workers)"
    assert "Federation" in federation._repr_html_()


def test_a_pooled_run_is_watched_and_repeated_as_any_other(pool_of):
    made = cells(4)
    run = fl.train(pool_of(2).federation(made), fl.FedAvg(MLP), num_rounds=2)
    assert bits(run.history) == bits(play(fl.Federation(made), fl.FedAvg(MLP), num_rounds=2))
    assert set(run.history[-1].owner_seconds) == {f"Owner {i}" for i in range(1, 5)}


def test_owners_of_different_columns_are_refused(pool_of):
    table = fl.data.breast_cancer().iloc[:40]
    made = fl.split_columns(table, bank=["mean_radius", "diagnosis"], shop=["mean_texture"], target="diagnosis")
    with pytest.raises(SettingError) as caught:
        pool_of(2).federation(made)
    assert_teaches(caught, "different columns")


def test_payloads_of_owners_are_not_kept_and_those_of_the_server_are(pool_of):
    federation = pool_of(2).federation(cells(4))
    play(federation, num_rounds=1)
    kept = {(m.kind, m.payload is not None) for m in federation.ledger.messages}
    assert {("update", False), ("score count", False), ("model", True)} <= kept
    update = next(m for m in federation.ledger.messages if m.kind == "update")
    assert str(update.peek)
    assert federation.seen_by("server").open(update.number) is update
    assert federation.ledger.verify()


def test_owners_are_shared_out_by_their_rows():
    packings = [_packing(f"Owner {i}", n) for i, n in enumerate([500, 20, 30, 40, 25, 25, 300, 60])]
    shares = _shared_out(packings, 2)
    assert sorted(p.name for share in shares for p in share) == [p.name for p in packings]
    assert sorted(sum(p.size for p in share) for share in shares) == [475, 525]
    parcels = _parcels([_packing(str(i), 9_000) for i in range(7)])
    assert [len(parcel) for parcel in parcels] == [3, 3, 1]
    assert _shared_out(packings[:1], 3)[1:] == [[], []]


def test_a_worker_is_told_what_its_own_owners_keep_and_nothing_of_others():
    writing = Writing([{"A", "B of C"}, {"C"}])
    memory = {key: np.ones(2) for key in ("control", "control of A", "control of B of C", "model of step 3")}
    state = State({"server": np.zeros(2)}, memory)
    assert set(writing.shown(state, 0).memory) == set(memory)
    assert set(writing.shown(state, 1).memory) == {"control", "control of B of C", "model of step 3"}
    assert set(Writing([{"A"}, {"B"}]).shown(state, 1).memory) == set(memory) - {"control of A"}


def test_work_that_a_worker_has_goes_by_its_number_and_is_forgotten_with_it():
    writing = Writing([{"A"}, {"B"}])

    def work(name, rows):
        return rows_of(name, rows)

    asking = partial(_first, work)

    whole, _ = writing.written(asking, 0)
    writing.resides(work, 7, {0})
    assert writing.number(work) == 7
    short, _ = writing.written(asking, 0)
    assert len(short) < len(whole)
    assert len(writing.written(asking, 1)[0]) == len(whole)
    read, _ = Reading(short, None, {7: "the worker's own"}, {}).load()
    assert read() == "the worker's own"
    assert writing.over(0) == []
    del work, asking
    assert (writing.over(0), writing.over(0), writing.over(1)) == ([7], [], [7])


def test_how_columns_are_read_goes_to_each_worker_once():
    state = play(fl.Federation(cells(3)), num_rounds=1)[-1].state
    writing, setups = Writing([set(), set()]), {}
    first, second, other = (writing.written(state.context, worker)[0] for worker in (0, 0, 1))
    assert len(second) < 100 < len(first) == len(other)
    read = [Reading(data, None, {}, setups).load()[0] for data in (first, second)]
    assert read[0] is read[1]
    assert read[0] == state.context


def _first(work):
    return work


def _packing(name, rows):
    return Packing(name, (None, 0.0, None), (([0] * rows, None), ([], None), None, b""))
