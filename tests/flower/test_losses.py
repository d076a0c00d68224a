"""Owners that are lost at any step of a round: it goes on without them, or fails and the run goes on after it."""

import itertools

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.crypto.seal import KEY_HOLDER
from fedlab_nb.errors import EncryptionError
from fedlab_nb.flower.codec import Allowed, decode, encode
from fedlab_nb.flower.orders.line import Ref
from fedlab_nb.flower.sums.going_on import rounds_that_go_on
from fedlab_nb.flower.sums.missing import Missing
from tests.flower.common import Apart, House, owners

STRATEGY = fl.FedAvg(fl.models.logistic(), executor="sequential")
# Keys are fresh in round 2, so that every step of theirs is in it.
SCHEMES = {
    "key holder": fl.CKKS(rounds_per_key=2),
    "exact": fl.BFV(rounds_per_key=2),
    "owners": fl.CKKS(keys="owners", rounds_per_key=2),
    "threshold": fl.CKKS(keys="threshold", rounds_per_key=2),
    "masks": fl.SecAgg(threshold=3, rounds_per_key=2),
}
# Steps before the first that lets a sum be opened; what was lost is the question or, where it says so, the answer.
BEFORE = [
    *((scheme, step, "answer") for scheme in ("key holder", "exact", "owners") for step in ("public", "seal")),
    *(("threshold", step, "answer") for step in ("public", "commitment", "reveal", "join", "seal", "witness")),
    *(("masks", step, "answer") for step in ("public", "advertise", "share", "masked_steps")),
    *((scheme, step, "question") for scheme, step in (("key holder", "seal"), ("threshold", "witness"))),
    *(("masks", step, "question") for step in ("share", "masked_steps")),
]
LATE = [("key holder", "vouch"), ("exact", "vouch"), ("owners", "vouch"), ("threshold", "open")]


def step_names(request):
    """The steps that a request asks for: orders by their names, and parts of what is there."""
    whats = [order.what.path[-1] if isinstance(order.what, Ref) else order.what for order in request.orders]
    return {*whats, *(ref.path[-1] for ref in request.wanted if ref.path)}


def lost_at(apart, name, step, *, done, back=False):
    """From the first request for ``step`` on nothing comes back from ``name``; it is carried out or not (``done``).

    With ``back`` only that one answer is lost.
    """
    site, inner, off = apart.sites[name], apart.sites[name].answer, []

    def answer(data, reading):
        if not off and step in step_names(reading.request(data)):
            off.append(step)
            if done:
                inner(data, reading)
            return None
        return inner(data, reading) if not off or back else None

    site.answer = answer
    return off


def playing(apart, num_rounds=4, strategy=STRATEGY):
    far = apart.federation(strategy)
    return far, rounds_that_go_on(far, strategy, num_rounds=num_rounds, seed=0)


def bits(record):
    return record.state.weights["server"].tobytes()


@pytest.fixture(scope="module")
def expected():
    """Two rounds with all owners; and the second without Owner 3: by whom, the weights and the scores."""
    found = {}
    for scheme, encrypt in SCHEMES.items():
        for who in ("all", "without Owner 3"):
            apart = Apart(owners(4), House(encrypt=encrypt, min_owners=3))
            _, stream = playing(apart, 2)
            next(stream)
            if who != "all":
                apart.lost.add("Owner 3")
            record = next(stream)
            found[scheme, who] = bits(record), record.metrics
    return found


@pytest.mark.parametrize(("scheme", "step", "lost"), BEFORE)
def test_an_owner_that_is_lost_before_a_sum_can_be_opened_is_left_out_of_it(scheme, step, lost, expected):
    apart = Apart(owners(4), House(encrypt=SCHEMES[scheme], min_owners=3))
    _, stream = playing(apart)
    next(stream)
    off = lost_at(apart, "Owner 3", step, done=lost == "answer")
    record = next(stream)
    assert off == [step]
    assert record.failed is None
    assert [f.party for f in record.lost] == ["Owner 3"]
    assert (bits(record), record.metrics) == expected[scheme, "without Owner 3"]


@pytest.mark.parametrize("step", ["confirm", "reveal"])
def test_under_masks_who_has_sent_its_numbers_is_in_the_sum_and_lost_to_the_next(step, expected):
    apart = Apart(owners(4), House(encrypt=SCHEMES["masks"], min_owners=3))
    _, stream = playing(apart)
    next(stream)
    off = lost_at(apart, "Owner 3", step, done=True)
    record = next(stream)
    assert off == [step]
    assert [f.party for f in record.lost] == ["Owner 3"]
    assert bits(record) == expected["masks", "all"][0]
    assert record.metrics != expected["masks", "all"][1]  # its held-out rows are not among those scored


@pytest.mark.parametrize("back", [True, False], ids=["back again", "gone for good"])
@pytest.mark.parametrize(("scheme", "step"), LATE)
def test_an_owner_lost_when_a_sum_may_be_open_fails_the_round_and_the_run_goes_on(scheme, step, back):
    apart = Apart(owners(4), House(encrypt=SCHEMES[scheme], min_owners=3))
    far, stream = playing(apart, 3)
    first = next(stream)
    lost_at(apart, "Owner 3", step, done=True, back=back)
    failed, third = stream
    assert (failed.number, failed.failed.party) == (2, "Owner 3")
    assert "helped to open a sum already" in str(failed.failed.error)
    assert [f.party for f in failed.lost] == ["Owner 3"]
    assert bits(failed) == bits(first)
    assert "sum of updates, opened" not in {m.kind for m in far.ledger.messages if m.round == 2}
    assert third.failed is None
    assert [f.party for f in third.lost] == ([] if back else ["Owner 3"])
    assert bits(third) != bits(first)


@pytest.mark.parametrize(("scheme", "step"), LATE)
def test_owners_refuse_another_sum_once_they_have_helped_to_open_one(scheme, step, monkeypatch):
    apart = Apart(owners(4), House(encrypt=SCHEMES[scheme], min_owners=3))
    _, stream = playing(apart)
    next(stream)
    lost_at(apart, "Owner 3", step, done=True)
    honest = Missing.taken_anew

    def forgetful(self, error):  # a server that takes a sum anew whatever it has been given
        self._owners.sites.sum.asked.clear()
        honest(self, error)

    monkeypatch.setattr(Missing, "taken_anew", forgetful)
    record = next(stream)
    assert record.failed is not None
    assert "has helped to sum 'update' of round 2 over 4 owners, and was asked to do so over 3" in str(
        record.failed.error
    )


@pytest.mark.parametrize("scheme", ["key holder", "threshold"])
def test_what_an_owner_has_taken_back_it_never_helps_to_open(scheme):
    apart = Apart(owners(4), House(encrypt=SCHEMES[scheme], min_owners=3))
    _, stream = playing(apart)
    next(stream)
    site, before = apart.sites["Owner 1"], {*apart.sites["Owner 1"]._sealed}
    lost_at(apart, "Owner 3", "seal", done=True)
    next(stream)
    fates = [(fate.void, fate.given) for sealed, fate in site._sealed.items() if sealed not in before]
    taken_back, made_anew, score = (True, False), (False, True), (False, True)
    assert fates == [taken_back, made_anew, *[score] * (scheme == "key holder")]  # else the score goes under masks
    void = next(sealed for sealed, fate in site._sealed.items() if fate.void)
    with pytest.raises(EncryptionError, match="has taken back"):
        site._give(void)
    with pytest.raises(EncryptionError, match="did not seal"):
        site._give("another's")


SHIFT = itertools.count(1)
SPENT = [("key holder", "seal"), ("threshold", "witness"), ("masks", "masked_steps"), ("key holder", "vouch")]


@pytest.mark.parametrize(("scheme", "step"), SPENT)
def test_nobody_pays_twice_for_a_sum_that_is_taken_anew(scheme, step):
    house = House(encrypt=SCHEMES[scheme], protect=fl.RowLevelDP(), budget=fl.Budget(8.0, 1e-3), min_owners=3)
    spent = []
    for run in ("whole", "lost"):
        # Budgets belong to data: each run has some of its own.
        rows = fl.data.breast_cancer().head(240)
        rows = rows.assign(mean_radius=rows["mean_radius"] + 1e-4 * next(SHIFT))
        apart = Apart(fl.split_rows(rows, owners=4, seed=0), house)
        far, stream = playing(apart, 3)
        next(stream)
        if run == "lost":
            lost_at(apart, "Owner 3", step, done=True, back=True)
        second, _ = stream
        assert (second.failed is not None) == ((run, step) == ("lost", "vouch"))
        counts = {name: dict(side._books.accounts[name].counts) for name, side in apart.sides.items()}
        for name in ("Owner 1", "Owner 2", "Owner 4"):
            assert counts[name] == dict(far.account(name).counts)
        spent.append(counts)
    whole, lost = spent
    assert lost["Owner 1"] == lost["Owner 2"] == lost["Owner 4"] == whole["Owner 1"]
    assert all(times <= whole["Owner 3"][event] for event, times in lost["Owner 3"].items())


def test_noise_of_a_sum_taken_anew_is_shared_by_those_who_are_left():
    house = House(encrypt=fl.CKKS(), protect=fl.RowLevelDP(noise_multiplier=1.0), noise_seed=3, min_owners=2)
    covers = []
    apart = Apart(owners(4), house)
    for name, side in apart.sides.items():
        inner = side.protect
        apart.sites[name]._verbs["protect"] = lambda computed, cover, inner=inner, name=name: (
            covers.append((name, computed.kind, cover.present)) or inner(computed, cover)
        )
    _, stream = playing(apart)
    next(stream)
    covers.clear()
    lost_at(apart, "Owner 3", "seal", done=True)
    next(stream)
    updates = {(name, present) for name, kind, present in covers if kind == "update"}
    assert updates == {(f"Owner {i}", 4) for i in (1, 2, 3, 4)} | {(f"Owner {i}", 3) for i in (1, 2, 4)}


def test_masks_come_off_for_as_many_as_share_the_noise_and_no_fewer():
    apart = Apart(owners(6), House(encrypt=fl.SecAgg()))
    far, stream = playing(apart)
    order = far.sites.order

    def lies(party, what, args=(), named=None):
        """Has secrets shared so that fewer owners can take the masks off than were told to share the noise."""
        shares = isinstance(what, Ref) and what.path[-1] == "share"
        return order(party, what, [*args[:2], args[2] - 1] if shares else args, named)

    far.sites.order = lies
    (record,) = stream
    assert "was to seal for 4 owners what it prepared for 5" in str(record.failed.error)


def test_under_masks_too_few_to_take_them_off_begin_again_until_they_have_masked():
    # Of 5 it takes 4 to take masks off, of 3 it takes 3.
    apart = Apart(owners(5), House(encrypt=fl.SecAgg(), min_owners=2))
    _, stream = playing(apart, 3)
    next(stream)
    for name in ("Owner 3", "Owner 4"):
        lost_at(apart, name, "share", done=True)
    record = next(stream)
    assert record.failed is None
    assert {f.party for f in record.lost} == {"Owner 3", "Owner 4"}


def test_under_masks_too_few_that_have_masked_fail_the_round_and_the_run_goes_on():
    apart = Apart(owners(5), House(encrypt=fl.SecAgg(), min_owners=2))
    _, stream = playing(apart, 3)
    next(stream)
    for name in ("Owner 3", "Owner 4"):
        lost_at(apart, name, "masked_steps", done=True)
    failed, third = stream
    assert "3 owners are left, and 4 are needed" in str(failed.failed.error)
    assert {f.party for f in failed.lost} == {"Owner 3", "Owner 4"}
    assert third.failed is None
    assert {f.party for f in third.lost} == {"Owner 3", "Owner 4"}


def test_too_few_that_are_left_fail_the_round_and_two_such_rounds_end_the_run():
    apart = Apart(owners(3), House(encrypt=fl.CKKS(), min_owners=2))
    _, stream = playing(apart, 6)
    next(stream)
    for name in ("Owner 2", "Owner 3"):
        lost_at(apart, name, "seal", done=False)
    *_, second, third = stream
    assert [second.number, third.number] == [2, 3]
    for record in (second, third):
        assert "1 of 3 owners came through, and 2 are needed." in str(record.failed.error)
        assert {f.party for f in record.lost} == {"Owner 2", "Owner 3"}


def test_where_the_owner_that_makes_the_key_is_lost_nobody_else_does():
    apart = Apart(owners(4), House(encrypt=SCHEMES["owners"], min_owners=3))
    _, stream = playing(apart, 3)
    next(stream)
    lost_at(apart, "Owner 1", "seal", done=True, back=True)
    failed, third = stream
    assert failed.failed.party == "Owner 1"
    assert "makes the key for all owners, and it is not there" in str(failed.failed.error)
    assert (third.failed, third.lost) == (None, ())


def test_a_lost_owner_of_another_cohort_is_left_out_of_the_keys():
    house = House(encrypt=fl.CKKS(rounds_per_key=1), sample_rate=0.7, min_owners=2)
    apart = Apart(owners(4), house)
    far, stream = playing(apart, 8)
    next(stream)
    number = next(n for n in range(2, 9) if "Owner 3" not in far.cohort(n, 0) and len(far.cohort(n, 0)) > 1)
    for _ in range(2, number):
        next(stream)
    apart.lost.add("Owner 3")
    record = next(stream)
    assert (record.number, record.failed) == (number, None)
    assert [f.party for f in record.lost] == ["Owner 3"]
    assert set(record.cohort) == set(far.cohort(number, 0))
    apart.lost.clear()
    assert all(later.failed is None and later.lost == () for later in stream)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_keys_are_renewed_while_an_owner_is_dead_and_it_gets_them_when_it_is_back(scheme):
    apart = Apart(owners(4), House(encrypt=SCHEMES[scheme], min_owners=3))
    far, stream = playing(apart, 5)
    next(stream)
    keys = [far.fingerprint]
    apart.lost.add("Owner 3")
    for lost in (["Owner 3"], ["Owner 3"], []):
        if not lost:
            apart.lost.clear()
        record = next(stream)
        assert record.failed is None
        assert [f.party for f in record.lost] == lost
        keys.append(far.fingerprint)
    assert scheme == "masks" or len(set(keys)) > 2


def test_the_key_holder_begun_anew_before_keys_makes_fresh_ones_in_the_same_round(expected):
    apart = Apart(owners(4), House(encrypt=SCHEMES["key holder"], min_owners=3))
    _, stream = playing(apart)
    next(stream)
    begin_anew(apart, KEY_HOLDER)
    record = next(stream)
    assert (record.failed, record.lost) == (None, ())
    assert (bits(record), record.metrics) == expected["key holder", "all"]


def test_the_key_holder_begun_anew_after_sealing_costs_one_round():
    apart = Apart(owners(4), House(encrypt=fl.CKKS(), min_owners=3))
    _, stream = playing(apart, 3)
    next(stream)
    begin_anew(apart, KEY_HOLDER)
    failed, third = stream
    assert failed.failed.party == "key holder"
    assert "started again" in str(failed.failed.error)
    assert failed.lost == ()
    assert third.failed is None


def begin_anew(apart, name):
    """The process of a party is gone, and there is a new one; what it had in files is as it was."""
    vaults = {owner: side._books.vault for owner, side in apart.sides.items()}
    fresh = Apart([side._owner for side in apart.sides.values()], apart.house, vaults, identities=apart.identities)
    apart.sites[name], apart.readings[name] = fresh.sites[name], fresh.readings[name]
    if name in apart.sides:
        apart.sides[name] = fresh.sides[name]


@pytest.mark.parametrize("scheme", ["key holder", "masks"])
def test_an_owner_that_began_anew_stays_out_where_it_had_kept_something_and_says_why(scheme):
    strategy = fl.SCAFFOLD(fl.models.logistic(), executor="sequential")
    apart = Apart(owners(4), House(encrypt=SCHEMES[scheme], min_owners=3))
    _, stream = playing(apart, 3, strategy)
    next(stream)
    begin_anew(apart, "Owner 3")
    for record in stream:
        assert record.failed is None
        assert [f.party for f in record.lost] == ["Owner 3"]
        assert "no longer has what it kept at step 1" in str(record.lost[0].error)


WRONG = {
    "too short": lambda opened: opened[:-1],
    "too long": lambda opened: np.append(opened, 0.0),
    "beyond what can be": lambda opened: opened + 1e12,
}


@pytest.mark.parametrize("what", WRONG)
def test_a_key_holder_that_opens_to_what_cannot_be_is_named(what):
    apart = Apart(owners(), House(encrypt=fl.CKKS()))
    site, inner, plain = apart.sites[KEY_HOLDER], apart.sites[KEY_HOLDER].answer, Allowed()

    def answer(data, reading):
        reply = decode(inner(data, reading), plain)
        values = [WRONG[what](value) if isinstance(value, np.ndarray) else value for value in reply.values]
        return encode(type(reply)(reply.serial, reply.process, tuple(values), reply.error, reply.vouched), plain)

    site.answer = answer
    (record,) = playing(apart)[1]
    assert record.failed.party == "key holder"
    assert "opened the sum of" in str(record.failed.error)
