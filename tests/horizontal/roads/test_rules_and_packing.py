"""Rules that read updates, sums of groups, and packed updates: what crosses, what comes of it, what is refused."""

from dataclasses import dataclass

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb import aggregate, compress
from fedlab_nb.errors import RuleError, SchemaError, SettingError
from tests.rounds.common import assert_teaches, cells, declared, fresh_accounts, play, tumours, weights

__all__ = ["fresh_accounts"]

MODEL = fl.models.logistic()
RULES = [
    aggregate.Krum(2),
    aggregate.MultiKrum(2),
    aggregate.Median(),
    aggregate.TrimmedMean(0.2),
    aggregate.GeometricMedian(),
    aggregate.NormClipping(),
    aggregate.NormClipping(0.5),
    aggregate.CentredClipping(1.0),
]
PACKERS = [compress.TopK(0.2), compress.RandomK(0.2), compress.QSGD(7), compress.SignSGD(0.01)]


def fed(owners=10, **settings):
    return fl.Federation(cells(owners), **settings)


def fedavg(**settings):
    return fl.FedAvg(MODEL, **settings)


@pytest.mark.parametrize("same", [aggregate.TrimmedMean(0), aggregate.MultiKrum(2, keep=10)], ids=repr)
def test_rules_that_leave_nobody_out_give_the_uniform_mean(same):
    expected = weights(play(fed(), fedavg(weighting="equal")))
    assert weights(play(fed(), fedavg(aggregate=same))) == pytest.approx(expected, abs=1e-7)


def test_clipping_with_room_for_all_gives_the_weighted_mean():
    expected = weights(play(fed(), fedavg()))
    for norm in (None, 1e6):
        found = weights(play(fed(), fedavg(aggregate=aggregate.NormClipping(norm))))
        assert found == pytest.approx(expected, abs=1e-7 if norm else 0.2)


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_every_rule_trains_and_the_server_reads_each_update(rule):
    federation = fed()
    history = play(federation, fedavg(aggregate=rule), num_rounds=5)
    assert history[-1].metrics["accuracy"] > 0.85
    readable = {m.sender for m in federation.seen_by("server") if m.kind == "update" and m.peek.readable}
    assert readable == set(federation.names)


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_a_run_that_goes_on_equals_the_uninterrupted_one(rule):
    strategy = fedavg(aggregate=rule)
    whole, first = play(fed(), strategy, num_rounds=3), play(fed(), strategy, num_rounds=1)
    rest = play(fed(), strategy, num_rounds=3, after=first[-1])
    assert weights(rest).tobytes() == weights(whole).tobytes()


def test_a_rule_of_ones_own_gets_the_changes_and_the_weights():
    seen = []

    def mine(changes, weights):
        seen.append((changes.shape, weights.shape))
        return weights @ changes / weights.sum()

    assert weights(play(fed(), fedavg(aggregate=mine))) == pytest.approx(weights(play(fed(), fedavg())), abs=1e-7)
    assert seen == [((10, 7), (10,))] * 3


def test_fltrust_learns_from_its_root_rows_and_bears_an_owner_that_cheats():
    root = tumours().iloc[:60]
    history = play(fed(), fedavg(aggregate=aggregate.FLTrust(root)), num_rounds=5)
    assert history[-1].metrics["accuracy"] > 0.85
    with pytest.raises(SchemaError) as caught:
        play(fed(), fedavg(aggregate=aggregate.FLTrust(root.drop(columns="diagnosis"))))
    assert_teaches(caught, "diagnosis")


@pytest.mark.parametrize("encrypt", [None, fl.CKKS()])
def test_sums_of_groups_are_compared_and_no_single_update_is_opened(encrypt):
    federation = fed(10, encrypt=encrypt)
    history = play(federation, fedavg(aggregate=aggregate.Median(), groups=5), num_rounds=3)
    assert history[-1].failed is None
    assert history[-1].metrics["accuracy"] > 0.8
    kinds = [kind for kind in history[-1].traffic if kind.startswith("group") and kind.endswith("update")]
    assert kinds == [f"group {i} update" for i in range(1, 6)]
    assert sum(history[-1].traffic[kind].messages for kind in kinds) == 10
    if encrypt is not None:
        opened = [m for m in federation.seen_by("server") if "update" in m.kind and m.peek.readable]
        assert {m.sender for m in opened} == {"key holder"}


def test_groups_are_drawn_anew_and_encrypted_equals_plain():
    runs = [play(fed(10, encrypt=e), fedavg(aggregate=aggregate.Median(), groups=5)) for e in (None, fl.CKKS())]
    assert weights(runs[0]).tobytes() == weights(runs[1]).tobytes()


@pytest.mark.parametrize("packer", PACKERS, ids=repr)
def test_packed_updates_cross_as_fewer_bytes_and_train(packer):
    plain, packed = fed(), fed()
    whole = play(plain, fl.FedAvg(fl.models.mlp(32)), num_rounds=6)
    history = play(packed, fl.FedAvg(fl.models.mlp(32), compress=packer), num_rounds=6)
    assert history[-1].metrics["accuracy"] > 0.7
    sent, full = (run[-1].traffic["update"].nbytes for run in (history, whole))
    assert sent < 0.35 * full
    assert all(m.peek.readable for m in packed.ledger.messages if m.kind == "update")
    assert packed.ledger.verify()


def test_all_numbers_of_a_change_are_the_whole_change():
    expected = weights(play(fed(), fedavg()))
    assert weights(play(fed(), fedavg(compress=compress.TopK(1.0)))) == pytest.approx(expected, abs=1e-6)
    assert weights(play(fed(), fedavg(compress=compress.RandomK(1.0)))) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("packer", [compress.RandomK(0.4), compress.QSGD(7), compress.SignSGD(0.01)], ids=repr)
def test_what_needs_no_more_than_a_sum_is_added_under_encryption(packer):
    runs = [play(fed(encrypt=e), fedavg(compress=packer), num_rounds=1) for e in (None, fl.CKKS(), fl.SecAgg())]
    for run in runs[1:]:  # packed numbers are 32-bit ones; sums are on a grid
        assert weights(run) == pytest.approx(weights(runs[0]), abs=1e-3)


@pytest.mark.parametrize("packer", PACKERS, ids=repr)
def test_what_was_not_sent_is_remembered_over_an_interruption(packer):
    strategy = fedavg(compress=packer)
    whole, first = play(fed(), strategy, num_rounds=4), play(fed(), strategy, num_rounds=2)
    rest = play(fed(), strategy, num_rounds=4, after=first[-1])
    assert weights(rest).tobytes() == weights(whole).tobytes()


def test_at_owner_level_drawn_numbers_are_clipped_and_noised():
    protect = fl.OwnerLevelDP(clip=0.5, noise_multiplier=0.1)
    history = play(fl.Federation(declared(), protect=protect, noise_seed=0), fedavg(compress=compress.RandomK(0.5)))
    assert history[-1].failed is None
    assert np.abs(weights(history)).max() > 0


def test_at_owner_level_each_update_that_is_read_carries_all_of_the_noise():
    protect = fl.OwnerLevelDP(clip=0.5, noise_multiplier=2.0)
    federation = fl.Federation(declared(30), protect=protect, noise_seed=0)
    play(federation, fedavg(aggregate=aggregate.Median()), num_rounds=6)
    numbers = np.concatenate([m.payload[:-1] for m in federation.ledger.messages if m.kind == "update"])
    assert np.std(numbers) == pytest.approx(1.0, rel=0.15)  # noise of 2.0 * 0.5, and changes shorter than 0.5


CANNOT = [
    ({"aggregate": aggregate.Median(), "groups": 4}, {}, SettingError),
    ({"aggregate": aggregate.Median(), "groups": 6}, {}, SettingError),
    ({"aggregate": aggregate.Median(), "groups": True}, {}, SettingError),
    ({"groups": 5}, {}, SettingError),
    ({"aggregate": aggregate.Median}, {}, SettingError),
    ({"aggregate": 3}, {}, SettingError),
    ({"compress": compress.TopK}, {}, SettingError),
    ({"compress": 0.1}, {}, SettingError),
    ({"aggregate": aggregate.Median(), "compress": compress.TopK(0.1)}, {}, RuleError),
    ({"aggregate": aggregate.Median()}, {"encrypt": fl.CKKS()}, RuleError),
    ({"aggregate": aggregate.Median()}, {"encrypt": fl.SecAgg()}, RuleError),
    ({"aggregate": lambda changes, weights: changes[0]}, {"encrypt": fl.CKKS()}, RuleError),
    ({"compress": compress.TopK(0.1)}, {"encrypt": fl.CKKS()}, RuleError),
    ({"aggregate": aggregate.Median()}, {"protect": fl.RowLevelDP(noise_multiplier=5.0)}, RuleError),
    ({"momentum": 0.9}, {"protect": fl.RowLevelDP(noise_multiplier=5.0)}, RuleError),
    ({"weight_decay": 0.1}, {"protect": fl.RowLevelDP(noise_multiplier=5.0)}, RuleError),
    ({"aggregate": aggregate.NormClipping(1.0), "groups": 5}, {}, SettingError),
    ({"compress": compress.RandomK(0.1)}, {"protect": fl.RowLevelDP(noise_multiplier=5.0)}, RuleError),
]


@pytest.mark.parametrize(("settings", "house", "error"), CANNOT, ids=lambda part: str(part).partition(" at 0x")[0])
def test_what_cannot_work_is_refused_before_anything_leaves(settings, house, error):
    federation = fed(**house)
    with pytest.raises(error) as caught:
        play(federation, fedavg(**settings))
    assert_teaches(caught)
    assert len(federation.ledger) == 0


def test_a_rule_that_says_it_needs_nothing_is_still_not_given_single_updates_under_encryption():
    def sly(changes, weights):
        return changes[0]

    sly.needs = ()
    federation = fed(encrypt=fl.CKKS())
    with pytest.raises(RuleError) as caught:
        play(federation, fedavg(aggregate=sly))
    assert_teaches(caught, "groups=5")
    with pytest.raises(RuleError):
        federation.collect("update", None, number=1, cohort=federation.names, bound=1.0, debits={})


def test_a_round_with_too_few_owners_for_the_groups_is_one_without_anybody():
    strategy = fedavg(aggregate=aggregate.Median(), groups=5)
    history = play(fed(10, sample_rate=0.3), strategy, num_rounds=6)
    assert [record.failed for record in history] == [None] * 6
    assert all("group 1 update" not in record.traffic for record in history if len(record.cohort) < 10)


@pytest.mark.parametrize("packer", PACKERS, ids=repr)
def test_a_packed_run_can_be_watched(packer):
    run = fl.train(fed(), fedavg(compress=packer), num_rounds=2)
    run.wait()
    assert run.error is None
    shares = [line.share for line in run.snapshot().lines]
    assert sum(shares) == pytest.approx(1.0)


def bad(message):
    @dataclass(frozen=True, repr=False)
    class Bad(fl.FedAvg):
        def local(self, at):
            if message and "Owner 2" in at.names:
                raise ArithmeticError(message)
            return {n: v if n != "Owner 2" else np.full(v.size, np.nan) for n, v in super().local(at).items()}

    return Bad


@pytest.mark.parametrize("executor", ["sequential", "stacked"])
@pytest.mark.parametrize("message", ["", "went wrong"])
@pytest.mark.parametrize("more", [{}, {"compress": compress.TopK(0.2)}, {"aggregate": aggregate.Median()}], ids=str)
def test_who_sends_no_numbers_or_fails_is_left_out_by_name(executor, message, more):
    history = play(fed(10, min_owners=9), bad(message)(MODEL, executor=executor, **more))
    assert [record.failed for record in history] == [None] * 3
    assert all([failure.party for failure in record.lost] == ["Owner 2"] for record in history)
    assert np.isfinite(weights(history)).all()


def test_min_owners_counts_the_owners_of_a_round_and_not_those_of_a_group():
    strategy = bad("")(MODEL, aggregate=aggregate.Median(), groups=5)
    assert play(fed(20, min_owners=10), strategy)[-1].failed is None
    assert "19 of 20" in str(play(fed(20, min_owners=20), strategy)[-1].failed.error)


def test_a_round_that_calls_fewer_than_min_owners_is_one_without_anybody():
    history = play(fed(10, sample_rate=0.4, min_owners=5), num_rounds=6)
    assert all(not record.cohort or len(record.cohort) >= 5 for record in history)
    assert any(not record.cohort for record in history)


@pytest.mark.parametrize("wrong", [lambda c, w: c.mean(), lambda c, w: c.mean(axis=1), lambda c, w: 1 / 0])
def test_a_rule_that_gives_no_aggregate_is_a_failed_round(wrong):
    failed = play(fed(), fedavg(aggregate=wrong))[-1].failed
    assert failed is not None
    assert "check_aggregator" in str(failed.error)


def test_drawn_numbers_go_with_a_clip_that_follows_the_updates():
    protect = fl.OwnerLevelDP(clip=fl.AdaptiveClip(), noise_multiplier=1.0)
    federation = fl.Federation(declared(30), encrypt=fl.CKKS(), protect=protect, noise_seed=0)
    history = play(federation, fedavg(compress=compress.RandomK(0.5)))
    assert history[-1].failed is None


COARSE = [fl.BFV(), fl.CKKS("compact", complex_slots=True), fl.CKKS(keys="threshold"), fl.SecAgg()]


@pytest.mark.parametrize("encrypt", COARSE, ids=repr)
def test_coarse_grids_learn_as_the_clear_does_or_are_refused(encrypt):
    open_, strategy = play(fed(20), fedavg(), num_rounds=5), fedavg()
    try:
        sealed = play(fed(20, encrypt=encrypt), strategy, num_rounds=5)
    except RuleError as error:
        assert_teaches(error, "rounded")
        return
    assert sealed[-1].metrics["accuracy"] == pytest.approx(open_[-1].metrics["accuracy"], abs=0.03)


def test_numbers_far_beyond_what_weights_are_need_a_finer_grid():
    with pytest.raises(RuleError, match="rounded to multiples"):
        play(fed(encrypt=fl.CKKS(keys="threshold")), fl.horizontal.QFFL(MODEL))
