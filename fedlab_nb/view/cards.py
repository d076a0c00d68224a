"""The cards of a run: who sees what, and who could learn what; as HTML and as plain text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fedlab_nb.cards import Html, framed, marked, panel, table_html
from fedlab_nb.records import Threat

ACCESS_WORDS = {
    "own": ("●", "own", "fl-good"),
    "reads": ("○", "reads", "fl-maybe"),
    "sealed": ("◆", "sealed", "fl-seal"),
    "never": ("–", "never", "fl-soft"),
}
THREAT_WORDS = {True: ("✓", "safe", "fl-good"), False: ("✕", "exposed", "fl-bad"), None: ("?", "depends", "fl-maybe")}


def access_word(word: str) -> Html:
    """What a party can do with a kind of thing: symbol and word, never colour alone."""
    return marked(*ACCESS_WORDS[word])


def threat_html(threats: Iterable[Threat]) -> str:
    """The lines of the threat card without a frame: symbol and word, never colour alone."""
    rows = [(marked(*THREAT_WORDS[t.safe]), t.who, t.could_read) for t in _worst_first(threats)]
    return table_html(("", "Who", "could learn"), rows)


def _worst_first(threats: Iterable[Threat]) -> list[Threat]:
    return sorted(threats, key=lambda t: {False: 0, None: 1, True: 2}[t.safe])


def threat_card(threats: Sequence[Threat], note: str = "") -> str:
    """The threat card of one run: who, alone or together, could learn what; what is exposed comes first."""
    return framed(panel("Who could learn what, with these settings", threat_html(threats), note=note))


def threat_text(threats: Sequence[Threat], note: str = "") -> str:
    """``threat_card`` for a terminal.

    >>> print(threat_text([Threat("the server", "one owner's update", True)]))
    Who could learn what, with these settings
      ✓ safe      the server: one owner's update
    """
    lines = ["Who could learn what, with these settings"]
    for threat in _worst_first(threats):
        symbol, word, _ = THREAT_WORDS[threat.safe]
        lines.append(f"  {symbol} {word:<10}{threat.who}: {threat.could_read}")
    return "\n".join([*lines, note] if note else lines)
