"""The plan for a thousand silos and a million phones: each figure in its tables is what the package itself gives."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import pytest

import fedlab_nb as fl
import fedlab_nb.flower
from fedlab_nb.channel.traffic import joined
from fedlab_nb.crypto import Identity, Manifest, Request
from fedlab_nb.crypto.ciphertexts.native import wire_of
from fedlab_nb.crypto.identity import PUBLIC_BYTES
from fedlab_nb.crypto.masks import shamir, wire
from fedlab_nb.crypto.masks.owner import SEALED_BYTES
from fedlab_nb.crypto.schemes.bfv import MOST_OWNERS
from fedlab_nb.crypto.threshold import OPENING_BYTES, RING, bits_lost, openings_limit
from fedlab_nb.crypto.threshold.key import SIGNATURE_BYTES
from fedlab_nb.crypto.vouching.linear import VALUE_BYTES, moduli
from fedlab_nb.errors import EncryptionError
from fedlab_nb.flower.agreement import Agreement
from fedlab_nb.flower.codec import Allowed, encode
from fedlab_nb.flower.grid.playing import way_to_play
from fedlab_nb.parties.house import House
from tests.flower.common import Apart

TEXT = (Path(fedlab_nb.flower.__path__[0]) / "scale.md").read_text(encoding="utf-8")
NUMBERS = 100_001  # a model of 100,000 weights, and the weight of its owner
SILOS, PHONES, COHORT, ROUNDS = 1_000, 1_000_000, 1_000, 1_000
CLEAR, KEY_HOLDER, COMPLEX, MASKS = None, fl.CKKS(), fl.CKKS(complex_slots=True), fl.SecAgg()
THRESHOLD = fl.CKKS(keys="threshold")
CODE = {
    CLEAR: "in the clear",
    KEY_HOLDER: "`fl.CKKS()`",
    COMPLEX: "`fl.CKKS(complex_slots=True)`",
    fl.CKKS("compact", complex_slots=True): '`fl.CKKS("compact", complex_slots=True)`',
    fl.BFV(): "`fl.BFV()`",
    THRESHOLD: '`fl.CKKS(keys="threshold")`',
    MASKS: "`fl.SecAgg()`",
}


def tables(text: str) -> dict[str, list[list[str]]]:
    """Each table by the first cell of its head: its rows of cells."""
    found: dict[str, list[list[str]]] = {}
    rows: list[list[str]] = []
    for line in text.splitlines():
        if not line.lstrip().startswith("|"):
            rows = []
            continue
        cells = [cell.strip() for cell in line.strip(" |").split("|")]
        if not rows:
            rows = found[cells[0]] = []
        rows.append(cells)
    return {name: table[2:] for name, table in found.items()}


TABLES = tables(TEXT)
PROSE = " ".join(TEXT.split())


def size(nbytes: float) -> str:
    """Two or three digits of a size, in the units of networks and disks."""
    for unit, one in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if nbytes >= 0.9995 * one:
            return f"{round(nbytes / one, max(0, 2 - int(math.log10(nbytes / one)))):g} {unit}"
    return f"{nbytes:g} B"


def names(count: int) -> tuple[str, ...]:
    return tuple(f"Owner {number}" for number in range(1, count + 1))


def list_of(each: int, count: int) -> int:
    """Bytes of so many from each of ``count`` owners, by name, as one message."""
    return len(joined({name: bytes(each) for name in names(count)}))


@cache
def manifest(scheme: object, count: int) -> Manifest:
    facts = {"session": "0" * 32, "round": 1, "kind": "update", "owners": names(count), "length": NUMBERS}
    return Manifest(**facts, plan=scheme.plan(bound=1.0, owners=count), fingerprint="0" * 16)


def request(count: int) -> Request:
    return Request(dict.fromkeys(names(count), "0" * 64), "0" * 64)


def sealed_bytes(scheme: object, count: int) -> int:
    return manifest(scheme, count).chunks * manifest(scheme, count).chunk_bytes


def witness_bytes() -> int:
    return VALUE_BYTES * len(moduli(wire_of(KEY_HOLDER))) + 32


def crossing(scheme: object, count: int) -> tuple[int, int, int]:
    """Bytes of one sum: what one owner sends, what it is sent, and what the key holder is sent."""
    model, last = 4 * (NUMBERS - 1), len(names(count)[-1]) + 2
    if scheme is CLEAR:
        return 8 * NUMBERS, model, 0
    if scheme is MASKS:
        shares = (count - 1) * (SEALED_BYTES + last)
        up = wire.ADVERT_BYTES + shares + 4 * NUMBERS + 2 * wire.SIGNATURE_BYTES
        up += wire.SIGNATURE_BYTES + count * shamir.SHARE_BYTES
        told = list_of(wire.ADVERT_BYTES, count) + shares + list_of(wire.SIGNATURE_BYTES, count)
        return up, model + told, 0
    orders = 2 * len(encode(manifest(scheme, count), Allowed())) + len(request(count).text)
    opening = len(request(count).text) + list_of(witness_bytes(), count)
    return sealed_bytes(scheme, count) + witness_bytes(), model + orders, sealed_bytes(scheme, count) + opening


def grid(scheme: object, owners: int) -> str:
    try:
        return f"2^-{scheme.plan(bound=1.0, owners=owners).grid_bits}"
    except EncryptionError:
        return "refused"


def test_which_scheme_takes_how_many_owners() -> None:
    expected = [
        [CODE[s], f"{s.plan(bound=1.0, owners=10).bytes_per_value:.1f}", *(grid(s, n) for n in (10, SILOS, PHONES))]
        for s in CODE
        if s is not CLEAR
    ]
    assert TABLES["scheme, numbers within ±1"] == expected


def test_bytes_of_a_sum() -> None:
    expected = []
    for scheme in (CLEAR, KEY_HOLDER, COMPLEX, MASKS):
        up, down, opener = crossing(scheme, SILOS)
        seconds = f"{8 * SILOS * up / 1e9:.1f}"
        row = [CODE[scheme], size(up), size(down), size(SILOS * up), seconds, size(opener) if opener else "–"]
        expected.append(row)
    assert TABLES["one sum, 1,000 owners"] == expected


@pytest.mark.parametrize("scheme", [CLEAR, KEY_HOLDER, MASKS, THRESHOLD], ids=["clear", "CKKS", "masks", "threshold"])
def test_trips_of_a_round(scheme: object) -> None:
    """Played with three owners apart: trips and messages do not depend on how many there are, or are so many each."""
    found = [CODE[scheme]]
    for held_out in (0.0, 0.2):
        rows = fl.data.breast_cancer().iloc[:90]
        owners = [
            fl.DataOwner(n, rows.iloc[i::3], target="diagnosis", held_out=held_out) for i, n in enumerate(names(3))
        ]
        strategy = fl.FedAvg(fl.models.logistic(), executor="sequential")
        federation = Apart(owners, House(encrypt=scheme)).federation(strategy)
        play, ledger, _ = way_to_play(federation, strategy)
        trips = [federation.sites.trips for _ in play(federation, strategy, num_rounds=4, seed=0)]
        messages = sum(message.round == 2 for message in ledger.messages)
        each = trips[1] - trips[0]
        found += [str(each), str(trips[0] - each), str(messages // 3)]
    assert found in TABLES["trips of a round"]


def test_memory_at_the_server() -> None:
    expected = []
    for weights in (100_000, 1_000_000, 10_000_000):
        row = [f"{weights:,}"]
        for scheme in (KEY_HOLDER, COMPLEX, MASKS):
            plan = scheme.plan(bound=1.0, owners=SILOS)
            row.append(size(SILOS * plan.ciphertexts(weights + 1) * plan.chunk_bytes(weights + 1)))
        expected.append(row)
    assert TABLES["weights of the model"] == expected


def test_a_key_that_nobody_holds() -> None:
    expected = []
    for count in (10, 100, 250):
        limit, chunks = openings_limit(count), manifest(THRESHOLD, count).chunks
        parts = list_of(8 * 2 * RING + SIGNATURE_BYTES, count)
        through = count * (2 * sealed_bytes(THRESHOLD, count) + chunks * OPENING_BYTES)
        row = [str(count), f"{limit:,}", str(chunks), f"{bits_lost(count, chunks):.1f}", size(parts), size(through)]
        expected.append(row)
    assert TABLES["owners under a key that nobody holds"] == expected


def most(scheme: object) -> int:
    """The largest number of owners that a scheme has a grid for."""
    fits, too_many = 1, PHONES
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        fits, too_many = (fits, middle) if grid(scheme, middle) == "refused" else (middle, too_many)
    return fits


def test_limits_that_stand_in_the_code() -> None:
    assert len(Identity().public) == PUBLIC_BYTES
    house, strategy = House(encrypt=KEY_HOLDER), fl.FedAvg(fl.models.mlp())
    of = {n: len(Agreement(names(n), house, strategy, 10).text) for n in (1_000, 2_000)}
    slope = (of[2_000] - of[1_000]) / 1_000
    expected = {
        **{f"the grid of {CODE[scheme]}, numbers within ±1": f"{most(scheme):,}" for scheme in (KEY_HOLDER, THRESHOLD)},
        "the noise that `fl.BFV()` has room for": f"{MOST_OWNERS:,}",
        "shares of a secret under `fl.SecAgg()`": f"{shamir._MOST_SHARES:,}",
        "the agreement, in a Flower app of 10 MiB": f"about {round(10 * 2**20 / slope, -5):,.0f}",
    }
    assert dict(TABLES["limit"]) == expected
    total = size(PHONES * list_of(PUBLIC_BYTES, 1_000) * 1_000)
    assert f"{total} for a million" in PROSE


def test_a_round_that_nobody_may_leave() -> None:
    expected = [
        [f"{count:,}", *(f"{100 * (1 - lost) ** (2 * count):.0f} %" for lost in (1e-5, 1e-4, 1e-3))]
        for count in (10, 100, 1_000)
    ]
    assert TABLES["owners that must all stay"] == expected


def called_more_often(times: int) -> float:
    """Of a million phones, each called in a thousand rounds by a coin of one in a thousand: called more often."""
    rate = COHORT / PHONES
    at_most = sum(math.comb(ROUNDS, k) * rate**k * (1 - rate) ** (ROUNDS - k) for k in range(times + 1))
    return PHONES * (1 - at_most)


def test_what_privacy_costs() -> None:
    expected = []
    for times in (1, 2, 5):
        noise = fl.Budget(2.0, 1e-7).noise_multiplier(rounds=times)
        length = [f"{noise * math.sqrt(NUMBERS - 1) / cohort:.2g}" for cohort in (COHORT, 10 * COHORT)]
        expected.append([str(times), f"{noise:.1f}", *length, f"{called_more_often(times):,.0f}"])
    assert TABLES["rounds a phone can pay for"] == expected


def figure(text: str) -> float:
    return float(text.replace(",", ""))


def test_what_is_extrapolated_follows_from_what_was_measured() -> None:
    rows = {name: (figure(ms), figure(seconds)) for name, ms, seconds in TABLES["processor time"]}
    assert all(seconds == pytest.approx(SILOS * ms / 1_000) for ms, seconds in rows.values())
    steps = [ms for name, (ms, _) in rows.items() if name.startswith("an owner")]
    squared = figure(PROSE.split("two secrets take ")[1].split(" s")[0])
    assert f"thousand costs each phone {COHORT * sum(steps) / 1_000 + squared:.1f}".replace(" 0.", " .") in PROSE
    lost, mask = 100, rows["an owner adds the mask that it has with another owner"][0]
    assert f"the server {lost * (COHORT - lost) * mask / 1_000:.0f} s more if a hundred are lost" in PROSE
    read, replies = "the server reads an owner's reply, ", (CODE[KEY_HOLDER], CODE[COMPLEX])
    adds = ("the server adds it", "the server adds it, complex slots")
    plain, halved = (rows[read + reply][1] + rows[add][1] for reply, add in zip(replies, adds, strict=True))
    masks = rows["the server takes an owner's mask off, `fl.SecAgg()`, nobody lost"][1]
    assert (
        f"server {plain:.0f} s with `fl.CKKS()`, {halved:.0f} s with complex slots, {masks:.0f} s under masks" in PROSE
    )


def test_figures_beside_the_tables() -> None:
    held, regions = SILOS * sealed_bytes(KEY_HOLDER, SILOS), 30
    list_of_all, one_manifest = len(request(SILOS).text), len(encode(manifest(KEY_HOLDER, SILOS), Allowed()))
    one, by_region = size(regions * sealed_bytes(KEY_HOLDER, SILOS)), size(held / regions)
    shares = House(encrypt=MASKS, protect=fl.OwnerLevelDP()).noise_shares(COHORT)
    path, longer = (math.ceil(math.log2(count)) for count in (SILOS, PHONES))
    for said in (
        f"{size(list_of_all)} in the request to vouch, {one_manifest / 1e3:.0f} kB in each of two manifests",
        f"{2 * held / 1e9:.1f} GB with `fl.CKKS()` and this model, {20 * held / 1e9:.0f} GB with a million weights",
        f"owner on a line of 20 Mbit/s up needs {8 * sealed_bytes(KEY_HOLDER, SILOS) / 20e6:.1f} s",
        f"{8 * held / 1e9:.0f} s a sum at 1 Gbit/s",
        f"{one} instead of {size(held)}, and each region {by_region}",
        f"{path} hashes of 32 bytes for a thousand owners, {longer} for a million",
        f"checks {witness_bytes()} bytes an owner",
        f"once in 10^{-math.log10(0.95) * COHORT:.0f} rounds",
        f"when all stay there is {math.sqrt(COHORT / shares):.2f} times as much noise",
        f"once in an hour each makes {PHONES / 3600:.0f} a second",
    ):
        assert said in PROSE, said


def test_polling() -> None:
    milliseconds = figure(PROSE.split("check of the signature took ")[1].split(" ms")[0])
    assert f"at most some {round(1_000 / milliseconds, -1):.0f} a second" in PROSE
    assert TABLES["SuperNodes"] == [[f"{n:,}", f"{n / 3:,.0f}", f"{n / 30:,.0f}"] for n in (1_000, PHONES)]
