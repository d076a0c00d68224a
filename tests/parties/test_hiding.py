"""Whole runs under every way to hide single updates: what comes out, who sees what, and what is refused."""

import os
import signal

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.errors import EncryptionError, RoundError, SettingError
from fedlab_nb.parties.shown.card import holdings
from fedlab_nb.parties.shown.threats import threats
from fedlab_nb.parties.shown.trust import access
from fedlab_nb.records import PrivacyEvent, Update
from fedlab_nb.rounds import rounds
from tests.rounds.common import assert_teaches, bits, cells, declared, ledgers_of, play, weights

BUDGET = fl.Budget(epsilon=8, delta=1e-3)
SCHEMES = {
    "default": fl.CKKS(),
    "complex slots": fl.CKKS(complex_slots=True),
    "compact": fl.CKKS("compact"),
    "deep": fl.CKKS("deep"),
    "owners": fl.CKKS(keys="owners"),
    "threshold": fl.CKKS(keys="threshold"),
    "BFV": fl.BFV(),
    "masks": fl.SecAgg(),
}
ALL = pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)


def updates(federation):
    return [m for m in federation.ledger.messages if m.kind == "update"]


def table(federation):
    return {row.kind: (row.owner, row.server, row.key_holder) for row in access(federation)}


def exposed(federation):
    return {line.who: line.safe for line in threats(federation)}


@ALL
def test_a_run_learns_what_it_learns_in_the_clear_up_to_the_grid(scheme):
    plain, hidden = (play(fl.Federation(cells(), encrypt=encrypt)) for encrypt in (None, scheme))
    assert hidden[-1].failed is None
    assert hidden[-1].metrics["accuracy"] == pytest.approx(plain[-1].metrics["accuracy"], abs=0.03)
    assert weights(hidden) == pytest.approx(weights(plain), abs=0.05)
    if scheme.plan(bound=64.0, owners=3).grid_bits == fl.CKKS().plan(bound=64.0, owners=3).grid_bits:
        assert bits(hidden) == bits(plain)


@ALL
def test_a_run_under_a_budget_spends_the_same_and_ends_well(scheme):
    federation = fl.Federation(cells(), encrypt=scheme, budget=BUDGET)
    history = play(federation)
    assert history[-1].failed is None
    assert history[-1].epsilon == pytest.approx(8.0, abs=0.01)
    assert all(message.encrypted for message in updates(federation))


@ALL
def test_no_update_is_readable_and_everybody_can_see_that(scheme):
    federation = fl.Federation(cells(), encrypt=scheme)
    play(federation)
    seen = table(federation)
    assert seen["one owner's update"] == ("own", "sealed", "never")
    holder = "reads" if federation.house.hiding == "authority" else "never"
    assert seen["sum of updates"][1:] == ("reads", holder)
    assert not [kind for kind in seen if "identity" in kind or "share" in kind or "witness" in kind]


def test_who_is_exposed_to_whom_follows_from_who_holds_the_key():
    line = {name: exposed(fl.Federation(cells(), encrypt=scheme)) for name, scheme in SCHEMES.items()}
    assert line["default"]["the key holder with the server"] is False
    assert line["default"]["another owner"] is None
    assert line["owners"]["another owner"] is False
    assert line["owners"]["the server with one owner"] is False
    assert line["threshold"]["a key holder"] is True
    assert line["masks"]["the server with 3 of 3 owners"] is False
    for name in ("owners", "threshold", "masks"):
        assert "the key holder with the server" not in line[name]
    for name in SCHEMES:
        assert line[name]["whoever controls this Python process"] is False
        assert any("leaves out" in who or "repeats" in who for who in line[name])


def test_only_where_a_process_of_its_own_adds_the_cards_say_so():
    here, apart = (fl.Federation(cells(), encrypt=fl.CKKS(), server=place) for place in ("kernel", "process"))
    told = ["".join(line.could_read for line in threats(federation)) for federation in (here, apart)]
    assert ["but the adding server" in words for words in told] == [False, True]
    assert ["a process of its own" in federation._repr_html_() for federation in (here, apart)] == [False, True]


@ALL
def test_each_party_holds_what_the_scheme_gives_it(scheme):
    federation = fl.Federation(cells(), encrypt=scheme)
    assert {h.key for h in holdings(federation)} == {"none"}
    play(federation)
    keys = {h.party: h.key for h in holdings(federation)}
    own = {"authority": "public key", "owners": "secret key", "threshold": "key share", "masks": "mask secrets"}
    assert {keys[name] for name in federation.names} == {own[federation.house.hiding]}
    assert keys["server"] == ("none" if scheme.column == "masks" else "parameters")
    assert keys.get("key holder") == ("secret key" if federation.house.hiding == "authority" else None)
    assert "<svg" in federation._repr_html_() or "data:image/svg" in federation._repr_html_()


def test_every_run_has_fresh_keys_and_so_have_rounds_after_a_while():
    federation = fl.Federation(cells(), encrypt=fl.CKKS(rounds_per_key=2))
    play(federation, num_rounds=5)
    first = [m.payload.header.fingerprint for m in updates(federation)]
    assert [len(set(first[at : at + 3])) for at in range(0, 15, 3)] == [1] * 5
    assert len(set(first)) == 3  # round 1; rounds 2 and 3; rounds 4 and 5
    play(federation, num_rounds=1)
    assert updates(federation)[-1].payload.header.fingerprint not in first


def test_a_run_that_goes_on_keeps_its_keys_and_one_that_goes_back_gets_others():
    federation = fl.Federation(cells(), encrypt=fl.CKKS())
    history = play(federation, num_rounds=3)
    kept = federation.fingerprint
    on = play(federation, num_rounds=5, after=history[-1])
    assert federation.fingerprint == kept
    assert on[-1].failed is None
    back = play(federation, num_rounds=3, after=history[0])
    assert back[-1].failed is None
    assert federation.fingerprint != kept
    assert bits(back) == bits(history[1:])


@pytest.mark.parametrize("scheme", [fl.SecAgg(), fl.CKKS(keys="threshold"), fl.CKKS()])
def test_owners_who_drop_out_do_not_spoil_a_round(scheme):
    names = {"encrypt": scheme, "dropout": 0.15}
    federation, plain = fl.Federation(declared(8), **names), fl.Federation(declared(8), dropout=0.15)
    history, other = (play(one, num_rounds=4, seed=2) for one in (federation, plain))
    assert all(record.failed is None for record in history)
    assert any(record.dropped for record in history)
    assert [record.cohort for record in history] == [record.cohort for record in other]
    assert weights(history) == pytest.approx(weights(other), abs=0.05)


def test_a_round_that_too_few_owners_reach_is_empty_and_not_a_failure():
    federation = fl.Federation(declared(6), encrypt=fl.SecAgg(threshold=6), dropout=0.5)
    history = play(federation, num_rounds=3)
    assert all(record.failed is None for record in history)
    assert [record.cohort for record in history] == [()] * 3


def test_a_crash_of_the_servers_process_is_a_failed_round_and_the_next_run_goes_on():
    federation = fl.Federation(cells(), encrypt=fl.CKKS(), server="process")
    stream = rounds(federation, fl.FedAvg(fl.models.logistic()), num_rounds=4)
    assert next(stream).failed is None
    (_, channel, _), *_ = federation._channels._open.values()
    os.kill(channel._server.pid, signal.SIGKILL)
    record = next(stream)
    assert isinstance(record.failed.error, RoundError)
    assert record.failed.party == "server"
    assert federation.ledger.verify()
    assert play(federation, num_rounds=4, after=record)[-1].failed is None


def test_privacy_noise_that_a_coarse_grid_would_round_away_is_refused_before_anything_is_charged():
    federation = fl.Federation(declared(3), encrypt=fl.BFV(), protect=fl.RowLevelDP(noise_multiplier=1.0))
    names = list(federation.names)
    event = PrivacyEvent(1, "a test", "training", "row", "gaussian", 1.0)
    with pytest.raises(EncryptionError) as caught:
        federation.gather(
            "update",
            lambda *_: Update(np.ones(3), 1.0),
            number=1,
            cohort=names,
            bound=1000.0,
            noise_sd=1e-6,
            debits={name: [event] for name in names},
        )
    assert_teaches(caught, "noise", "fl.CKKS()")
    assert not any(ledgers_of(federation))


@ALL
def test_a_model_that_diverges_names_the_owner_and_the_tensor(scheme):
    federation = fl.Federation(cells(), encrypt=scheme)
    history = play(federation, fl.FedAvg(fl.models.mlp((4,)), lr=1e12), num_rounds=2)
    failed = history[-1].failed
    assert failed.party.startswith("Owner")
    assert "weight'" in str(failed.error) or "bias'" in str(failed.error)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"server": "moon"}, "'moon'"),
        ({"server": "process"}, "'process'"),
        ({"server": "process", "encrypt": fl.SecAgg()}, "masks"),
        ({"encrypt": "CKKS"}, "encrypt"),
        ({"encrypt": fl.CKKS}, "encrypt"),
    ],
)
def test_settings_that_cannot_be_kept_are_refused(settings, said):
    with pytest.raises(SettingError) as caught:
        fl.Federation(cells(), **settings)
    assert_teaches(caught, said)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: fl.CKKS("tiny"), "'tiny'"),
        (lambda: fl.CKKS(keys="nobody"), "'nobody'"),
        (lambda: fl.CKKS("compact", keys="threshold"), "threshold"),
        (lambda: fl.CKKS(complex_slots=2), "complex_slots"),
        (lambda: fl.CKKS(rounds_per_key=0), "rounds_per_key"),
        (lambda: fl.BFV(keys="threshold"), "CKKS(keys='threshold')"),
        (lambda: fl.BFV(rounds_per_key=1.5), "rounds_per_key"),
        (lambda: fl.SecAgg(threshold=1), "threshold"),
        (lambda: fl.SecAgg(threshold=True), "threshold"),
        (lambda: fl.SecAgg(rounds_per_key=-1), "rounds_per_key"),
    ],
)
def test_schemes_that_there_are_not_are_refused(wrong, said):
    with pytest.raises(SettingError) as caught:
        wrong()
    assert_teaches(caught, said)
