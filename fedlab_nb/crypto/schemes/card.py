"""The cards of schemes and plans: what a user wants to know before anything is sealed; computed from each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedlab_nb.cards import card, framed, pairs_html, panel, table_html
from fedlab_nb.units import power_text, times_text

if TYPE_CHECKING:
    from fedlab_nb.crypto.schemes.bfv import BFV
    from fedlab_nb.crypto.schemes.ckks import CKKS
    from fedlab_nb.crypto.schemes.masks import SecAgg
    from fedlab_nb.crypto.schemes.plan import Plan

# In the clear this lab sends a number as a 64-bit float.
CLEAR_BYTES = 8
OWNERS = 10

_SERVER = ("the server", "bare parameters, no key", "add what it cannot read")
_OWNER = ("each owner", "the public key", "seal its own numbers; open nothing")
WHO_HOLDS = {
    "authority": (_OWNER, _SERVER, ("the key holder", "the secret key", "open sums, rounded to the grid")),
    "owners": (("each owner", "public and secret key", "seal; open sums, and whatever else it gets hold of"), _SERVER),
    "threshold": (
        ("each owner", "the public key and its share of the secret one", "seal; help to open a checked sum"),
        _SERVER,
        ("nobody", "the secret key", "–"),
    ),
    "masks": (
        ("each owner", "a secret with each other owner", "mask its own numbers"),
        ("the server", "no key", "add masked numbers; with enough owners take off what is left of the masks"),
    ),
}


def ckks_card(scheme: CKKS) -> str:
    """Sizes, security, price and exactness of a scheme, and who holds which key."""
    per_slot = "two numbers" if scheme.complex_slots else "one number"
    rows = [
        *_sizes(scheme.ring, scheme.prime_bits),
        ("Security", scheme.security),
        ("Numbers in a ciphertext", f"{scheme.numbers:,}: {per_slot} a slot, tags included"),
        *_price(scheme.plan(bound=1.0, owners=OWNERS)),
        ("Fresh keys", f"with every run, and after {scheme.rounds_per_key:,} rounds"),
        ("Can do", "add sealed numbers" + ("; room for two products" if scheme.preset == "deep" else "; no products")),
    ]
    return _with_keys(f"Encryption: {scheme.name}", rows, scheme.keys)


def bfv_card(scheme: BFV) -> str:
    """Sizes, security, price and exactness of the exact scheme, and who holds which key."""
    rows = [
        ("Kind", "exact: whole numbers, no noise in what is opened. This is not CKKS"),
        *_sizes(scheme.ring, scheme.prime_bits),
        ("Security", scheme.security),
        ("Numbers in a ciphertext", f"{2 * scheme.slots:,} of 20 bits, or {scheme.slots:,} of 39, tags included"),
        *_price(scheme.plan(bound=1.0, owners=OWNERS)),
        ("Fresh keys", f"with every run, and after {scheme.rounds_per_key:,} rounds"),
    ]
    return _with_keys(f"Encryption: {scheme.name}", rows, scheme.keys)


def secagg_card(scheme: SecAgg) -> str:
    """What masks cost, what they withstand, and who holds which secret."""
    rows = [
        ("Kind", "masks that cancel in the sum, modulo 2³²; no ciphertexts, no key holder"),
        ("Masks from", "X25519 between each pair of owners, ChaCha20; secrets are fresh for every sum"),
        *_price(scheme.plan(bound=1.0, owners=OWNERS)),
        (f"Of {OWNERS} owners may drop out", f"{OWNERS - scheme.needed(OWNERS)}, after masking too"),
        ("Taking masks off needs", f"{scheme.needed(OWNERS)} of {OWNERS} owners"),
    ]
    return _with_keys("Secure aggregation by masks", rows, "masks")


def plan_card(plan: Plan) -> str:
    """The range that was agreed on, and what follows from it."""
    half, room = half_step(plan), times_text(plan.capacity / (plan.bound * plan.owners))
    noise = "none: sums are exact" if not plan.sigma else f"{plan.sigma:.1e} (standard deviation) in a full sum"
    rows = [
        ("Scheme", plan.scheme.name),
        ("Each number lies within", f"±{plan.bound:g}"),
        ("Owners in one sum, at most", f"{plan.owners:,}"),
        (
            "Grid",
            f"steps of {power_text(2, -plan.grid_bits)}; rounding a number to it changes it by at most {half:.1e}",
        ),
        ("Scale", power_text(2, plan.scale_bits)),
        ("Room", f"a sum wraps beyond {plan.capacity:,.6g}, {room} the largest one there can be"),
        ("Noise of the encryption", noise),
    ]
    if plan.sigma:
        least = f"{half / plan.layout.noisiest:,.0f} times where there is most of it"
        usual = f"half a step of the grid is {half / plan.sigma:,.0f} times as large"
        rows.append(("Rounding removes it", f"{usual}, {least}"))
    if plan.tags:
        rows.append(("Tags", f"{plan.tags} numbers in each ciphertext: guessing them is one chance in 2⁶⁴"))
    rows += [
        ("Bytes a number", f"{plan.bytes_per_value:.1f} sealed, {CLEAR_BYTES} in the clear"),
    ]
    return card("Plan of a sealed sum", rows, "Public: every party computes the same plan.")


def half_step(plan: Plan) -> float:
    """Half a step of a plan's grid: the most that rounding changes a number."""
    return 0.5 * 2.0**-plan.grid_bits


def _sizes(ring: int, prime_bits: tuple[int, ...]) -> list[tuple[str, object]]:
    bits = [f"{bits} bits" for bits in prime_bits]
    return [
        ("Ring", f"polynomials of degree {ring:,}"),
        ("Primes of the modulus", f"{', '.join(bits[:-1])} and {bits[-1]}; the last one never travels"),
    ]


def _price(plan: Plan) -> list[tuple[str, object]]:
    exact = f"at most {half_step(plan):.1e} a number ({plan.owners} owners, numbers within ±{plan.bound:g})"
    return [
        ("Bytes a number", f"{plan.bytes_per_value:.1f} sealed, {CLEAR_BYTES} in the clear"),
        ("Rounding error", f"{exact}; nothing is lost in adding"),
    ]


def _with_keys(title: str, rows: list[tuple[str, object]], keys: str) -> str:
    return framed(panel(title, pairs_html(rows) + table_html(("Who", "Holds", "Can"), WHO_HOLDS[keys])))
