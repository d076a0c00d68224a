import math

import numpy as np
import pytest

from fedlab_nb.protect import gaussian_share, noise_source, row_lot

SIZE = 40_000


@pytest.mark.parametrize("shares", [1, 2, 5, 50])
def test_the_shares_of_all_owners_add_up_to_the_promised_noise_and_never_less(shares):
    total = sum(gaussian_share(noise_source(7, owner), SIZE, 3.0, shares) for owner in range(shares))
    # Six standard errors of a standard deviation over SIZE numbers.
    assert np.std(total) == pytest.approx(3.0, rel=6 / math.sqrt(2 * SIZE))
    assert abs(np.mean(total)) < 6 * 3.0 / math.sqrt(SIZE)


def test_a_share_is_exactly_its_part_of_the_variance():
    whole = gaussian_share(noise_source(7), 100, 3.0, 1)
    part = gaussian_share(noise_source(7), 100, 3.0, 9)
    assert part == pytest.approx(whole / 3.0)


def test_the_shares_of_different_owners_have_nothing_in_common():
    one, other = (gaussian_share(noise_source(7, 1, owner), SIZE, 1.0, 2) for owner in (0, 1))
    assert abs(np.corrcoef(one, other)[0, 1]) < 6 / math.sqrt(SIZE)


def test_gaussian_noise_is_gaussian():
    noise = gaussian_share(noise_source(7), SIZE, 1.0, 1)
    for sigmas, share in ((1, 0.6827), (2, 0.9545), (3, 0.9973)):
        assert np.mean(np.abs(noise) < sigmas) == pytest.approx(share, abs=6 * math.sqrt(share * (1 - share) / SIZE))


def test_a_rehearsal_repeats_its_noise_and_every_place_has_its_own():
    def draw(*path):
        return noise_source(11, *path).normal(size=4).tolist()

    assert draw(1, 2, *b"update") == draw(1, 2, *b"update")
    others = [draw(1, 2, *b"moment"), draw(1, 3, *b"update"), draw(2, 2, *b"update")]
    assert all(draw(1, 2, *b"update") != other for other in others)
    assert noise_source(11, 1).normal() != noise_source(12, 1).normal()


def test_noise_that_protects_somebody_cannot_be_repeated_by_seeding_the_notebook():
    draws = []
    for _ in range(2):
        np.random.seed(0)  # noqa: NPY002 - what a notebook's first cell often does
        draws.append(noise_source(None, 1, 2).normal(size=4).tolist())
    assert draws[0] != draws[1]


def test_noise_leaves_the_notebooks_own_random_numbers_alone():
    np.random.seed(0)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    gaussian_share(noise_source(None), 100, 1.0, 2)
    assert np.random.random() == expected  # noqa: NPY002


@pytest.mark.parametrize("rate", [0.05, 0.5, 1.0])
def test_each_row_takes_part_by_a_coin_of_its_own(rate):
    lots = np.array([row_lot(noise_source(5, number), 200, rate) for number in range(400)])
    assert lots.mean() == pytest.approx(rate, abs=6 * math.sqrt(rate * (1 - rate) / lots.size) + 1e-12)
    # As many rows in a round as a binomial law says: a fixed number would be another kind of sampling.
    assert lots.sum(1).var() == pytest.approx(200 * rate * (1 - rate), rel=6 * math.sqrt(2 / 400))
    if rate < 1.0:
        assert abs(np.corrcoef(lots[:, 0], lots[:, 1])[0, 1]) < 6 / math.sqrt(400)
    assert row_lot(noise_source(5), 0, rate).tolist() == []


def test_noise_can_have_a_deviation_for_each_number():
    sd = np.repeat([1.0, 10.0], SIZE // 2)
    noise = gaussian_share(noise_source(7), SIZE, sd, 4)
    for value in (1.0, 10.0):
        assert np.std(noise[sd == value]) == pytest.approx(value / 2, rel=6 / math.sqrt(SIZE))
