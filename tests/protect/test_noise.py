import math

import numpy as np
import pytest

from fedlab_nb.protect import gaussian_share, geometric, geometric_sd, noise_source

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


@pytest.mark.parametrize(("epsilon", "sensitivity"), [(0.5, 1), (2.0, 1), (2.0, 16), (5.0, 1)])
def test_geometric_noise_has_the_two_sided_geometric_law(epsilon, sensitivity):
    noise = geometric(noise_source(3), SIZE, epsilon, sensitivity)
    a = math.exp(-epsilon / sensitivity)
    assert np.array_equal(noise, np.rint(noise))
    for k in range(-4, 5):
        chance = (1 - a) / (1 + a) * a ** abs(k)
        assert np.mean(noise == k) == pytest.approx(chance, abs=6 * math.sqrt(chance / SIZE) + 1e-9)


@pytest.mark.parametrize(("epsilon", "sensitivity"), [(0.5, 1), (2.0, 16), (5.0, 1)])
def test_one_row_changes_the_odds_of_any_count_by_e_to_the_epsilon_at_most(epsilon, sensitivity):
    noise = geometric(noise_source(3), 10 * SIZE, epsilon, sensitivity)
    for count in range(-2, 3):
        here, there = np.mean(noise == count), np.mean(noise + sensitivity == count)
        if min(here, there) > 1e-3:
            assert abs(math.log(here / there)) <= epsilon + 6 / math.sqrt(10 * SIZE * min(here, there))


@pytest.mark.parametrize(("epsilon", "sensitivity"), [(0.1, 1), (1.0, 1), (2.0, 16), (6.0, 1)])
def test_the_stated_deviation_of_geometric_noise_is_the_measured_one(epsilon, sensitivity):
    noise = geometric(noise_source(3), 4 * SIZE, epsilon, sensitivity)
    assert np.std(noise) == pytest.approx(geometric_sd(epsilon, sensitivity), rel=0.1)


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
    geometric(noise_source(5), 100, 1.0, 1)
    assert np.random.random() == expected  # noqa: NPY002
