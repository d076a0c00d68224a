"""The cards of what is sealed and of who opens it: computed from each, never a number inside, never a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedlab_nb.cards import card, code
from fedlab_nb.units import bytes_text, counted, listed, times_text

if TYPE_CHECKING:
    from fedlab_nb.crypto.envelope import Sealed
    from fedlab_nb.crypto.keys import KeyHolder


def sealed_card(sealed: Sealed) -> str:
    """How much is inside, from whom, for which key and sum; and what is seen without the key."""
    clear, header = sealed.plain_nbytes, sealed.header
    rows = [
        ("Inside", f"{counted(sealed.length, 'number')} in {counted(len(sealed.chunks), 'ciphertext')}"),
        ("Numbers of", f"{counted(len(sealed.senders), 'owner')}: {listed(sealed.senders)}"),
        ("From and to", f"{header.sender} → {header.receiver}, its envelope number {header.sequence}"),
        ("For the sum", f"{header.kind}, round {header.round}"),
        ("Scheme", header.scheme),
        (
            "Size",
            f"{bytes_text(sealed.nbytes)}, {times_text(sealed.nbytes / clear)} the {bytes_text(clear)} in the clear",
        ),
        ("Sealed for key", code(header.fingerprint or "none: masks")),
        ("Vouched for by", code(f"{sealed.mac[:16].hex()}…")),
        ("Inside one sees", code(f"{sealed.head}…")),
    ]
    return card("Sealed numbers", rows, "The envelope is checked before anything inside it is read.")


def key_holder_card(holder: KeyHolder) -> str:
    """What the key holder has and gives away; never the key."""
    rows = [
        ("Key", code(holder.fingerprint)),
        ("Scheme", holder.scheme.name),
        ("Keeps", "the secret key: never shown, copied or written in the clear"),
        ("Gives to owners", f"the public key, {bytes_text(len(holder.public_key))}: seals, opens nothing"),
        ("Gives to the server", f"bare parameters, {bytes_text(len(holder.parameters))}, no key: adds"),
        ("Opens", "each sum once, of two owners or more, if all tags are right; rounded to the grid"),
    ]
    return card(
        "Key holder", rows, "In one process this wall is simulated: whoever runs code here can reach its memory."
    )
