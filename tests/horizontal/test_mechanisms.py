"""The mechanisms in whole rounds: how much noise there is in what is released, and what is left without it.

Noise is measured in rehearsals, where it can be repeated; all bounds are six standard errors wide.
"""

import math
from dataclasses import replace

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.course import Course
from fedlab_nb.errors import RuleError, SettingError
from fedlab_nb.horizontal.owner_level import clip_in_force
from fedlab_nb.parties.house import terms_of_sum
from fedlab_nb.protect import AdaptiveClip, with_share
from fedlab_nb.records import PrivacyEvent, Update
from fedlab_nb.rounds import rounds
from tests.rounds.common import EVERY_ROW, assert_teaches, bits, cells, declared, logistic, play, weights

SIZE, OWNERS = 4000, 6
WIDE = fl.models.mlp((600,))
BUDGET = fl.Budget(1, 0.01)


def about(sd, size):
    return pytest.approx(sd, rel=6 / math.sqrt(2 * size))


def release(federation, multiplier):
    event = PrivacyEvent(1, "a test", "all", federation.house.protect.unit, "gaussian", multiplier)
    return {name: [event] for name in federation.names}


def noise_of(federation, sd, *, size=SIZE, number=1, multiplier=1.0):
    """What is released where every owner sends zeros."""
    return federation.gather(
        "update",
        lambda *_: Update(np.zeros(size), 1.0),
        number=number,
        cohort=federation.names,
        bound=1.0,
        noise_sd=sd,
        debits=release(federation, multiplier),
    ).value


@pytest.mark.parametrize("exact", [False, True], ids=["float", "exact"])
@pytest.mark.parametrize("colluding", [1, 3])
@pytest.mark.parametrize("encrypt", [None, fl.CKKS(), fl.SecAgg()], ids=["plain", "CKKS", "SecAgg"])
def test_a_sum_carries_the_noise_of_all_shares_and_of_the_honest_ones_when_others_collude(encrypt, colluding, exact):
    protect = fl.RowLevelDP(noise_multiplier=2.0, colluding=colluding, exact_noise=exact)
    federation = fl.Federation(declared(OWNERS), encrypt=encrypt, protect=protect, noise_seed=3)
    shares = federation.house.noise_shares(OWNERS)
    certain = encrypt.needed(OWNERS) if isinstance(encrypt, fl.SecAgg) else OWNERS
    assert shares == (1 if encrypt is None else max(certain - colluding, 1))
    total = noise_of(federation, 2.0, multiplier=2.0)
    assert np.std(total) == about(2.0 * math.sqrt(OWNERS / shares), SIZE)
    if isinstance(encrypt, fl.CKKS) and not exact:
        # What is left for owners who put together what they know: all that was promised.
        for index in range(colluding):
            path = (1, index, *b"update")
            total = total - with_share(np.zeros(SIZE), 2.0, shares, seed=3, path=path)
        assert np.std(total) == about(2.0, SIZE)


def test_exact_noise_in_a_sum_is_drawn_in_whole_steps_and_repeats_in_a_rehearsal_only():
    def draw(seed):
        protect = fl.RowLevelDP(noise_multiplier=1.0, exact_noise=True)
        federation = fl.Federation(declared(3), encrypt=fl.CKKS(), protect=protect, noise_seed=seed)
        return noise_of(federation, 1.0, size=200), federation.house

    first, house = draw(1)
    _, plan, shares = terms_of_sum(house, (3, 3, 0), 1.0, 1.0, None)
    place = {"seed": 1, "step": house.noise_step(plan), "noise_multiplier": 1.0}
    drawn = [with_share(np.zeros(200), 1.0, shares, path=(1, i, *b"update"), **place) for i in range(3)]
    assert first.tolist() == np.sum(drawn, axis=0).tolist()
    assert first.tolist() == draw(1)[0].tolist() != draw(2)[0].tolist()
    assert draw(None)[0].tolist() != draw(None)[0].tolist()


def test_where_no_more_take_part_than_may_collude_each_adds_all_of_the_noise():
    protect = fl.OwnerLevelDP(noise_multiplier=1.0, colluding=3)
    house = fl.Federation(declared(5), encrypt=fl.CKKS(), protect=protect, noise_seed=1).house
    assert [house.noise_shares(present) for present in (2, 3, 4, 5)] == [1, 1, 1, 2]


def test_noise_can_differ_from_number_to_number_in_one_sum():
    protect = fl.OwnerLevelDP(noise_multiplier=1.0)
    federation = fl.Federation(declared(OWNERS), encrypt=fl.CKKS(), protect=protect, noise_seed=3)
    sd = np.repeat([0.01, 5.0], SIZE // 2)
    total = noise_of(federation, sd)
    for value in (0.01, 5.0):
        assert np.std(total[sd == value]) == about(value * math.sqrt(OWNERS / (OWNERS - 1)), SIZE // 2)


def moved(strategy, start, protect, number=1, **house):
    """How far one round moves the weights, from a state that was agreed on before."""
    federation = fl.Federation(declared(8, 10), protect=protect, noise_seed=5, **house)
    after = strategy.step(start, federation, number, federation.cohort(number, 0), last=False)
    return after.weights["server"] - start.weights["server"]


def started(strategy, protect):
    return strategy.start(fl.Federation(declared(8, 10), protect=protect, noise_seed=5), num_rounds=1, seed=0)


@pytest.mark.parametrize("encrypt", [None, fl.CKKS()], ids=["plain", "encrypted"])
@pytest.mark.parametrize("rate", [1.0, 0.3])
def test_a_step_at_row_level_has_the_stated_noise_over_the_expected_number_of_rows(rate, encrypt):
    strategy = fl.FedAvg(WIDE, lr=1.0)
    loud = fl.RowLevelDP(clip=0.5, noise_multiplier=2.0, row_rate=rate)
    start = started(strategy, loud)
    steps = [moved(strategy, start, replace(loud, noise_multiplier=z), encrypt=encrypt) for z in (2.0, 1e-4)]
    # The same rows took part in both, so that the difference is noise alone.
    noise = (steps[0] - steps[1]) * start.context.rows * rate
    expected = 2.0 * 0.5 * math.sqrt(8 / 7 if encrypt else 8)
    assert np.std(noise) == about(expected, noise.size)


@pytest.mark.parametrize("encrypt", [None, fl.CKKS()], ids=["plain", "encrypted"])
@pytest.mark.parametrize("clip", [0.5, AdaptiveClip(0.5, count_noise=4.0)], ids=["fixed", "adaptive"])
def test_a_step_at_owner_level_has_the_stated_noise_over_the_expected_number_of_owners(clip, encrypt):
    strategy = fl.FedAvg(WIDE, lr=0.1)
    loud = fl.OwnerLevelDP(clip=clip, noise_multiplier=2.0)
    start = started(strategy, loud)
    steps = [moved(strategy, start, replace(loud, noise_multiplier=z), encrypt=encrypt) for z in (2.0, 1e-4)]
    multiplier = 2.0 if clip == 0.5 else (2.0**-2 - 8.0**-2) ** -0.5
    expected = multiplier * 0.5 * math.sqrt(8 / 7 if encrypt else 8)
    noise = 8 * (steps[0] - steps[1])
    assert np.std(noise) == about(expected, noise.size)


@pytest.mark.parametrize("encrypt", [None, fl.CKKS()], ids=["plain", "encrypted"])
def test_the_count_of_clipped_owners_has_noise_of_its_own(encrypt):
    """Nobody's update is within so small a clip: what differs from -n/2 is noise."""
    adaptive = AdaptiveClip(1e-3, count_noise=5.0)
    protect = fl.OwnerLevelDP(adaptive, noise_multiplier=1.0)
    federation = fl.Federation(declared(4), encrypt=encrypt, protect=protect, noise_seed=5)
    sd = adaptive.noise_sd(1e-3, 1.0, owners=4, size=2)
    counts = []
    for number in range(1, 201):
        total = federation.gather(
            "update",
            lambda *_: Update(adaptive.contribution(np.ones(2), 1e-3), 1.0),
            number=number,
            cohort=federation.names,
            bound=1.001,
            noise_sd=sd,
            debits=release(federation, 1.0),
        )
        counts.append(total.value[-1] + 2.0)
    assert np.std(counts) == about(5.0 * math.sqrt(4 / 3 if encrypt else 4), 200)
    assert abs(np.mean(counts)) < 6 * 5.0 * math.sqrt(4 / 200)


@pytest.mark.parametrize("make", [lambda: cells(3), lambda: declared(4, 15)], ids=["measurements", "declared"])
def test_a_rehearsal_with_no_limit_and_hardly_any_noise_is_plain_full_batch_descent(make):
    strategy, loose = logistic(lr=0.2), fl.RowLevelDP(clip=30.0, noise_multiplier=1e-4)
    plain = fl.FedAvg(fl.models.logistic(), lr=0.2, local_epochs=1, batch_size=EVERY_ROW)
    private = fl.Federation(make(), protect=loose, noise_seed=1)
    open_ = fl.Federation(make())
    agreed = plain.start(open_, num_rounds=5, seed=0)
    rehearsal = fl.Federation(make(), protect=fl.RowLevelDP(noise_multiplier=1.0), noise_seed=1)
    plan = strategy.start(rehearsal, num_rounds=5, seed=0).context.plan
    ours, theirs = replace(agreed, context=replace(agreed.context, plan=plan)), agreed
    for number in range(1, 6):
        ours = strategy.step(ours, private, number, private.names, last=False)
        theirs = plain.step(theirs, open_, number, open_.names, last=False)
    assert ours.weights["server"] == pytest.approx(theirs.weights["server"], abs=1e-4)
    assert np.abs(ours.weights["server"] - agreed.weights["server"]).max() > 0.05


def test_on_average_a_step_on_some_rows_is_the_step_on_all_of_them():
    strategy, calm = logistic(lr=1.0), fl.RowLevelDP(clip=0.5, noise_multiplier=1e-6)
    start = started(strategy, replace(calm, noise_multiplier=1.0))
    whole = moved(strategy, start, calm)
    federation = fl.Federation(declared(8, 10), protect=replace(calm, row_rate=0.3), noise_seed=5)
    after = [strategy.step(start, federation, n, federation.names, last=False) for n in range(1, 81)]
    some = np.array([state.weights["server"] - start.weights["server"] for state in after])
    spread = some.std(0) / math.sqrt(len(some))
    assert (np.abs(some.mean(0) - whole) < 6 * spread + 1e-4).all()
    assert spread.min() > 1e-4


def test_a_round_in_which_no_row_takes_part_sends_noise_all_the_same():
    strategy = fl.FedAvg(WIDE, lr=1.0)
    protect = fl.RowLevelDP(clip=0.5, noise_multiplier=2.0, row_rate=1e-9)
    start = started(strategy, replace(protect, row_rate=1.0))
    noise = moved(strategy, start, protect, encrypt=fl.CKKS()) * start.context.rows * 1e-9
    assert np.std(noise) == about(2.0 * 0.5 * math.sqrt(8 / 7), noise.size)


def test_which_rows_take_part_comes_from_no_seed_of_the_run():
    def run(noise_seed, clip=1.0):
        protect = fl.RowLevelDP(clip=clip, noise_multiplier=1e-4, row_rate=0.5)
        federation = fl.Federation(declared(4, 30), protect=protect, noise_seed=noise_seed)
        start = started(logistic(), replace(protect, noise_multiplier=1.0))
        return logistic(lr=1.0).step(start, federation, 1, federation.names, last=False).weights["server"]

    # Another clip, by a hair: the very same question would be answered from what is stored.
    assert np.abs(run(None) - run(None, 1.0 + 1e-9)).max() > 1e-4, "other rows, as noise cannot explain so much"
    assert run(1).tolist() == run(1).tolist() != run(2).tolist()


def test_the_debit_states_the_rate_at_which_rows_take_part():
    federation = fl.Federation(declared(4), protect=fl.RowLevelDP(noise_multiplier=2.0, row_rate=0.25))
    play(federation, num_rounds=2)
    updates = {e for e, _ in federation.account("Phone 1").counts if e.purpose == "a round's update"}
    assert {(e.sample_rate, e.amount, e.unit) for e in updates} == {(0.25, 2.0, "row")}


def test_rows_taken_at_random_cost_less():
    spent = {}
    for rate in (1.0, 0.2):
        protect = fl.RowLevelDP(noise_multiplier=4.0, row_rate=rate)
        federation = fl.Federation(declared(4, seed=int(10 * rate)), protect=protect)
        events = [PrivacyEvent(1, "a round's update", "training", "row", "gaussian", 4.0, sample_rate=rate)] * 20
        spent[rate] = federation.account("Phone 1").spent(1e-3, events)
    assert spent[0.2] < 0.5 * spent[1.0]


def mean_change(federation, strategy, start, number=1):
    cohort = federation.cohort(number, 0)
    after = strategy.step(start, federation, number, cohort, last=False)
    sent = [m.payload for m in federation.ledger.messages if m.kind == "update" and m.round == number]
    return after.weights["server"] - start.weights["server"], sent, cohort


@pytest.mark.parametrize("house", [{}, {"sample_rate": 0.5}, {"dropout": 0.4}], ids=["all", "sampled", "dropouts"])
def test_whole_owners_are_averaged_over_the_number_that_was_to_be_expected(house):
    strategy = logistic(lr=0.5)
    federation = fl.Federation(declared(12), protect=fl.OwnerLevelDP(noise_multiplier=0.1), noise_seed=1, **house)
    start = strategy.start(federation, num_rounds=1, seed=0)
    change, sent, cohort = mean_change(federation, strategy, start)
    assert len(sent) == len(cohort) > 1
    assert change == pytest.approx(np.sum(sent, axis=0)[:-1] / (12 * house.get("sample_rate", 1.0)), abs=1e-9)


@pytest.mark.parametrize("clip", [1.0, AdaptiveClip(count_noise=3.0)], ids=["fixed", "adaptive"])
def test_a_round_without_owners_is_legal_and_changes_nothing(clip):
    protect = fl.OwnerLevelDP(clip, noise_multiplier=1.0)
    federation = fl.Federation(declared(4), protect=protect, sample_rate=0.1, encrypt=fl.CKKS(), noise_seed=1)
    history = play(federation, num_rounds=6)
    assert history[-1].failed is None
    empty = next(i for i, record in enumerate(history) if not record.cohort and i)
    assert history[empty].state is history[empty - 1].state


ADAPTIVE = {"protect": fl.OwnerLevelDP(AdaptiveClip(initial=0.01), noise_multiplier=0.3), "noise_seed": 4}


def test_the_clip_norm_follows_the_updates_and_is_told():
    federation = fl.Federation(declared(30), encrypt=fl.CKKS(), **ADAPTIVE)
    history = play(federation, num_rounds=12)
    clips = [record.settings["adaptive_clip"] for record in history]
    assert clips[0] == 0.01
    assert clips[-1] > 2 * clips[0], "all updates are longer than the first clip"
    for record, following in zip(history, [*history[1:]], strict=False):
        assert clip_in_force(federation.house.protect, record.state) == following.settings["adaptive_clip"]
        ratio = following.settings["adaptive_clip"] / record.settings["adaptive_clip"]
        assert abs(math.log(ratio)) <= 0.1 + 1e-12


def test_a_run_with_an_adaptive_clip_goes_on_bit_for_bit():
    whole = play(fl.Federation(declared(30), **ADAPTIVE), num_rounds=5)
    federation = fl.Federation(declared(30), **ADAPTIVE)
    first = [next(iter_) for iter_ in [rounds(federation, logistic(), num_rounds=5)] for _ in range(2)]
    rest = list(rounds(federation, logistic(), num_rounds=5, after=first[-1]))
    assert bits([*first, *rest]) == bits(whole)
    assert rest[-1].state.memory["clip"].tolist() == whole[-1].state.memory["clip"].tolist()


def test_nobody_moves_an_adaptive_clip_by_hand():
    course = Course(fl.Federation(declared(30), **ADAPTIVE), logistic(), num_rounds=4)
    course.records.append(course.next())
    assert "clip" not in course.settings
    assert "adaptive_clip" not in course.settings
    with pytest.raises(SettingError) as caught:
        course.change({"clip": 2.0})
    assert_teaches(caught, "clip=2.0")
    with pytest.raises(SettingError) as caught:
        course.federation.house.adjusted({"clip": 2.0})
    assert_teaches(caught, "2.0", "follows the updates")
    course.change({"noise_multiplier": 0.5})
    assert course.next().settings["noise_multiplier"] == 0.5


def test_an_adaptive_clip_that_could_not_pay_for_its_count_is_refused_before_anything_leaves():
    federation = fl.Federation(declared(12), protect=fl.OwnerLevelDP(AdaptiveClip()), budget=BUDGET)
    with pytest.raises(RuleError) as caught:
        rounds(federation, logistic(), num_rounds=3)
    assert_teaches(caught, "count_noise=")
    assert len(federation.ledger) == 0
    good = fl.Federation(declared(12), protect=fl.OwnerLevelDP(AdaptiveClip(count_noise=20.0)), budget=BUDGET)
    history = play(good, num_rounds=3)
    assert history[-1].failed is None
    assert history[-1].epsilon == pytest.approx(1)
    assert np.isfinite(weights(history)).all()
