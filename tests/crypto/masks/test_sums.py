"""Law: what the server gets is the sum of the survivors' vectors modulo 2**32, bit for bit, whoever drops out when."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedlab_nb.crypto.masks import default_threshold
from fedlab_nb.errors import EncryptionError, SettingError
from tests.crypto.masks.common import WORDS, Sum, added, draw


@pytest.mark.parametrize("n", range(2, 13))
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_the_sum_is_exact_whoever_drops_out_at_whatever_stage_down_to_the_threshold(n, data):
    run = Sum(n, threshold=data.draw(st.integers(max(2, n // 2 + 1), n), label="threshold"))
    there = list(run.names)
    stages = []
    for _ in range(5):
        there = data.draw(st.permutations(there), label="order")
        there = there[: data.draw(st.integers(run.threshold, len(there)), label="owners still there")]
        stages.append(there)
    advertised, shared, masked, confirmed, revealed = stages
    vectors = draw(masked, data.draw(st.integers(1, 9), label="length"), seed=data.draw(st.integers(0, 99)))
    run.advertise(advertised).share(shared).mask(vectors).confirm(confirmed).reveal(revealed)
    assert run.unmask().tolist() == added(vectors.values())


@pytest.mark.parametrize("d", [1, 2047, 16_384, 16_385, 100_000])
def test_the_sum_is_exact_for_any_length(d):
    run = Sum(4).advertise().share()
    vectors = draw(run.names[1:], d)
    total = run.mask(vectors).confirm().reveal().unmask()
    assert total.dtype == np.uint32
    assert total.tolist() == added(vectors.values())


def test_two_of_ten_drop_out_after_they_masked_or_shared_and_the_sum_of_the_survivors_is_exact():
    run = Sum(10).advertise().share()
    vectors = draw(run.names, 1000)
    run.mask(vectors)
    late = run.masked.pop("owner 3"), run.masked.pop("owner 0")
    survivors = list(run.masked)
    total = run.confirm(survivors).reveal(survivors).unmask()
    assert total.tolist() == added(vectors[name] for name in survivors)
    assert len(late) == 2, "what they masked comes too late, and stays masked by their own masks"


@pytest.mark.parametrize("value", [0, 1, WORDS - 1])
def test_equal_vectors_at_the_edges_add_up_with_wraparound(value):
    run = Sum(5).advertise().share()
    vectors = dict.fromkeys(run.names, np.full(3, value, dtype=np.uint32))
    assert run.mask(vectors).confirm().reveal().unmask().tolist() == [5 * value % WORDS] * 3


def test_the_vector_that_is_masked_stays_as_it_was():
    run = Sum(2).advertise().share()
    vectors = draw(run.names, 8)
    before = {name: vector.copy() for name, vector in vectors.items()}
    run.mask(vectors)
    assert all(np.array_equal(vectors[name], before[name]) for name in run.names)


def test_every_second_entry_of_a_longer_array_is_masked_like_any_vector():
    run = Sum(2).advertise().share()
    vectors = {name: vector[::2] for name, vector in draw(run.names, 20).items()}
    assert run.mask(vectors).confirm().reveal().unmask().tolist() == added(vectors.values())


@pytest.mark.parametrize("n", range(2, 100))
def test_the_default_threshold_is_more_than_two_thirds_and_never_more_than_all(n):
    threshold = default_threshold(n)
    assert 2 * n < 3 * threshold <= 3 * n
    assert 3 * (threshold - 1) <= 2 * n, "and no lower one is"


@pytest.mark.parametrize("n", [1, 0, -3])
def test_fewer_than_two_owners_have_no_threshold(n):
    with pytest.raises(SettingError, match="cannot hide"):
        default_threshold(n)


def test_messages_have_the_sizes_that_follow_from_the_numbers_of_owners_and_entries_alone():
    for n, d in ((2, 1), (7, 100)):
        run = Sum(n).advertise().share().mask(draw(Sum(n).names, d)).confirm().reveal()
        assert {len(advert) for advert in run.adverts.values()} == {128}
        assert {len(sealed) for sent in run.sent.values() for sealed in sent.values()} == {98}
        assert {len(sent) for sent in run.sent.values()} == {n - 1}
        assert {len(vector) for vector in run.masked.values()} == {4 * d + 64}
        assert {len(signature) for signature in run.confirmed.values()} == {64}
        assert {len(shares) for shares in run.revealed.values()} == {35 * n + 64}


def test_below_the_threshold_each_stage_says_how_many_are_needed_and_came():
    run = Sum(6)
    assert run.threshold == 5
    names, few = run.names, run.names[:4]
    run.advertise()
    with pytest.raises(EncryptionError, match="5 owners are needed, and 4 advertised"):
        run.owners[few[0]].share({name: run.adverts[name] for name in few}, run.public, 5)
    run.share()
    with pytest.raises(EncryptionError, match="5 owners are needed, and 4 shared"):
        run.owners[few[0]].mask(draw(few, 2)[few[0]], {name: run.sent[name][few[0]] for name in few[1:]})
    run.mask(draw(names, 2))
    with pytest.raises(EncryptionError, match="5 owners are needed, and 4 sent a masked vector"):
        run.owners[few[0]].confirm(few)
    run.confirm()
    with pytest.raises(EncryptionError, match="5 owners are needed, and 4 confirmed"):
        run.owners[few[0]].reveal({name: run.confirmed[name] for name in few})
    run.reveal()
    with pytest.raises(EncryptionError, match="5 owners are needed, and 4 revealed"):
        run.unmask(revealed={name: run.revealed[name] for name in few})
    with pytest.raises(EncryptionError, match="5 owners are needed, and 4 sent a masked vector"):
        run.unmask(masked={name: run.masked[name] for name in few}, revealed={})
    assert run.unmask().tolist() == added(draw(names, 2).values()), "the refusals cost nothing"


@pytest.mark.parametrize(("n", "threshold"), [(1, 1), (2, 1), (4, 2), (6, 3), (7, 3), (5, 6), (3, 0), (3, -1)])
def test_a_threshold_that_two_groups_could_reach_at_once_is_refused(n, threshold):
    run = Sum(n, threshold=threshold).advertise()
    with pytest.raises(SettingError, match="more than half"):
        run.share()


def test_the_threshold_is_measured_by_all_who_were_asked_and_not_by_those_whom_the_server_shows():
    run = Sum(8, threshold=4)
    few = run.names[:5]
    run.advertise(few)
    with pytest.raises(SettingError, match="4 of 8"):
        run.share(few)
