from itertools import islice

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.errors import EncryptionError, RuleError, SettingError
from fedlab_nb.rounds import rounds
from tests.rounds.common import (
    EVERY_ROW,
    assert_teaches,
    bits,
    cells,
    events_of,
    forget,
    ledgers_of,
    logistic,
    play,
    weights,
)

REHEARSAL = {
    "protect": fl.RowLevelDP(noise_multiplier=20.0),
    "budget": fl.Budget(epsilon=50, delta=1e-3),
    "noise_seed": 5,
}


def test_equal_seeds_give_equal_bits_and_another_seed_gives_others():
    first, again, other = (play(fl.Federation(cells()), seed=seed) for seed in (1, 1, 2))
    assert bits(first) == bits(again)
    assert not np.array_equal(weights(first), weights(other))


def test_a_rehearsal_repeats_its_noise_and_real_noise_does_not():
    owners = cells()
    rehearsals = [play(fl.Federation(owners, **REHEARSAL)) for _ in range(2)]
    assert bits(rehearsals[0]) == bits(rehearsals[1])
    other = play(fl.Federation(owners, **{**REHEARSAL, "noise_seed": 6}))
    assert not np.array_equal(weights(rehearsals[0]), weights(other))
    real = play(fl.Federation(owners, protect=fl.RowLevelDP(noise_multiplier=2.0)))
    forget()  # the same run would be answered from memory
    again = play(fl.Federation(owners, protect=fl.RowLevelDP(noise_multiplier=2.0)))
    assert not np.array_equal(weights(real), weights(again))


def test_global_random_states_neither_matter_nor_change():
    import torch

    def with_globals(seed):
        np.random.seed(seed)  # noqa: NPY002 - the global generator is what this test is about
        torch.manual_seed(seed)
        before = (np.random.get_state()[1].tobytes(), torch.get_rng_state().numpy().tobytes())  # noqa: NPY002
        history = play(fl.Federation(cells()), fl.FedAvg(fl.models.mlp((4,))))
        assert before == (np.random.get_state()[1].tobytes(), torch.get_rng_state().numpy().tobytes())  # noqa: NPY002
        return bits(history)

    assert with_globals(1) == with_globals(2)


@pytest.mark.parametrize("planned", [3, 6], ids=["ended at 3", "stopped at 3 of 6"])
@pytest.mark.parametrize("anew", [False, True], ids=["same federation", "new federation"])
@pytest.mark.parametrize("settings", [{}, {"sample_rate": 0.7}, REHEARSAL], ids=["plain", "sampled", "rehearsal"])
def test_a_resumed_run_equals_the_uninterrupted_one(settings, anew, planned):
    owners = cells()
    whole = play(fl.Federation(owners, **settings), num_rounds=6)
    federation = fl.Federation(owners, **settings)
    head = fl.History(islice(rounds(federation, logistic(), num_rounds=planned), 3))
    federation = fl.Federation(owners, **settings) if anew else federation
    tail = play(federation, num_rounds=6, after=head[-1])
    if planned == 6 or settings is not REHEARSAL:
        assert bits([*head, *tail]) == bits(whole)
    # The noise of scores is planned for the number of rounds first asked for; the model's own is fixed.
    assert np.array_equal(weights(tail), weights(whole))
    assert [r.number for r in tail] == [4, 5, 6]


def test_a_run_goes_on_only_with_its_own_owners_columns_and_model():
    owners = cells()
    last = play(fl.Federation(owners))[-1]
    for stranger in (cells(4), cells(columns=5), owners[:2]):
        with pytest.raises(SettingError) as caught:
            play(fl.Federation(stranger), num_rounds=5, after=last)
        assert_teaches(caught, "Round 3", "after=")
    federation = fl.Federation(owners)
    with pytest.raises(SettingError) as caught:
        play(federation, fl.FedAvg(fl.models.mlp()), num_rounds=5, after=last)
    assert_teaches(caught, "7 weights", "mlp")
    assert len(federation.ledger) == 0


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {"budget": fl.Budget(8, 1e-3)}),
        ({"budget": fl.Budget(8, 1e-3)}, {}),
    ],
    ids=["plain, then budget", "budget, then plain"],
)
def test_a_run_goes_on_only_under_its_own_protection(first, second):
    owners = cells()
    last = play(fl.Federation(owners, **first), num_rounds=2)[-1]
    federation = fl.Federation(owners, **second)
    before = [list(entries) for entries in ledgers_of(federation)]
    with pytest.raises(RuleError) as caught:
        play(federation, num_rounds=4, after=last)
    assert_teaches(caught, "Round 2")
    assert ledgers_of(federation) == before
    assert len(federation.ledger) == 0


def test_another_clip_norm_and_other_noise_are_taken_over_charged_as_they_are_and_recorded():
    owners = cells()
    first, second = fl.RowLevelDP(noise_multiplier=2.0), fl.RowLevelDP(clip=3.0, noise_multiplier=5.0)
    last = play(fl.Federation(owners, protect=first), num_rounds=2)[-1]
    federation = fl.Federation(owners, protect=second)
    (record,) = play(federation, num_rounds=3, after=last)
    charged = [e.amount for e in events_of(federation, "Owner 1") if e.purpose == "a round's update"]
    assert charged == [2.0, 2.0, 5.0]
    assert (last.settings["clip"], last.settings["noise_multiplier"]) == (1.0, 2.0)
    assert (record.settings["clip"], record.settings["noise_multiplier"]) == (3.0, 5.0)
    assert fl.History([last, record]).changes == ((3, "clip", 1.0, 3.0), (3, "noise_multiplier", 2.0, 5.0))


def test_changing_nothing_between_rounds_changes_nothing():
    owners = cells()
    whole = play(fl.Federation(owners, dropout=0.3, sample_rate=0.8), num_rounds=6)
    federation = fl.Federation(owners, dropout=0.3, sample_rate=0.8)
    parts, last = [], None
    for number in range(1, 7):
        federation.house = federation.house.adjusted(federation.house.settings)
        parts.append(last := next(iter(rounds(federation, logistic(), num_rounds=6, after=last))))
        assert last.number == number
    assert bits(parts) == bits(whole)


def test_owners_who_drop_out_are_named_and_take_no_part():
    federation = fl.Federation(cells(5), dropout=0.4)
    history = play(federation, num_rounds=12)
    assert any(record.dropped for record in history)
    for record in history:
        assert not set(record.cohort) & set(record.dropped)
        assert set(record.cohort) | set(record.dropped) == set(federation.names)
        senders = {m.sender for m in federation.ledger.messages if (m.round, m.kind) == (record.number, "update")}
        assert senders == set(record.cohort)


@pytest.mark.parametrize("dropout", [-0.1, 1.0, "0.3", None, True])
def test_a_drop_out_that_is_no_probability_is_refused(dropout):
    with pytest.raises(SettingError) as caught:
        fl.Federation(cells(), dropout=dropout)
    assert_teaches(caught, "dropout", repr(dropout))


@pytest.mark.parametrize("num_rounds", [0, -1, True, 2.5, "3", None])
def test_what_is_no_number_of_rounds_is_refused_before_anything_leaves(num_rounds):
    federation = fl.Federation(cells())
    with pytest.raises(SettingError) as caught:
        rounds(federation, logistic(), num_rounds=num_rounds)
    assert_teaches(caught, repr(num_rounds), "num_rounds=1")
    assert len(federation.ledger) == 0


@pytest.mark.parametrize("seed", [-1, 1.5, True, "0", None])
def test_what_is_no_seed_is_refused_before_anything_leaves(seed):
    with pytest.raises(SettingError) as caught:
        rounds(fl.Federation(cells()), logistic(), seed=seed)
    assert_teaches(caught, repr(seed))


def test_whole_numbers_of_numpy_are_whole_numbers():
    assert len(play(fl.Federation(cells()), num_rounds=np.int64(2), seed=np.int32(1))) == 2


def test_going_on_to_a_round_that_is_over_is_refused():
    federation = fl.Federation(cells())
    last = play(federation)[-1]
    with pytest.raises(SettingError) as caught:
        rounds(federation, logistic(), num_rounds=3, after=last)
    assert_teaches(caught, "num_rounds=4")


def test_an_empty_cohort_is_a_legal_round_that_leaves_the_state_as_it_is():
    federation = fl.Federation(cells(), sample_rate=0.3)
    history = play(federation, num_rounds=6, seed=1)
    empty = [i for i, r in enumerate(history) if r.cohort == ()]
    assert 0 < len(empty) < len(history)
    assert all(r.failed is None for r in history)
    for i in [i for i in empty if i > 0]:
        assert np.array_equal(history[i].state.weights["server"], history[i - 1].state.weights["server"])
        assert "update" not in history[i].traffic


class Moody:
    """A logistic model that can be told to misbehave on batches of a certain size."""

    def __init__(self):
        self.mood, self.rows = None, None

    def __call__(self, inputs, outputs):
        import torch

        owner = self

        class Module(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.linear = torch.nn.Linear(inputs, outputs)

            def forward(self, x):
                if owner.mood and self.training and (owner.rows is None or len(x) == owner.rows):
                    return owner.mood(self.linear(x))
                return self.linear(x)

        return Module()


def test_an_update_that_is_not_finite_fails_the_round_charges_nothing_and_can_be_tried_again():
    model = Moody()
    owners = [*cells(2), *cells(3, rows=120)[2:]]
    small = owners[2]._inside(lambda rows: len(rows.training[1]), stage="test")
    strategy = fl.FedAvg(model, local_epochs=1, batch_size=EVERY_ROW)
    whole = play(fl.Federation(owners), strategy, num_rounds=4)

    federation = fl.Federation(owners)
    stream = rounds(federation, strategy, num_rounds=4)
    good = [next(stream), next(stream)]
    entries = [len(e) for e in ledgers_of(federation)]
    model.mood, model.rows = (lambda x: x * float("nan")), small
    bad = next(stream)
    assert (bad.failed.party, bad.failed.stage, bad.number) == ("Owner 3", "update", 3)
    assert_teaches(bad.failed.error, "Owner 3", "not finite", "learning rate")
    assert bad.state is good[-1].state
    assert bad.metrics == {}
    assert [len(e) for e in ledgers_of(federation)] == entries
    assert "update" not in bad.traffic
    assert next(stream, None) is None
    assert "Owner 3" in fl.History([*good, bad]).frame()["failed"][3]

    model.mood = None
    rest = play(federation, strategy, num_rounds=4, after=bad)
    assert bits([*good, *rest]) == bits(whole)


def test_training_that_diverges_fails_in_words_and_not_in_numbers():
    for settings in ({}, {"encrypt": fl.CKKS()}):
        (record,) = play(fl.Federation(cells(), **settings), logistic(lr=1e30))
        assert_teaches(record.failed.error, "Owner 1", "learning rate")
    (record,) = play(fl.Federation(cells(), budget=fl.Budget(8, 1e-3)), logistic(lr=1e300))
    assert (record.failed.party, record.failed.stage) == ("server", "update")
    assert np.abs(record.state.weights["server"]).max() < 10


def test_an_error_beside_the_rows_names_owner_and_stage_and_quotes_nothing():
    def quote(x):
        raise ValueError(f"918273 {x}")

    model = Moody()
    model.mood = quote
    (record,) = play(fl.Federation(cells()), fl.FedAvg(model))
    assert (record.failed.party, record.failed.stage) == ("Owner 1", "update")
    assert_teaches(record.failed.error, "Owner 1", "ValueError", "mock")


def test_scores_that_fail_leave_the_state_as_it_was(monkeypatch):
    federation = fl.Federation(cells(), encrypt=fl.CKKS())
    stream = rounds(federation, logistic(), num_rounds=3)
    first = next(stream)

    def broken(*_, **__):
        raise EncryptionError("The sum is damaged.", "It cannot be opened.", "Seal again.")

    monkeypatch.setattr("fedlab_nb.horizontal.averaging.evaluate", broken)
    second = next(stream)
    assert second.failed.error.what == "The sum is damaged."
    assert second.state is first.state


def test_an_interruption_goes_through_and_the_federation_can_be_used_again():
    def interrupt(_):
        model.mood = None
        raise KeyboardInterrupt

    model = Moody()
    owners = cells()
    federation, strategy = fl.Federation(owners), fl.FedAvg(model)
    whole = play(fl.Federation(owners), strategy, num_rounds=4)
    stream = rounds(federation, strategy, num_rounds=4)
    done = [next(stream), next(stream)]
    model.mood = interrupt
    with pytest.raises(KeyboardInterrupt):
        next(stream)
    assert federation.ledger.verify()
    rest = play(federation, strategy, num_rounds=4, after=done[-1])
    assert bits([*done, *rest]) == bits(whole)


@pytest.mark.parametrize("given", [fl.FedAvg, fl.vertical.SecureBoost, fl.vertical.JointPrediction])
def test_a_class_is_no_strategy(given):
    for start in (rounds, fl.train):
        with pytest.raises(SettingError) as caught:
            start(fl.Federation(cells()), given, num_rounds=1)
        name = given.__name__
        assert_teaches(caught, f"The class {name} was given", "no settings", f"{name}(...)")
