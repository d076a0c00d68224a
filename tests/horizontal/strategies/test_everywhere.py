"""Every strategy under every protection that it allows, with owners that come and go, and going on after a stop."""

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.errors import RuleError, SettingError
from fedlab_nb.horizontal.drift import MOON, SCAFFOLD, FedDyn, FedNova, FedProx
from fedlab_nb.horizontal.server import FedAdagrad, FedAdam, FedAvgM, FedSGD, FedYogi
from fedlab_nb.rounds import rounds
from tests.horizontal.strategies.common import (
    AGAINST_DRIFT,
    ALL,
    AT_SERVER,
    HIDDEN,
    LOGISTIC,
    begun,
    one_round,
    strategy_of,
    unequal,
)
from tests.rounds.common import assert_teaches, bits, declared, play, weights

# Three or four of five owners in each of three rounds, and another one that drops out: enough of them for masks.
COMING_AND_GOING, SEED = {"sample_rate": 0.85, "dropout": 0.15}, 10


def five(**house):
    """Five unequal owners, not all of them in each round."""
    return fl.Federation(unequal((20, 45, 70, 110, 190)), **COMING_AND_GOING, **house)


def memory_bits(history):
    return [{name: array.tobytes() for name, array in r.state.memory.items()} for r in history]


@pytest.mark.parametrize("kind", ALL, ids=lambda k: k.__name__)
def test_sealed_rounds_equal_open_ones_bit_for_bit(kind):
    plain, sealed = (play(five(encrypt=e), strategy_of(kind), num_rounds=2, seed=SEED) for e in (None, fl.CKKS()))
    assert sealed[-1].failed is None
    assert all(len(record.cohort) == 3 and record.dropped for record in plain)
    assert bits(plain) == bits(sealed)
    assert memory_bits(plain) == memory_bits(sealed)


@pytest.mark.parametrize("kind", [SCAFFOLD, FedNova, FedAdam], ids=lambda k: k.__name__)
def test_masked_rounds_equal_open_ones_up_to_their_grid(kind):
    """Masks are whole numbers of 32 bits, so that their grid is coarser; step counts and controls fit it too."""
    plain, masked = (play(five(encrypt=e), strategy_of(kind), seed=SEED) for e in (None, fl.SecAgg()))
    assert masked[-1].failed is None
    assert [r.cohort for r in masked] == [r.cohort for r in plain]
    assert weights(masked) == pytest.approx(weights(plain), abs=1e-3)


@pytest.mark.parametrize("kind", ALL, ids=lambda k: k.__name__)
def test_owners_trained_at_once_end_where_owners_trained_one_by_one_do(kind):
    one_by_one, at_once = (
        play(five(), strategy_of(kind, executor=executor, momentum=0.0 if kind is FedSGD else 0.5), seed=SEED)
        for executor in ("sequential", "stacked")
    )
    assert at_once[-1].failed is None
    assert weights(at_once) == pytest.approx(weights(one_by_one), abs=1e-5)
    own = one_by_one[-1].state.memory
    assert own.keys() == at_once[-1].state.memory.keys()
    assert all(at_once[-1].state.memory[name] == pytest.approx(own[name], abs=1e-4) for name in own)


@pytest.mark.parametrize("kind", ALL, ids=lambda k: k.__name__)
def test_a_run_that_goes_on_equals_the_uninterrupted_one_bit_for_bit(kind):
    strategy = strategy_of(kind)
    whole, federation = play(five(), strategy, seed=SEED), five()
    first = next(rounds(federation, strategy, num_rounds=3, seed=SEED))
    rest = play(federation, strategy_of(kind), after=first)
    assert bits([first, *rest]) == bits(whole)
    assert memory_bits([first, *rest]) == memory_bits(whole)


@pytest.mark.parametrize("kind", ALL, ids=lambda k: k.__name__)
def test_whole_owners_can_be_hidden(kind):
    protect = fl.OwnerLevelDP(clip=1.0, noise_multiplier=1.0)
    owners, more = declared(8, 30), {"steps": 4.0} if kind is FedNova else {}
    rehearsal = fl.Federation(owners, protect=protect, noise_seed=3, sample_rate=0.8)
    whole = play(rehearsal, strategy_of(kind, **more), num_rounds=2)
    assert whole[-1].failed is None
    assert bits(play(rehearsal, strategy_of(kind, **more), num_rounds=2, after=whole[0])) == bits(whole)[1:]
    house = {"protect": fl.OwnerLevelDP(clip=1.0), "encrypt": fl.CKKS(), "budget": fl.Budget(8, 0.01)}
    sent = play(fl.Federation(declared(8, 30, seed=1), **house), strategy_of(kind, **more), num_rounds=2)
    assert sent[-1].failed is None
    assert 0 < sent[-1].epsilon <= 8


@pytest.mark.parametrize("came", [3, 8])
def test_how_many_owners_came_decides_nothing_where_each_is_to_be_hidden(came):
    """The part that FedDyn's server reckons with is the one that was to be expected: the number that came is secret."""
    strategy, protect = FedDyn(LOGISTIC), fl.OwnerLevelDP(clip=1.0, noise_multiplier=0.5)
    federation = fl.Federation(declared(8, 30), protect=protect, noise_seed=3, sample_rate=0.5)
    start = begun(federation, strategy)
    after = one_round(strategy, federation, start, cohort=federation.names[:came])
    part = -after.memory["h"] / strategy.alpha
    mean = after.weights["server"] - start.weights["server"] - part
    assert part == pytest.approx(0.5 * mean, rel=1e-9)


@pytest.mark.parametrize("kind", [SCAFFOLD, FedDyn, FedNova], ids=lambda k: k.__name__)
def test_what_an_owner_sends_is_clipped_as_one_vector(kind):
    """All that leaves is one vector within the clip, control variates included."""
    strategy = strategy_of(kind, lr=5.0, **({"steps": 4.0} if kind is FedNova else {}))
    house = {"protect": fl.OwnerLevelDP(clip=0.1, noise_multiplier=0.05), "noise_seed": 1}
    federation = fl.Federation(declared(4, 40), **house)
    play(federation, strategy, num_rounds=2)
    sent = [m.payload for m in federation.ledger.messages if m.kind == "update"]
    lengths = [np.linalg.norm(payload[:-1]) for payload in sent]
    assert len({payload.size for payload in sent}) == 1
    assert 0.08 < max(lengths) < 0.13, "within the clip norm of 0.1, but for a little noise"


@pytest.mark.parametrize("kind", [FedSGD, *AT_SERVER], ids=lambda k: k.__name__)
def test_rows_can_be_hidden_where_only_the_server_differs(kind):
    history = play(fl.Federation(unequal(), budget=fl.Budget(8, 1e-3), encrypt=fl.CKKS()), kind(LOGISTIC))
    assert history[-1].failed is None
    assert 0 < history[-1].epsilon <= 8
    assert "local_epochs" not in history[-1].settings


@pytest.mark.parametrize("kind", AGAINST_DRIFT, ids=lambda k: k.__name__)
def test_what_changes_local_steps_is_refused_at_row_level(kind):
    federation = fl.Federation(unequal(), budget=fl.Budget(8, 1e-3))
    with pytest.raises(RuleError) as caught:
        rounds(federation, strategy_of(kind))
    assert_teaches(caught, kind.__name__, "row level")
    assert len(federation.ledger) == 0


@pytest.mark.parametrize("kind", ALL, ids=lambda k: k.__name__)
def test_a_round_without_anybody_changes_nothing(kind):
    strategy, federation = strategy_of(kind), fl.Federation(unequal())
    start = begun(federation, strategy)
    assert one_round(strategy, federation, start, cohort=()) is start


def normed(inputs, outputs):
    """A small model with batch normalisation: its last eight numbers are running means and variances."""
    import torch

    parts = torch.nn.Linear(inputs, 4), torch.nn.BatchNorm1d(4), torch.nn.ReLU(), torch.nn.Linear(4, outputs)
    return torch.nn.Sequential(*parts)


@pytest.mark.parametrize("kind", [*AT_SERVER, SCAFFOLD, FedNova, FedDyn, MOON], ids=lambda k: k.__name__)
def test_running_statistics_of_batch_normalisation_are_averaged_plainly(kind):
    """In the first round owners make the steps of averaging (FedDyn those of FedProx): the statistics are its own."""
    strategy, federation = kind(normed, lr=0.01), fl.Federation(unequal())
    plain = FedProx(normed, lr=0.01, weighting=strategy.weighting, mu=0.1 if kind is FedDyn else 0.0)
    start = begun(federation, strategy)
    ours, wanted = (one_round(s, federation, start).weights["server"] for s in (strategy, plain))
    assert ours[-8:] == pytest.approx(wanted[-8:], abs=1e-6)
    later = play(federation, strategy, num_rounds=4)
    assert later[-1].failed is None
    assert (weights(later)[-4:] > 0).all()


@pytest.mark.parametrize(
    ("strategy", "named"),
    [
        (FedSGD(LOGISTIC, local_epochs=2), "local_epochs"),
        (FedSGD(LOGISTIC, batch_size=8), "batch_size"),
        (FedSGD(LOGISTIC, momentum=0.9), "momentum"),
        *((FedAvgM(LOGISTIC, server_lr=lr), "server_lr") for lr in (0, -1.0, float("inf"), float("nan"), "1")),
        *((FedAvgM(LOGISTIC, server_momentum=beta), "server_momentum") for beta in (1.0, -0.1, True)),
        (FedAdam(LOGISTIC, server_lr=0.0), "server_lr"),
        (FedAdam(LOGISTIC, beta1=1.0), "beta1"),
        (FedYogi(LOGISTIC, beta2=1.5), "beta2"),
        (FedAdagrad(LOGISTIC, tau=0.0), "tau"),
        (FedProx(LOGISTIC, mu=-0.1), "mu"),
        (FedProx(LOGISTIC, mu=float("inf")), "mu"),
        (FedNova(LOGISTIC, mu=-1), "mu"),
        (FedNova(LOGISTIC, steps=0), "steps"),
        (SCAFFOLD(LOGISTIC, weighting="rows"), "weighting"),
        (SCAFFOLD(LOGISTIC, server_lr=0), "server_lr"),
        (FedDyn(LOGISTIC, weighting=None), "weighting"),
        (FedDyn(LOGISTIC, alpha=0), "alpha"),
        (MOON(HIDDEN, mu=-1), "mu"),
        (MOON(HIDDEN, temperature=0), "temperature"),
    ],
    ids=lambda part: part if isinstance(part, str) else type(part).__name__,
)
def test_settings_that_cannot_work_are_refused_before_anything_leaves(strategy, named):
    federation = fl.Federation(unequal())
    with pytest.raises(SettingError) as caught:
        rounds(federation, strategy)
    assert_teaches(caught, type(strategy).__name__, named, repr(getattr(strategy, named)))
    assert len(federation.ledger) == 0


def test_a_model_without_a_hidden_layer_is_nothing_to_contrast():
    (record,) = play(fl.Federation(unequal()), MOON(LOGISTIC))
    assert_teaches(record.failed.error, "single layer", "hidden layer", "logistic()")


def test_step_counts_are_refused_at_owner_level():
    federation = fl.Federation(declared(), protect=fl.OwnerLevelDP(), budget=fl.Budget(8, 0.01))
    with pytest.raises(RuleError) as caught:
        rounds(federation, FedNova(LOGISTIC))
    assert_teaches(caught, "steps=20", "rows")
    assert len(federation.ledger) == 0


@pytest.mark.parametrize("kind", ALL, ids=lambda k: k.__name__)
def test_the_numbers_of_a_strategy_can_be_changed_between_rounds_and_its_words_name_it(kind):
    from fedlab_nb.course import Course

    strategy = strategy_of(kind)
    own = [
        n
        for n in ("server_lr", "server_momentum", "beta1", "beta2", "tau", "mu", "alpha", "temperature")
        if hasattr(strategy, n)
    ]
    course = Course(fl.Federation(unequal()), strategy, num_rounds=3)
    assert set(own) <= set(course.settings)
    course.records.append(course.next())
    course.change({name: course.settings[name] * 0.5 for name in own} or {"lr": 0.05})
    second = course.next()
    assert second.failed is None
    assert all(second.settings[name] == getattr(strategy, name) * 0.5 for name in own)
    assert repr(strategy).startswith(f"{kind.__name__}(")
    assert strategy.title in strategy._repr_html_()
    assert "lr=0.3" in repr(strategy_of(kind, lr=0.3))


def test_control_variates_travel_both_ways_and_the_ledger_has_them():
    federation = fl.Federation(unequal())
    play(federation, SCAFFOLD(LOGISTIC), num_rounds=2)
    messages = federation.ledger.messages
    told = [m for m in messages if m.kind == "control variate"]
    assert {(m.round, m.receiver) for m in told} == {(2, name) for name in federation.names}, "at first it is zero"
    assert {m.payload.size for m in told} == {6}
    assert {m.payload.size for m in messages if m.kind == "update"} == {2 * 6 + 1}


@pytest.mark.parametrize("kind", [SCAFFOLD, FedDyn, MOON], ids=lambda k: k.__name__)
def test_what_owners_keep_is_never_sent(kind):
    federation = fl.Federation(unequal())
    history = play(federation, strategy_of(kind), num_rounds=2)
    kept = [array for name, array in history[-1].state.memory.items() if " of Owner" in name]
    assert len(kept) == 4
    sent = [np.asarray(m.payload) for m in federation.ledger.messages if not isinstance(m.payload, str)]
    assert not any(np.array_equal(array, payload[: array.size]) for array in kept for payload in sent)


def test_an_owner_that_keeps_nothing_is_answered_from_the_vault_and_others_are_not():
    assert strategy_of(FedAdam).asked(3, 0)
    assert not any(strategy_of(kind).asked(3, 0) for kind in (SCAFFOLD, FedDyn, MOON))


def test_weights_stay_finite_or_the_round_says_so():
    history = play(fl.Federation(unequal()), FedDyn(LOGISTIC, alpha=1e-6, lr=5.0), num_rounds=6)
    assert history[-1].failed is not None or np.isfinite(weights(history)).all()
