"""What the server sees is random numbers, and it never gets both secrets of one owner, however it lies."""

import copy
import pickle
from contextlib import suppress
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedlab_nb.crypto.masks import MaskingOwner
from fedlab_nb.crypto.masks.shamir import SHARE_BYTES, combine
from fedlab_nb.crypto.masks.wire import Occasion, packed_names, roster, written_confirmation
from fedlab_nb.errors import EncryptionError
from tests.crypto.masks.common import IDENTITIES, Sum, added, draw


def secret(owner: MaskingOwner, name: str):
    return getattr(owner, f"_MaskingOwner__{name}")


def parts(run: Sum, message: bytes) -> dict[str, bytes]:
    cut = [message[i : i + SHARE_BYTES] for i in range(0, SHARE_BYTES * len(run.sent), SHARE_BYTES)]
    return dict(zip(sorted(run.sent), cut, strict=True))


def chi_squared(data: bytes) -> float:
    """How far the counts of the 256 bytes are from equal; about 255 ± 23 for random bytes, whatever their number."""
    counts, expected = np.bincount(np.frombuffer(data, dtype=np.uint8), minlength=256), len(data) / 256
    return float(((counts - expected) ** 2 / expected).sum())


def masked_zeros(n: int) -> list[bytes]:
    run = Sum(n).advertise().share()
    zeros = dict.fromkeys(run.names, np.zeros(100_000, dtype=np.uint32))
    return [message[:-64] for message in run.mask(zeros).masked.values()]


def test_a_masked_vector_of_zeros_looks_random_and_is_another_each_time():
    messages = masked_zeros(3) + masked_zeros(3)
    assert all(chi_squared(message) < 255 + 12 * 23 for message in messages)
    words = [np.frombuffer(message, dtype="<u4") for message in messages]
    for i, j in combinations(range(6), 2):
        assert np.count_nonzero(words[i] == words[j]) < 5
        assert chi_squared((words[i] - words[j]).tobytes()) < 255 + 12 * 23, "no mask is used twice"
    assert chi_squared(bytes(400_000)) > 10_000, "the measure tells numbers that are not random"


def test_without_the_revealed_shares_not_even_the_sum_can_be_read():
    words = [np.frombuffer(message, dtype="<u4") for message in masked_zeros(3)]
    assert chi_squared(np.sum(words, axis=0, dtype=np.uint32).tobytes()) < 255 + 12 * 23


def test_each_owner_reveals_the_seed_of_survivors_and_the_mask_key_of_dropouts_and_never_both():
    run = Sum(7).advertise().share()
    gone = {"owner 2", "owner 5"}
    run.mask(draw([name for name in run.names if name not in gone], 3))
    held = {name: dict(secret(run.owners[name], "held")) for name in run.masked}
    run.confirm().reveal()
    for revealer, message in run.revealed.items():
        assert parts(run, message).keys() == held[revealer].keys()
        for name, share in parts(run, message).items():
            of_key, of_seed = held[revealer][name]
            assert share == (of_key if name in gone else of_seed)
            assert (of_seed if name in gone else of_key) not in message


class LyingServer:
    """It has ``helpers`` among the owners, who sign what it wants and give it all their shares."""

    def __init__(self, run: Sum, helpers: list[str]):
        self.run, self.helpers = run, helpers
        self.honest = [name for name in run.names if name not in helpers]
        self.held = {name: dict(secret(owner, "held")) for name, owner in run.owners.items()}
        self.got: dict[str, dict[str, bytes]] = {}

    def signed_by_helpers(self, survivors: list[str]) -> dict[str, bytes]:
        adverts, occasion = self.run.adverts, Occasion(**self.run.occasion)
        group = roster(occasion, self.run.threshold, adverts, self.run.names)
        listed = packed_names(survivors)
        return {name: written_confirmation(occasion, IDENTITIES[name], group, listed) for name in self.helpers}

    def ask(self, shown: list[tuple[str, list[str]]], lists: tuple[list[str], ...]) -> None:
        """Show owners lists in the order of ``shown``, then ask each to reveal with all mixtures of what was signed."""
        signed = {tuple(one): self.signed_by_helpers(one) for one in lists}
        for name, one in shown:
            with suppress(EncryptionError):
                signed[tuple(one)][name] = self.run.owners[name].confirm(one)
        for name, one in product(self.honest, signed):
            others = {who: message for each in signed.values() for who, message in each.items()}
            for offer in (signed[one], others | signed[one], signed[one] | others):
                with suppress(EncryptionError):
                    message = self.run.owners[name].reveal({who: offer[who] for who in offer if who in one})
                    assert name not in self.got, "each owner reveals once"
                    self.got[name] = parts(self.run, message)

    def survivors_of(self, revealer: str) -> frozenset[str]:
        held, got = self.held[revealer], self.got[revealer]
        assert all(got[name] in held[name] for name in held)
        return frozenset(name for name in held if got[name] == held[name][1])

    def secrets_of(self, name: str) -> set[bytes]:
        """All that any of the shares it has of ``name``, its helpers' too, can be put together to."""
        found = set()
        for kind in (0, 1):
            shares = [got[name] for got in self.got.values()] + [
                self.held[helper][name][kind] for helper in self.helpers
            ]
            for some in combinations(shares, self.run.threshold):
                with suppress(EncryptionError):
                    found.add(combine(some, self.run.threshold))
        return found


@settings(deadline=None, max_examples=80)
@given(data=st.data())
def test_a_server_that_shows_two_lists_gets_secrets_of_one_list_only_and_never_both_of_one_owner(data):
    n = data.draw(st.integers(3, 6))
    run = Sum(n, threshold=data.draw(st.integers(n // 2 + 1, n))).advertise().share()
    both = {name: {secret(one, "key").private_bytes_raw(), secret(one, "seed")} for name, one in run.owners.items()}
    run.mask(draw(run.names, 2))
    server = LyingServer(run, run.names[: data.draw(st.integers(0, 2 * run.threshold - n - 1), label="helpers")])
    some_list = st.lists(st.sampled_from(run.names), min_size=run.threshold, unique=True)
    lists = data.draw(some_list), data.draw(some_list)
    server.ask(data.draw(st.permutations(list(product(server.honest, lists)))), lists)
    assert len({server.survivors_of(name) for name in server.got}) <= 1
    for name in server.honest:
        assert not both[name] <= server.secrets_of(name)


def test_with_one_helper_more_than_the_threshold_allows_such_a_server_does_get_both():
    # The bound that MaskingOwner states is the true one, and the test above can tell.
    run = Sum(5, threshold=3).advertise().share()
    both = {secret(run.owners["owner 1"], "key").private_bytes_raw(), secret(run.owners["owner 1"], "seed")}
    run.mask(draw(run.names, 2))
    server = LyingServer(run, ["owner 0"])
    lists = ["owner 0", "owner 1", "owner 2"], ["owner 0", "owner 3", "owner 4"]
    server.ask([(name, one) for one in lists for name in one if name != "owner 0"], lists)
    assert {server.survivors_of(name) for name in server.got} == set(map(frozenset, lists))
    assert both <= server.secrets_of("owner 1")


def test_two_groups_shown_two_lists_reveal_nothing_at_all():
    run = Sum(6).advertise().share().mask(draw([f"owner {i}" for i in range(6)], 2))
    without_0, without_5 = run.names[1:], run.names[:-1]
    signed = {name: run.owners[name].confirm(without_0 if name > "owner 2" else without_5) for name in run.names}
    for name in run.names:
        mine = without_0 if name > "owner 2" else without_5
        with pytest.raises(EncryptionError, match="signature of 'owner"):
            run.owners[name].reveal({other: signed[other] for other in mine})


def test_a_server_that_tells_owners_of_different_sharers_gets_no_confirmation_that_fits():
    run = Sum(4).advertise().share()
    for name in run.names:
        received = run.received(name)
        if name == "owner 0":
            del received["owner 3"]
        run.masked[name] = run.owners[name].mask(draw([name], 2)[name], received)
    del run.masked["owner 3"]
    run.confirm()
    with pytest.raises(EncryptionError, match="signature of 'owner 0'"):
        run.owners["owner 1"].reveal(run.confirmed)


def test_each_stage_is_done_once_and_in_order():
    run = Sum(3)
    owner, vectors = run.owners["owner 0"], draw(run.names, 2)
    with pytest.raises(EncryptionError, match="'owner 0' was asked to reveal, and has to advertise next"):
        owner.reveal({})
    with pytest.raises(EncryptionError, match="asked to share, and has to advertise next"):
        owner.share({}, {}, 2)
    run.advertise()
    with pytest.raises(EncryptionError, match="asked to advertise, and has to share next"):
        owner.advertise()
    run.share()
    with pytest.raises(EncryptionError, match="asked to share, and has to mask next"):
        owner.share(run.adverts, run.public, 3)
    run.mask(vectors)
    with pytest.raises(EncryptionError, match="asked to mask, and has to confirm next"):
        owner.mask(vectors["owner 0"], run.received("owner 0"))
    run.confirm()
    with pytest.raises(EncryptionError, match="asked to confirm, and has to reveal next"):
        owner.confirm(run.names)
    run.reveal()
    for again in (run.confirmed, dict(list(run.confirmed.items())[:2])):
        with pytest.raises(EncryptionError, match="asked to reveal, and has done all"):
            owner.reveal(again)
    assert run.unmask().tolist() == added(vectors.values())


def test_a_list_without_the_owner_itself_is_not_confirmed():
    run = Sum(4).advertise().share().mask(draw([f"owner {i}" for i in range(4)], 2))
    with pytest.raises(EncryptionError, match="'owner 0' sent its masked vector, and is not in the list"):
        run.owners["owner 0"].confirm(run.names[1:])


@pytest.mark.parametrize("more", [["a stranger"], ["owner 1"], ["owner 3"]])
def test_strangers_doubles_and_owners_who_shared_nothing_are_no_survivors(more):
    run = Sum(4).advertise().share([f"owner {i}" for i in range(3)])
    run.mask(draw(run.names[:3], 2))
    with pytest.raises(EncryptionError, match=f"{more[0]!r} cannot be in the list of survivors"):
        run.owners["owner 0"].confirm([*run.names[:3], *more])


@pytest.mark.parametrize("leak", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_masking_owner_is_neither_copied_nor_pickled(leak):
    with pytest.raises(EncryptionError, match="cannot be copied or pickled"):
        leak(Sum(2).owners["owner 0"])


def test_what_is_shown_of_an_owner_is_its_name_the_sum_and_the_next_stage():
    run = Sum(2)
    owner = run.owners["owner 0"]
    assert repr(owner) == str(owner) == "MaskingOwner('owner 0', 'round 1', next: advertise)"
    run.advertise().share().mask(draw(run.names, 1)).confirm().reveal()
    assert repr(owner) == "MaskingOwner('owner 0', 'round 1', done)"
    assert not hasattr(owner, "__dict__")


def test_secrets_are_forgotten_once_they_have_served():
    run = Sum(2).advertise().share()
    owner = run.owners["owner 0"]
    assert secret(owner, "seed")
    run.mask(draw(run.names, 1))
    for name in ("seed", "key"):
        with pytest.raises(AttributeError):
            secret(owner, name)
    assert secret(owner, "held")
    run.confirm().reveal()
    assert secret(owner, "held") == {}


def test_no_message_but_the_revealed_shares_holds_a_secret_or_a_share_in_the_clear():
    run = Sum(3).advertise().share()
    seeds = [secret(owner, "seed") for owner in run.owners.values()]
    keys = [secret(owner, "key").private_bytes_raw() for owner in run.owners.values()]
    run.mask(draw(run.names, 50))
    shares = [part for owner in run.owners.values() for pair in secret(owner, "held").values() for part in pair]
    run.confirm()
    sealed = [message for sent in run.sent.values() for message in sent.values()]
    travelled = b"".join([*run.adverts.values(), *sealed, *run.masked.values(), *run.confirmed.values()])
    assert len(seeds + keys + shares) == 24
    assert not any(hidden in travelled for hidden in seeds + keys + [part[2:] for part in shares])


def test_two_owners_of_one_party_never_share_a_secret():
    twice = [MaskingOwner("A", IDENTITIES["owner 0"], session=b"s", context="c") for _ in range(2)]
    assert secret(twice[0], "seed") != secret(twice[1], "seed")
    assert twice[0].advertise() != twice[1].advertise()
