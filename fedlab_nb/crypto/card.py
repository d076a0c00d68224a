"""The cards of this room: what a user wants to know of a scheme, a plan, a ciphertext, a key; computed from each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedlab_nb.cards import card, code, framed, pairs_html, panel, table_html
from fedlab_nb.units import bytes_text, counted, listed, power_text, times_text

if TYPE_CHECKING:
    from fedlab_nb.crypto.ckks import CKKS, Plan
    from fedlab_nb.crypto.keys import KeyHolder
    from fedlab_nb.crypto.seal import Sealed

# In the clear this lab sends a number as a 64-bit float.
CLEAR_BYTES = 8
KEYS = (
    ("each owner", "the public key", "seal its own numbers; open nothing"),
    ("the server", "bare parameters, no key", "add what it cannot read"),
    ("the key holder", "the secret key", "open sums, rounded to the grid"),
)


def ckks_card(scheme: CKKS) -> str:
    """Sizes, security, price and exactness of a scheme, and who holds which key."""
    bits = [f"{bits} bits" for bits in scheme.prime_bits]
    plan = scheme.plan(bound=1.0, owners=10)
    exact = f"at most {_half_step(plan):.1e} a number ({plan.owners} owners, numbers within ±{plan.bound:g})"
    rows = [
        ("Ring", f"polynomials of degree {scheme.ring:,}"),
        ("Primes of the modulus", f"{' and '.join(bits)}; the last one never travels"),
        ("Security", scheme.security),
        ("Numbers in a ciphertext", f"{scheme.slots:,}"),
        ("Bytes a number", f"{plan.bytes_per_value:.1f} sealed, {CLEAR_BYTES} in the clear"),
        ("Rounding error", f"{exact}; nothing is lost in adding"),
        ("Can do", "add sealed numbers; no products"),
    ]
    body = pairs_html(rows) + table_html(("Who", "Holds", "Can"), KEYS)
    return framed(panel(f"CKKS encryption, preset {scheme.preset!r}", body))


def plan_card(plan: Plan) -> str:
    """The range that was agreed on, and what follows from it."""
    half, room = _half_step(plan), times_text(plan.capacity / (plan.bound * plan.owners))
    rows = [
        ("Each number lies within", f"±{plan.bound:g}"),
        ("Owners in one sum, at most", f"{plan.owners:,}"),
        (
            "Grid",
            f"steps of {power_text(2, -plan.grid_bits)}; rounding a number to it changes it by at most {half:.1e}",
        ),
        ("Scale", power_text(2, plan.scale_bits)),
        ("Room", f"a sum wraps beyond {plan.capacity:,.6g}, {room} the largest one there can be"),
        ("Noise of the encryption", f"{plan.sigma:.1e} (standard deviation) in a full sum"),
        ("Rounding removes it", f"half a step of the grid is {half / plan.sigma:,.0f} times as large"),
        ("Bytes a number", f"{plan.bytes_per_value:.1f} sealed, {CLEAR_BYTES} in the clear"),
    ]
    return card("Plan of a sealed sum", rows, "Public: every party computes the same plan.")


def sealed_card(sealed: Sealed) -> str:
    """How much is inside, from whom, for which key; and what is seen without it."""
    clear = CLEAR_BYTES * sealed.length
    rows = [
        ("Inside", f"{counted(sealed.length, 'number')} in {counted(len(sealed.chunks), 'ciphertext')}"),
        ("From", f"{counted(sealed.added, 'owner')}: {listed(sealed.senders)}"),
        (
            "Size",
            f"{bytes_text(sealed.nbytes)}, {times_text(sealed.nbytes / clear)} the {bytes_text(clear)} in the clear",
        ),
        ("Sealed for key", code(sealed.fingerprint)),
        ("Planned for", f"numbers within ±{sealed.bound:g}, grid {power_text(2, -sealed.grid_bits)}"),
        ("Without the secret key one sees", code(f"{sealed.head}…")),
    ]
    return card("Sealed numbers", rows, "Only the key holder can open them, and it opens sums.")


def key_holder_card(holder: KeyHolder) -> str:
    """What the key holder has and gives away; never the key."""
    rows = [
        ("Key", code(holder.fingerprint)),
        ("Keeps", "the secret key: never shown, copied or written"),
        ("Gives to owners", f"the public key, {bytes_text(len(holder.public_key))}: seals, opens nothing"),
        ("Gives to the server", f"bare parameters, {bytes_text(len(holder.parameters))}, no key: adds"),
        ("Opens", "sums of the expected number of owners, rounded to the grid"),
    ]
    return card(
        "Key holder", rows, "In one process this wall is simulated: whoever runs code here can reach its memory."
    )


def _half_step(plan: Plan) -> float:
    return 0.5 * 2.0**-plan.grid_bits
