"""What is drawn: the level behind noise, ranges that hold every value, sums that lose no byte."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedlab_nb.records import Traffic
from fedlab_nb.view.draw.curves import bars, curve, round_range, smooth, thinned, traffic_total, value_range
from fedlab_nb.view.words import traffic_words
from tests.view.fake import fake, with_traffic

floats = st.floats(-5, 5)


@given(st.lists(floats, min_size=1, max_size=30))
def test_without_noise_the_level_goes_through_every_release(values: list[float]) -> None:
    level, sd = smooth(values, [0.0] * len(values), 0.02)
    assert level == values
    assert sd == [0.0] * len(values)


def dense_answer(values: np.ndarray, sds: np.ndarray, process_sd: float) -> tuple[np.ndarray, np.ndarray]:
    """The posterior of a random walk with a flat start, by solving the normal equations."""
    n = len(values)
    steps = np.diff(np.eye(n), axis=0)
    precision = np.diag(1 / sds**2) + steps.T @ steps / process_sd**2
    covariance = np.linalg.inv(precision)
    return covariance @ (values / sds**2), np.sqrt(np.diag(covariance))


@given(st.lists(st.tuples(floats, st.floats(0.01, 0.5)), min_size=1, max_size=20))
def test_the_level_is_the_posterior_mean_of_a_random_walk(releases: list[tuple[float, float]]) -> None:
    values, sds = np.array([v for v, _ in releases]), np.array([s for _, s in releases])
    level, sd = smooth(list(values), list(sds), 0.05)
    mean, spread = dense_answer(values, sds, 0.05)
    assert np.allclose(level, mean, atol=1e-7)
    assert np.allclose(sd, spread, atol=1e-7)


def test_the_level_is_nearer_to_the_truth_than_the_releases() -> None:
    truth = 0.9 + 0.0 * np.arange(200)
    noisy = truth + np.random.default_rng(1).normal(0, 0.05, 200)
    level, _ = smooth(list(noisy), [0.05] * 200, 0.02)
    assert np.abs(level - truth).mean() < 0.6 * np.abs(noisy - truth).mean()


def test_an_exact_release_among_noisy_ones_is_met_exactly() -> None:
    level, sd = smooth([0.5, 0.7, 0.6], [0.1, 0.0, 0.1], 0.02)
    assert level[1] == 0.7
    assert sd[1] == 0.0


@pytest.mark.parametrize("snapshot", [fake(), fake(sd=0.05), fake(metric="rmse"), fake(1), fake(300, 5000)])
def test_the_range_holds_every_value_that_is_drawn(snapshot) -> None:
    line = curve(snapshot)
    low, high = value_range(line)
    drawn = [v for v in (*line.values, *line.level, *line.lowest, *line.highest) if v is not None]
    assert low <= min(drawn)
    assert max(drawn) <= high
    assert len(snapshot.history) <= round_range(snapshot) <= snapshot.num_rounds


def test_a_failed_round_is_marked_and_has_no_value() -> None:
    line = curve(fake(fail=(3,)))
    assert 3 not in line.rounds
    assert [n for n, _ in line.failed] == [3]


@pytest.mark.parametrize("snapshot", [fake(), fake(encrypted=False), fake(500, 500), fake(fail=(2,)), fake(0)])
def test_no_byte_is_lost_between_ledger_and_picture(snapshot) -> None:
    sent = sum(t.nbytes for r in snapshot.history for t in r.traffic.values())
    total, drawn = traffic_total(snapshot), bars(snapshot)
    assert total.all_bytes == sent == sum(b for _, _, b, _ in total.kinds)
    sizes = [len(snapshot.history[i : i + drawn.each]) for i in range(0, len(snapshot.history), drawn.each)]
    assert sum(s * n for s, n in zip(drawn.sent, sizes, strict=True)) == pytest.approx(sent)
    assert len(drawn.sent) <= 60


def test_the_price_of_secrecy_compares_sealed_messages_with_the_same_numbers_in_the_clear() -> None:
    total = traffic_total(fake(1))
    assert total.factor == pytest.approx((331_000 * 5 + 331_000) / (41_000 + 8_200))
    assert traffic_total(fake(encrypted=False)).factor is None


IDS, CLEAR = Traffic(4, 46_080, 11_520, encrypted=True), Traffic(9, 2_560, 2_560, encrypted=False)


def test_ids_that_are_hidden_do_not_make_a_run_an_encrypted_one() -> None:
    run = with_traffic(fake(1, encrypted=False), masked_ids=IDS, activations=CLEAR)
    total = traffic_total(run)
    assert (total.clear_bytes, total.id_bytes, total.sealed_bytes, total.factor) == (2_560, 46_080, 0, None)
    assert total.all_bytes == 48_640
    assert bars(run).hidden == "ids hidden"
    assert traffic_words(run) == "2.6 kB sent in the clear, 46.1 kB hidden to find rows in common"
    half = Traffic(2, 144, 0, encrypted=True)
    linked = with_traffic(fake(1, encrypted=False), order_of_linked_rows=half, filters_of_rows=CLEAR)
    assert traffic_words(linked) == "2.6 kB sent in the clear, 144 B hidden to find rows in common"


def test_where_numbers_are_sealed_hidden_ids_count_among_what_is() -> None:
    sealed = Traffic(2, 590_862, 26_520, encrypted=True)
    run = with_traffic(fake(1), masked_ids=IDS, residual_pieces=sealed, partial_score=CLEAR)
    total = traffic_total(run)
    assert (total.clear_bytes, total.id_bytes, total.sealed_bytes) == (2_560, 0, 636_942)
    assert total.factor == pytest.approx(636_942 / 38_040)
    assert bars(run).hidden == "encrypted"
    assert traffic_words(run) == "637 kB sent encrypted (17×)"


@given(st.integers(0, 1000), st.integers(2, 90))
def test_thinning_keeps_the_ends_and_the_promise(count: int, most: int) -> None:
    points = [(float(i), 0.0) for i in range(count)]
    kept = thinned(points, most)
    assert len(kept) <= most
    assert kept[:1] == points[:1]
    assert kept[-1:] == points[-1:]
