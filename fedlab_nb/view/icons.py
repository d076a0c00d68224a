"""Small drawings of what a party holds: a padlock, a key, a part of one, a mask; each at most 17 wide, 14 high."""

from __future__ import annotations

from collections.abc import Callable

Icon = Callable[[float, float, str], str]


def padlock(x: float, y: float, colour: str) -> str:
    """A closed padlock, 11 wide: who holds the public key can seal."""
    return (
        f'<path d="M{x + 2.2:g} {y + 6:g}v-2.3a3.3 3.3 0 0 1 6.6 0v2.3" fill="none" stroke="{colour}" '
        'stroke-width="1.7"/>'
        f'<rect x="{x:g}" y="{y + 6:g}" width="11" height="8" rx="1.6" fill="{colour}"/>'
    )


def secret_key(x: float, y: float, colour: str) -> str:
    """A key, 17 wide: who holds the secret key can open."""
    return (
        f'<circle cx="{x + 3.8:g}" cy="{y + 6:g}" r="3" fill="none" stroke="{colour}" stroke-width="1.9"/>'
        f'<path d="M{x + 7:g} {y + 6:g}h9.4M{x + 12.2:g} {y + 6:g}v3.4M{x + 15.6:g} {y + 6:g}v3.4" fill="none" '
        f'stroke="{colour}" stroke-width="1.9"/>'
    )


def key_share(x: float, y: float, colour: str) -> str:
    """A key of which only a part is drawn in full, 17 wide: its holder opens nothing without all others."""
    return (
        f'<circle cx="{x + 3.8:g}" cy="{y + 6:g}" r="3" fill="none" stroke="{colour}" stroke-width="1.9" '
        'stroke-dasharray="2 1.6"/>'
        f'<path d="M{x + 7:g} {y + 6:g}h4.2" stroke="{colour}" stroke-width="1.9" stroke-dasharray="2 1.4"/>'
        f'<path d="M{x + 11.4:g} {y + 6:g}h5M{x + 12.2:g} {y + 6:g}v3.4M{x + 15.6:g} {y + 6:g}v3.4" fill="none" '
        f'stroke="{colour}" stroke-width="1.9"/>'
    )


def mask(x: float, y: float, colour: str) -> str:
    """A mask for the eyes, 17 wide: who holds one hides its numbers until all masks cancel."""
    return (
        f'<path d="M{x + 0.5:g} {y + 4:g}q4 -1.6 8 0.6q4 -2.2 8 -0.6q0.6 6.4 -4.2 6.4q-2.6 0 -3.8 -2.4'
        f'q-1.2 2.4 -3.8 2.4q-4.8 0 -4.2 -6.4z" fill="none" stroke="{colour}" stroke-width="1.5" '
        'stroke-linejoin="round"/>'
        f'<path d="M{x + 3.6:g} {y + 6.4:g}h2.6M{x + 10.8:g} {y + 6.4:g}h2.6" stroke="{colour}" stroke-width="1.5"/>'
    )


ICONS: dict[str, tuple[Icon, float]] = {
    "public key": (padlock, 12),
    "secret key": (secret_key, 17),
    "key share": (key_share, 17),
    "mask secrets": (mask, 17),
}
