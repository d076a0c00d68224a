import dataclasses

import numpy as np
import pytest

from fedlab_nb.crypto.lesson import recover_key
from fedlab_nb.crypto.lesson.recover import PRESETS, _KeyHolder, solve
from fedlab_nb.errors import SettingError


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("owners", [2, 10])
def test_raw_sums_give_away_the_whole_key_and_rounded_ones_nothing(preset, owners):
    found = recover_key(owners=owners, preset=preset, seed=owners)
    assert found.key_from_raw == 1.0
    assert found.read_with_raw == 1.0
    assert found.key_from_rounded < 0.01
    assert found.read_with_rounded < 0.01
    assert found.rounding_is_exact, "what is released is the sum itself, so rounding costs nothing"


def test_the_attack_sees_public_things_only():
    party = _KeyHolder(PRESETS["compact"])
    sums = [party.seal(row) for row in np.random.default_rng(0).normal(scale=0.1, size=(2, party.degree // 2))]
    seen = np.stack([party.words(held) for held in sums]), np.array([held.decrypt() for held in sums])
    assert np.array_equal(solve(party.ring, *seen, party.scale), party.secret())


def test_one_sum_is_not_enough():
    party = _KeyHolder(PRESETS["compact"])
    held = party.seal(np.full(party.degree // 2, 0.1))
    seen = np.stack([party.words(held)] * 2), np.array([held.decrypt()] * 2)
    assert np.mean(solve(party.ring, *seen, party.scale) == party.secret()) < 0.5


def test_every_run_breaks_another_key():
    first, second = (_KeyHolder(PRESETS["compact"]).secret() for _ in range(2))
    assert not np.array_equal(first, second)
    assert set(np.unique(first).tolist()) == {-1, 0, 1}


def test_it_is_shown_in_one_line_and_as_a_card():
    found = dataclasses.replace(recover_key(owners=3), seconds=0.25)
    assert repr(found) == ("KeyRecovery(raw sums: 100% of the secret key in 0.25 s; sums rounded to 2**-21: 0%)")
    card = found._repr_html_()
    for text in ("100.0%", "0.0%", "A secret key from two sums", "rounded to 2⁻²¹", "0.25 seconds", "no proof"):
        assert text in card
    assert "<script" not in card


@pytest.mark.parametrize(
    "wrong", [{"preset": "seal"}, {"owners": 1}, {"owners": 101}, {"owners": 2.5}, {"owners": True}]
)
def test_what_the_lesson_cannot_make_is_refused(wrong):
    with pytest.raises(SettingError, match="recover_key was asked"):
        recover_key(**wrong)
