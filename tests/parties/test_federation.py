import json

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.channel import HANDSHAKE
from fedlab_nb.crypto import Sealer
from fedlab_nb.errors import BudgetExceededError, EncryptionError, RoundError, SettingError
from fedlab_nb.protect import shares as protection
from fedlab_nb.records import PrivacyEvent, Update
from fedlab_nb.rounds import rounds
from tests.rounds.common import assert_teaches, cells, events_of, ledgers_of, logistic, play

BUDGET = fl.Budget(epsilon=8, delta=1e-3)
EVENT = PrivacyEvent(1, "a test", "training", "row", "gaussian", 4.0)


def gather(federation, values, *, bound=10.0, **more):
    """The federation's sum of one vector an owner."""
    names = list(federation.names)
    return federation.gather(
        "update",
        lambda name, _: Update(np.array(values[names.index(name)], dtype=float), 1.0),
        number=1,
        cohort=names[: len(values)],
        bound=bound,
        debits={**dict.fromkeys(names, ()), **more.pop("debits", {})},
        **more,
    )


def payloads(federation, receiver):
    """What a party holds readable, as arrays."""
    return [
        m
        for m in federation.seen_by(receiver)
        if m.receiver == receiver and not m.encrypted and isinstance(m.payload, np.ndarray)
    ]


@pytest.mark.parametrize("encrypt", [None, fl.CKKS()], ids=["plain", "encrypted"])
def test_a_sum_is_the_sum_over_the_cohort_and_its_weights(encrypt):
    federation = fl.Federation(cells(4), encrypt=encrypt)
    total = gather(federation, [[1.5, -2.0], [0.25, 0.0], [4.0, 1.0]])
    assert total.value.tolist() == [5.75, -1.0]
    assert total.weight == 3.0


def test_the_bound_of_one_owner_holds_and_names_who_broke_it():
    federation = fl.Federation(cells(), encrypt=fl.CKKS())
    for value, words in ((11.0, "bound of 10"), (np.inf, "not finite"), (np.nan, "not finite")):
        with pytest.raises(RoundError) as caught:
            gather(federation, [[1.0], [value]], debits={"Owner 1": [EVENT]})
        assert_teaches(caught, "Owner 2", words)
        assert (caught.value.party, caught.value.stage) == ("Owner 2", "update")
    assert ledgers_of(federation) == [[], [], []]
    assert len(federation.ledger) == 0


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_clipping_hides_no_number_that_is_not_finite(value):
    with pytest.raises(RoundError, match="not finite"):
        gather(fl.Federation(cells()), [[1.0, value]], clip=1.0)


def test_clipping_comes_before_the_bound_and_holds_for_each_owner():
    federation = fl.Federation(cells())
    total = gather(federation, [[300.0, 400.0], [0.3, 0.4]], clip=1.0, bound=2.0)
    assert total.value == pytest.approx([0.9, 1.2], abs=1e-8)


def test_numbers_that_fit_no_grid_are_refused_before_anything_is_charged():
    federation = fl.Federation(cells(), encrypt=fl.CKKS())
    with pytest.raises(EncryptionError) as caught:
        gather(federation, [[1.0]], bound=1e17, debits={"Owner 1": [EVENT]})
    assert_teaches(caught, "3 owners")
    assert ledgers_of(federation) == [[], [], []]


@pytest.mark.parametrize("broken", ["gaussian_share", "seal"])
def test_budgets_are_charged_before_noise_is_drawn_or_anything_sealed(monkeypatch, broken):
    def fail(*_, **__):
        raise EncryptionError("The sealing failed.", "So nothing could leave.", "Seal again later.")

    federation = fl.Federation(cells(), encrypt=fl.CKKS(), budget=BUDGET)
    place = Sealer if broken == "seal" else protection
    monkeypatch.setattr(place, broken, fail)
    with pytest.raises(EncryptionError):
        gather(federation, [[1.0]] * 3, noise_sd=1.0, debits={name: [EVENT] for name in federation.names})
    assert ledgers_of(federation) == [[EVENT]] * 3
    sent = {m.kind for m in federation.ledger.messages if m.sender.startswith("Owner")}
    assert sent <= {"identity"}


def test_a_crash_in_the_middle_of_a_round_gives_no_budget_back(monkeypatch):
    federation = fl.Federation(cells(), encrypt=fl.CKKS(), budget=BUDGET)
    stream = rounds(federation, logistic(), num_rounds=3)
    first = next(stream)
    monkeypatch.setattr(protection, "gaussian_share", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        next(stream)
    assert federation.epsilon() > first.epsilon
    assert [m.kind for m in federation.ledger.messages if m.round == 2] == ["model"] * 3


def test_all_owners_are_charged_or_none():
    federation = fl.Federation(cells(), budget=BUDGET)
    earlier = PrivacyEvent(0, "earlier", "training", "row", "gaussian", 0.4)
    fl.Federation(federation.owners, protect=fl.RowLevelDP(noise_multiplier=1.0)).charge({"Owner 3": [earlier]})
    before = [list(entries) for entries in ledgers_of(federation)]
    with pytest.raises(BudgetExceededError) as caught:
        federation.charge({name: [EVENT] for name in federation.names})
    assert_teaches(caught, "Owner 3", "epsilon")
    assert ledgers_of(federation) == before


def test_the_account_belongs_to_the_rows_and_not_to_names_or_federations():
    owners = cells()
    play(fl.Federation(owners, budget=BUDGET))
    again = fl.Federation(cells(), budget=BUDGET)
    assert again.epsilon() == pytest.approx(8)
    table = fl.data.breast_cancer()
    assert fl.Federation(fl.split_rows(table, owners=2), budget=BUDGET).epsilon() == 0.0


def test_a_second_run_on_spent_rows_is_refused_before_anything_leaves():
    federation = fl.Federation(cells(), budget=BUDGET)
    play(federation)
    before, messages = [list(e) for e in ledgers_of(federation)], len(federation.ledger)
    for second in (federation, fl.Federation(cells(), budget=BUDGET, encrypt=fl.CKKS())):
        kept = len(second.ledger)
        with pytest.raises(BudgetExceededError) as caught:
            rounds(second, logistic(), num_rounds=1)
        assert_teaches(caught, "Owner 1", "epsilon 8", "0 rounds")
        assert ledgers_of(second) == before
        assert len(second.ledger) == kept
    assert len(federation.ledger) == messages


def test_the_server_never_holds_one_owners_update_when_it_is_sealed(monkeypatch):
    contributions = []
    seal = Sealer.seal

    def spy(self, values, manifest):
        contributions.append(manifest.plan.grid(values))
        return seal(self, values, manifest)

    monkeypatch.setattr(Sealer, "seal", spy)
    federation = fl.Federation(cells(), encrypt=fl.CKKS(), budget=BUDGET)
    play(federation, fl.FedAvg(fl.models.mlp((4,))))
    assert len(contributions) > 10
    for party in ("server", *federation.names):
        held = [m.payload for m in payloads(federation, party)]
        for mine in contributions:
            heads = (mine, mine[:-1], mine[:-1] / mine[-1])
            assert not any(h.shape == own.shape and np.allclose(h, own) for h in held for own in heads)
    readable = {m.kind for m in federation.seen_by("server") if m.receiver == "server" and not m.encrypted}
    openings = {
        f"sum of {kind}s, opened" for kind in ("range count", "moment", "held-out count", "update", "score count")
    }
    assert readable == openings | {"identity", "parameters", "witness", "category list", "verdict"}


def test_the_key_holder_receives_sums_only_and_from_the_server_only():
    federation = fl.Federation(cells(), encrypt=fl.CKKS())
    play(federation)
    received = [m for m in federation.seen_by("key holder") if m.receiver == "key holder"]
    assert {m.sender for m in received} == {"server"}
    assert {m.kind for m in received if m.kind in HANDSHAKE} == {"identities", "opening request", "witnesses"}
    sums = [m for m in received if m.kind not in HANDSHAKE]
    assert sums
    assert all(m.kind.startswith("sum of ") and m.encrypted for m in sums)
    assert all(m.payload.senders == federation.names for m in sums)


def test_each_round_has_one_sealed_message_an_owner_and_one_sum():
    federation = fl.Federation(cells(4), encrypt=fl.CKKS())
    history = play(federation, fl.FedAvg(fl.models.mlp((400,))), num_rounds=2)
    inputs = history[-1].state.weights["server"].size + 1
    for record in history:
        assert record.traffic["update"].messages == 4
        assert record.traffic["update"].encrypted
        assert record.traffic["sum of updates"].messages == 1
        assert record.traffic["sum of updates, opened"].messages == 1
        assert not record.traffic["sum of updates, opened"].encrypted
        assert record.traffic["update"].plain_nbytes == 4 * 8 * inputs
    updates = [m.payload for m in federation.ledger.messages if m.kind == "update"]
    held = 2048 - 3  # three numbers in each ciphertext are tags
    assert [len(p.chunks) for p in updates] == [-(-inputs // held)] * 8
    assert inputs > held


def test_the_model_reaches_every_owner_before_it_trains_or_scores_it():
    federation = fl.Federation(cells())
    history = play(federation, num_rounds=2)
    for name in federation.names:
        told = [m.payload for m in federation.seen_by(name) if m.kind == "model"]
        assert len(told) == 4
        for record, payload in zip(history, told[1::2], strict=True):
            assert np.array_equal(payload, record.state.weights["server"].astype(np.float32))


def test_the_chain_of_the_ledger_holds_over_a_run_with_failures():
    federation = fl.Federation(cells(), encrypt=fl.CKKS())
    play(federation)
    play(federation, logistic(lr=1e30))
    assert federation.ledger.verify()


def test_what_is_told_first_is_the_encoding_and_it_holds_names_and_ranges_only():
    federation = fl.Federation(cells(columns=2))
    play(federation)
    (message,) = [m for m in federation.seen_by("Owner 2") if m.kind == "encoding"]
    columns = [code["column"] for code in json.loads(message.payload)]
    assert columns == [*fl.data.breast_cancer().columns[:2], "diagnosis"]


def test_cohorts_follow_the_seed_and_sealed_ones_never_hold_one_owner_alone():
    plain = fl.Federation(cells(5), sample_rate=0.4)
    assert any(len(plain.cohort(number, 0)) == 1 for number in range(1, 41))
    federation = fl.Federation(cells(5), sample_rate=0.4, encrypt=fl.CKKS())
    drawn = [federation.cohort(number, seed) for seed in range(20) for number in range(1, 21)]
    again = [federation.cohort(number, seed) for seed in range(20) for number in range(1, 21)]
    assert drawn == again
    sizes = np.bincount([len(c) for c in drawn], minlength=6)
    assert sizes[1] == 0
    # Nobody, or one who then stays out: .6^5 + 5 * .4 * .6^4 = .337 of 400 rounds; four standard deviations are 38.
    assert abs(sizes[0] - 0.337 * 400) < 38
    assert set().union(*drawn) == set(federation.names)
    assert all(fl.Federation(cells(3)).cohort(n, 0) == ("Owner 1", "Owner 2", "Owner 3") for n in range(5))


def test_owners_outside_the_cohort_send_no_update_and_are_charged_for_none():
    federation = fl.Federation(cells(4), sample_rate=0.6, protect=fl.RowLevelDP(noise_multiplier=2.0))
    history = play(federation, num_rounds=6)
    assert {len(r.cohort) for r in history} - {0, 4}
    for name in federation.names:
        took_part = [r.number for r in history if name in r.cohort]
        charged = [e.round for e in events_of(federation, name) if e.purpose == "a round's update"]
        sent = [m.round for m in federation.seen_by(name) if m.kind == "update"]
        assert charged == took_part == sent


def test_two_runs_at_once_are_refused_and_the_second_may_follow_the_first():
    federation = fl.Federation(cells())
    with federation.in_use(), pytest.raises(SettingError) as caught, federation.in_use():
        pass
    assert_teaches(caught, "training already")
    with pytest.raises(KeyboardInterrupt), federation.in_use():
        raise KeyboardInterrupt
    with federation.in_use():
        pass


def test_views_exist_for_parties_only():
    federation = fl.Federation(cells(2))
    with pytest.raises(SettingError) as caught:
        federation.seen_by("auditor")
    assert_teaches(caught, "auditor", "server", "key holder", "Owner 2")


def test_the_line_about_a_federation_says_what_protects_and_what_does_not():
    owners = cells(2)
    assert repr(fl.Federation(owners)) == "Federation(2 owners, not encrypted)"
    assert "rehearsal, not private" in repr(fl.Federation(owners, budget=BUDGET, noise_seed=1))
    assert "epsilon=8" in repr(fl.Federation(owners, budget=BUDGET))


def test_any_one_owner_who_knows_its_own_share_still_faces_all_of_the_noise(monkeypatch):
    shares = []
    share = protection.gaussian_share

    def spy(*arguments):
        shares.append(share(*arguments))
        return shares[-1]

    monkeypatch.setattr(protection, "gaussian_share", spy)
    federation = fl.Federation(cells(4), encrypt=fl.CKKS(), noise_seed=0)
    federation.gather(
        "update",
        lambda *_: Update(np.zeros(20_000), 1.0),
        number=1,
        cohort=federation.names,
        bound=1.0,
        noise_sd=2.0,
        debits=dict.fromkeys(federation.names, ()),
    )
    assert len(shares) == 4
    for own in shares:
        assert (sum(shares) - own).std() == pytest.approx(2.0, rel=0.05)


def test_numbers_of_single_owners_are_in_no_frame_of_a_failure():
    federation = fl.Federation(cells(), budget=BUDGET)
    marked = 0.47826087

    def work(name, _rows):
        return Update(np.array([np.nan if name == "Owner 2" else 1.0, marked]), 1.0)

    free = dict.fromkeys(federation.names, ())
    with pytest.raises(RoundError) as failure:
        federation.gather("update", work, number=1, cohort=federation.names, bound=8.0, debits=free)
    frame = failure.tb
    while frame is not None:
        assert str(marked) not in repr(frame.tb_frame.f_locals) or frame.tb_frame.f_code.co_filename == __file__
        frame = frame.tb_next
