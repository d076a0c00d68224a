"""What a federation says it has spent against another accountant of dp-accounting: privacy loss distributions."""

import pytest

import fedlab_nb as fl
from fedlab_nb.rounds import rounds
from tests.rounds.common import cells, declared, events_of, play


def tight(events, delta):
    """Epsilon of these events by composing privacy loss distributions (pessimistic, so an upper bound)."""
    from dp_accounting.pld import privacy_loss_distribution as pld

    total = None
    for event in events:
        assert event.mechanism == "gaussian"
        one = pld.from_gaussian_mechanism(
            event.amount, value_discretization_interval=1e-3, sampling_prob=event.sample_rate
        )
        one = one.self_compose(event.times)
        total = one if total is None else total.compose(one)
    return total.get_epsilon_for_delta(delta)


def lane(federation, name, rows):
    return [event for event in events_of(federation, name) if event.rows in (rows, "all")]


@pytest.mark.parametrize("rounds", [1, 4])
def test_row_level_spending_is_what_another_accountant_finds(rounds):
    budget = fl.Budget(epsilon=4, delta=1e-3)
    federation = fl.Federation(cells(), budget=budget, encrypt=fl.CKKS())
    play(federation, num_rounds=rounds)
    for name in federation.names:
        aside = federation.account(name).set_aside
        assert aside == 1e-4, "the classes are not declared"
        listed = sum(event.delta * event.times for event in lane(federation, name, "training"))
        assert 0 < listed <= aside
        for rows in ("training", "held-out"):
            # Nothing but Gaussian noise: the composition is exact, up to the discretisation.
            found = tight(lane(federation, name, rows), 1e-3 - aside)
            assert federation.epsilon() == pytest.approx(found, rel=5e-3)
    assert federation.epsilon() <= 4


def test_spending_in_the_middle_of_a_run_is_what_another_accountant_finds():
    federation = fl.Federation(cells(), protect=fl.RowLevelDP(noise_multiplier=3.0))
    stream = rounds(federation, fl.FedAvg(fl.models.logistic()), num_rounds=9)
    for _, record in zip(range(3), stream, strict=False):
        lanes = [lane(federation, "Owner 1", rows) for rows in ("training", "held-out")]
        expected = max(tight(events, 1e-5 - federation.account("Owner 1").set_aside) for events in lanes)
        assert record.epsilon == pytest.approx(expected, rel=5e-3)


@pytest.mark.parametrize("row_rate", [0.1, 0.5])
def test_with_sampled_rows_what_is_counted_is_what_renyi_accounting_finds_and_above_what_is_tight(row_rate):
    from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent, rdp

    budget = fl.Budget(epsilon=4, delta=1e-3)
    protect = fl.RowLevelDP(row_rate=row_rate)
    federation = fl.Federation(cells(), protect=protect, budget=budget, encrypt=fl.CKKS())
    play(federation, num_rounds=4)
    for name in federation.names:
        account, events = federation.account(name), lane(federation, name, "training")
        assert {event.sample_rate for event in events} == {1.0, row_rate}
        order = account.meter.order
        oracle = rdp.RdpAccountant([order])
        for event in events:
            oracle.compose(PoissonSampledDpEvent(event.sample_rate, GaussianDpEvent(event.amount)), event.times)
        counted = account.lanes()[0].epsilon(1e-3)
        open_delta = 1e-3 - account.set_aside
        # Its series for orders that are no whole numbers is good to five digits.
        assert counted == pytest.approx(oracle.get_epsilon(open_delta), rel=1e-4)
        assert tight(events, open_delta) <= counted
        assert tight(lane(federation, name, "held-out"), open_delta) <= account.spent(1e-3)
    assert 3.9 < federation.epsilon() <= 4 * (1 + 1e-9)


def test_owner_level_spending_adds_updates_and_scores():
    budget = fl.Budget(epsilon=6, delta=1e-2)
    federation = fl.Federation(declared(), protect=fl.OwnerLevelDP(), budget=budget)
    play(federation, num_rounds=3)
    events = lane(federation, "Phone 1", "training")
    assert len(events) == 6
    assert federation.epsilon() == pytest.approx(tight(events, 1e-2), rel=5e-3)
    assert federation.epsilon() <= 6


def test_noise_on_a_sealed_sum_is_what_its_event_says(monkeypatch):
    from fedlab_nb.protect import shares as drawing

    drawn = {}
    share = drawing.gaussian_share

    def spy(rng, size, sd, shares):
        drawn.setdefault((size, shares), set()).add(sd)
        return share(rng, size, sd, shares)

    monkeypatch.setattr(drawing, "gaussian_share", spy)
    clip = 0.5
    federation = fl.Federation(cells(), protect=fl.RowLevelDP(clip=clip, noise_multiplier=3.0), encrypt=fl.CKKS())
    play(federation, num_rounds=2)
    made = events_of(federation, "Owner 1")
    events = {e.purpose: e.amount for e in made}
    together, alone = (e.amount for e in made if e.purpose == "the verdict")
    # Three owners, and any two of their shares must do. 7 weights; 19 moments of 6 columns, which a row moves by at
    # most sqrt(19); 2 counts, which a row moves by 1.
    assert drawn[7, 2] == {clip * events["a round's update"]}
    assert list(drawn[19, 2]) == pytest.approx([19**0.5 * events["the moments of the columns"]])
    assert drawn[2, 2] == {events["a round's score"]}
    # The verdict: 16 counts of all owners together, and 2 of each owner alone, which no sum hides.
    assert drawn[16, 2] == {together}
    assert drawn[2, 1] == {alone}
