"""What a federation says it has spent against another accountant of dp-accounting: privacy loss distributions."""

import pytest

import fedlab_nb as fl
from fedlab_nb.rounds import rounds
from tests.rounds.common import cells, declared, play


def tight(events, delta):
    """Epsilon of these events by composing privacy loss distributions (pessimistic, so an upper bound)."""
    from dp_accounting.pld import privacy_loss_distribution as pld

    total = None
    for event in events:
        if event.mechanism == "gaussian":
            one = pld.from_gaussian_mechanism(event.amount, value_discretization_interval=1e-3)
        else:
            one = pld.from_discrete_laplace_mechanism(event.amount, value_discretization_interval=1e-3)
        total = one if total is None else total.compose(one)
    return total.get_epsilon_for_delta(delta - sum(e.delta for e in events))


def lane(federation, name, rows):
    return [event for event, _ in federation.account(name).entries if event.rows in (rows, "all")]


@pytest.mark.parametrize("rounds", [1, 4])
def test_row_level_spending_is_what_another_accountant_finds(rounds):
    budget = fl.Budget(epsilon=4, delta=1e-3)
    federation = fl.Federation(cells(), budget=budget, encrypt=fl.CKKS())
    play(federation, num_rounds=rounds)
    for name in federation.names:
        training = tight(lane(federation, name, "training"), 1e-3)
        scored = tight(lane(federation, name, "held-out"), 1e-3)
        # Nothing but Gaussian noise on training rows: the composition is exact, up to the discretisation.
        assert federation.epsilon() == pytest.approx(training, rel=5e-3)
        # The verdict's pure epsilon is simply added, which the other accountant improves on.
        assert scored <= federation.epsilon() * 1.005
    assert federation.epsilon() <= 4


def test_spending_in_the_middle_of_a_run_is_what_another_accountant_finds():
    federation = fl.Federation(cells(), protect=fl.RowLevelDP(noise_multiplier=3.0))
    stream = rounds(federation, fl.FedAvg(fl.models.logistic()), num_rounds=9)
    for _, record in zip(range(3), stream, strict=False):
        expected = max(tight(lane(federation, "Owner 1", rows), 1e-5) for rows in ("training", "held-out"))
        assert record.epsilon == pytest.approx(expected, rel=5e-3)


def test_owner_level_spending_adds_updates_and_scores():
    budget = fl.Budget(epsilon=6, delta=1e-2)
    federation = fl.Federation(declared(), protect=fl.OwnerLevelDP(), budget=budget)
    play(federation, num_rounds=3)
    events = lane(federation, "Phone 1", "training")
    assert len(events) == 6
    assert federation.epsilon() == pytest.approx(tight(events, 1e-2), rel=5e-3)
    assert federation.epsilon() <= 6


def test_noise_on_a_sealed_sum_is_what_its_event_says(monkeypatch):
    from fedlab_nb.parties import federation as channel

    drawn = {}
    share = channel.gaussian_share

    def spy(rng, size, sd, shares):
        drawn.setdefault((size, shares), set()).add(sd)
        return share(rng, size, sd, shares)

    monkeypatch.setattr(channel, "gaussian_share", spy)
    clip = 0.5
    federation = fl.Federation(cells(), protect=fl.RowLevelDP(clip=clip, noise_multiplier=3.0), encrypt=fl.CKKS())
    play(federation, num_rounds=2)
    events = {e.purpose: e.amount for e, _ in federation.account("Owner 1").entries}
    # Three owners, and any two of their shares must do. 7 weights; 19 moments of 6 columns, which a row moves by at
    # most sqrt(19); 2 counts, which a row moves by 1.
    assert drawn[7, 2] == {clip * events["a round's update"]}
    assert list(drawn[19, 2]) == pytest.approx([19**0.5 * events["the moments of the columns"]])
    assert drawn[2, 2] == {events["a round's score"]}
