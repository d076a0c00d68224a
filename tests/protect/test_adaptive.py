import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fedlab_nb.errors import RuleError, SettingError
from fedlab_nb.protect import AdaptiveClip, clip_norm
from fedlab_nb.protect.adaptive import LARGEST, SMALLEST


@pytest.mark.parametrize(("multiplier", "owners", "expected"), [(1.0, 100, 1.005037815259212), (0.6, 10, 0.75)])
def test_the_noise_of_the_updates_is_the_published_one(multiplier, owners, expected):
    assert AdaptiveClip().update_multiplier(multiplier, owners) == pytest.approx(expected, abs=1e-12)


@given(st.floats(0.05, 20), st.floats(1.01, 50))
def test_the_update_and_the_count_together_cost_one_release_of_the_stated_multiplier(multiplier, times):
    clip = AdaptiveClip(count_noise=times * multiplier / 2)
    together = clip.update_multiplier(multiplier, 30) ** -2 + (2 * clip.count_sd(30)) ** -2
    assert together == pytest.approx(multiplier**-2, rel=1e-9)


@settings(deadline=None)
@given(arrays(np.float64, 5, elements=st.floats(-1e3, 1e3)), st.floats(1e-3, 1e3), st.floats(0.1, 3))
def test_whatever_one_owner_sends_moves_the_sum_by_what_the_noise_is_made_for(update, clip, multiplier):
    adaptive = AdaptiveClip(count_noise=2 * multiplier)
    sent = adaptive.contribution(update, clip)
    assert sent[:-1].tolist() == clip_norm(update, clip).tolist()
    assert sent[-1] == (0.5 if np.linalg.norm(update) <= clip else -0.5)
    in_deviations = np.linalg.norm(sent / adaptive.noise_sd(clip, multiplier, owners=10, size=5))
    assert in_deviations <= (1 + 1e-9) / multiplier


@pytest.mark.parametrize("multiplier", [1.0, 1.3])
def test_a_count_that_would_cost_the_whole_round_is_refused_and_the_advice_works(multiplier):
    with pytest.raises(RuleError, match="leave nothing for the updates") as caught:
        AdaptiveClip().update_multiplier(multiplier, owners=10)
    advised = float(re.search(r"count_noise=([\d.]+)", caught.value.do)[1])
    advised_multiplier = AdaptiveClip(count_noise=advised).update_multiplier(multiplier, owners=10)
    assert multiplier < advised_multiplier < 1.03 * multiplier


@pytest.mark.parametrize("quantile", [0.3, 0.5, 0.9])
@pytest.mark.parametrize("initial", [1e-3, 50.0])
def test_the_clip_goes_to_the_quantile_of_the_norms(quantile, initial):
    norms = np.random.default_rng(1).lognormal(0.0, 0.5, 1000)
    adaptive, clip = AdaptiveClip(initial, quantile), initial
    for _ in range(400):
        clip = adaptive.moved(clip, float((norms <= clip).sum() - 500), owners=1000)
    assert clip == pytest.approx(np.quantile(norms, quantile), rel=0.03)


def test_one_step_is_the_formula_and_noise_cannot_throw_it_far():
    adaptive = AdaptiveClip(rate=0.2, quantile=0.5)
    assert adaptive.moved(2.0, summed=10.0, owners=40) == pytest.approx(2.0 * math.exp(-0.2 * 0.25))
    assert adaptive.moved(2.0, summed=1e9, owners=40) == pytest.approx(2.0 * math.exp(-0.1))
    assert adaptive.moved(2.0, summed=-1e9, owners=40) == pytest.approx(2.0 * math.exp(0.1))
    assert adaptive.moved(SMALLEST, 1e9, 40) == SMALLEST
    assert adaptive.moved(LARGEST, -1e9, 40) == LARGEST


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan"), float("inf"), "a", True])
@pytest.mark.parametrize("setting", ["initial", "rate", "quantile", "count_noise"])
def test_a_setting_that_cannot_work_is_refused_with_its_value(setting, wrong):
    with pytest.raises(SettingError, match=re.escape(f"AdaptiveClip has {setting}={wrong!r}")):
        AdaptiveClip(**{setting: wrong})


def test_a_quantile_of_all_owners_is_refused():
    with pytest.raises(SettingError, match=r"quantile=1\.0"):
        AdaptiveClip(quantile=1.0)
