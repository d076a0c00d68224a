import numpy as np
import pytest

from fedlab_nb.parties.house import House, Sent, cohort, dropouts, terms_of_sum
from fedlab_nb.records import PrivacyEvent, Update

NAMES = tuple(f"Owner {i}" for i in range(40))


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("sample_rate", [1.0, 0.5])
def test_who_takes_part_and_who_drops_out_follow_from_one_coin_each(sample_rate, dropout):
    house = House(sample_rate=sample_rate, dropout=dropout)
    for number in range(1, 6):
        chosen = np.random.default_rng([7, number, 1]).random(40) < sample_rate
        leaves = np.random.default_rng([7, number, 3]).random(40) < dropout
        assert dropouts(house, NAMES, number, 7) == tuple(np.array(NAMES)[chosen & leaves].tolist())
        assert cohort(house, NAMES, number, 7) == tuple(np.array(NAMES)[chosen & ~leaves].tolist())


@pytest.mark.parametrize("noise_sd", [0.0, 0.5])
def test_what_is_sent_is_made_anew_only_where_no_noise_is_drawn(noise_sd):
    house = House(noise_seed=1)
    terms = terms_of_sum(house, (2, 2, 0), 4.0, noise_sd, None)
    updates = {name: Update(np.array([0.1, 0.2]), 1.5) for name in NAMES[:2]}
    debits = {name: [PrivacyEvent(1, "an update", "training", "row", "none")] for name in updates}
    sent = Sent(house, terms, updates, noise_sd, debits, lambda name: (1, NAMES.index(name), "update"))
    first, again = sent[NAMES[0]], sent[NAMES[0]]
    assert sent.anew == (first is not again) == (noise_sd == 0.0)
    assert first.tobytes() == again.tobytes()
    first[:] = np.nan
    assert np.isfinite(updates[NAMES[0]].value).all()
