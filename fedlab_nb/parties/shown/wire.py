"""One message on the wire: its way, and what each party can read of it, from the message and the scheme in force."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fedlab_nb.cards import folded, image, marked, one_line, pairs_html, panel, shown
from fedlab_nb.channel import HANDSHAKE, Encryption
from fedlab_nb.channel.compare import ChannelComparison, compare_channels, keyring, scheme_name, travels
from fedlab_nb.channel.compare.card import comparison_html, found_html, with_sheet
from fedlab_nb.crypto import CKKS, SecAgg
from fedlab_nb.crypto.seal import KEY_HOLDER, SERVER
from fedlab_nb.errors import SettingError
from fedlab_nb.parties.columns.fitting import is_vertical
from fedlab_nb.parties.federation import Federation
from fedlab_nb.parties.shown.columns import read_by
from fedlab_nb.parties.shown.kinds import ANOTHER, HIDDEN_BY, HOLDER, MASKED, OF_MASKS, WITHOUT
from fedlab_nb.records import Message, Peek
from fedlab_nb.units import bytes_text, counted, listed, times_text
from fedlab_nb.view.keyring import Route, keyring_svg, keyring_words

if TYPE_CHECKING:
    import pandas as pd

LISTENER = "whoever listens on the wire"
# The comparison below a message runs while a reader waits.
MOST_NUMBERS, MOST_OWNERS = 4096, 5
_MOST_NAMES = 3

WORDS = {
    "own": ("●", "its own", "fl-good"),
    "reads": ("○", "reads it", "fl-maybe"),
    "sealed": ("◆", "cannot read it", "fl-seal"),
    "together": ("◐", "only with all others", "fl-seal"),
    "could": ("✕", "could read it", "fl-bad"),
    "never": ("–", "never gets it", "fl-soft"),
}


@dataclass(frozen=True)
class Sight:
    """What one party, or some that stand alike, can do with a message: a word of ``WORDS``, why, and what is found."""

    who: str
    word: str
    why: str
    found: Peek | None = None


@dataclass(frozen=True, repr=False)
class WireView:
    """One message with what each party can read of it: shows as a card, ``.frame()`` gives it as a table."""

    message: Message
    owners: tuple[str, ...]
    scheme: Encryption | None
    sights: tuple[Sight, ...]
    of_columns: bool = False

    @property
    def numbers(self) -> int:
        """How many numbers it holds, in the clear or sealed; 0 for keys, signatures, shares and lists."""
        peek = self.message.peek
        if peek.readable and isinstance(peek.head, str):
            return 0
        return math.prod(peek.shape)

    def frame(self) -> pd.DataFrame:
        """One row for each party, or for those that stand alike: what it can do, why, and what it finds."""
        import pandas as pd

        rows = [(s.who, WORDS[s.word][1], s.why, str(s.found or "")) for s in self.sights]
        return pd.DataFrame(rows, columns=["who", "can", "why", "finds"]).set_index("who")

    def comparison(self) -> ChannelComparison | None:
        """As many invented numbers (at most 4,096, of 5 owners) in several ways; None where nothing is to be added."""
        if not self.numbers or self.of_columns:
            return None
        return _compared(min(len(self.owners), MOST_OWNERS), min(self.numbers, MOST_NUMBERS), self.scheme)

    def __repr__(self) -> str:
        m = self.message
        able = listed(s.who for s in self.sights if s.word in ("own", "reads")) or "nobody alone"
        return one_line(f"WireView of message {m.number}: {m.kind} from {m.sender!r} to {m.receiver!r}, read by {able}")

    def _repr_html_(self) -> str:
        return wire_card(self)


def wire(federation: Federation, number: int) -> WireView:
    """What each party can read of message ``number`` of the federation's ledger.

    Raises:
        SettingError: there is no such message.
    """
    messages = federation.ledger.messages
    if not isinstance(number, int | np.integer) or not 0 <= number < len(messages):
        there = f"0 to {len(messages) - 1}" if messages else "none yet: nothing has crossed"
        raise SettingError(
            f"There is no message {number!r} in the ledger of this federation ({there}).",
            "The wire shows what really crossed between parties, each message under its number in the ledger.",
            "Take a number from federation.seen_by('server').frame(), after a first round.",
        )
    message, scheme = messages[number], federation.house.encrypt
    vertical = is_vertical(federation.schema)
    of_columns = message.encrypted and vertical
    told = partial(read_by, message=message, federation=federation) if of_columns else None
    masked = message.kind in OF_MASKS or MASKED in message.peek.note
    if masked and not of_columns and not isinstance(scheme, SecAgg):
        # Numbers too wide for shares of a key go under masks that only all owners can take off.
        scheme = SecAgg(threshold=max(len(federation.names), 2))
    keys = "masks" if isinstance(scheme, SecAgg) else scheme.keys if scheme else ""
    copies = frozenset(m.receiver for m in messages if _what(m) == _what(message))
    case = _Case(message, keys if message.encrypted else "", federation.names, copies, _opened(message, messages), told)
    sights = tuple(_sights(case, scheme))
    return WireView(replace(message, payload=None), federation.names, scheme, sights, vertical)


def _opened(message: Message, messages: tuple[Message, ...]) -> Peek | None:
    """What came out of a sealed sum, where somebody opened it and sent it on."""
    later = (m for m in messages[message.number :] if m.round == message.round and m.kind == f"{message.kind}, opened")
    return next((m.peek for m in later), None) if message.encrypted else None


def _what(message: Message) -> tuple[object, ...]:
    """What two messages have in common that are copies of one thing."""
    return message.round, message.sender, message.kind, message.content


class _Case(NamedTuple):
    """A message with what decides who can read it.

    ``hidden`` says what hides it ("" if nothing does), ``copies`` who is sent the same thing, ``opened`` what came out
    of a sealed sum. ``told`` says what a party can do with it where owners hold different columns.
    """

    message: Message
    hidden: str
    owners: tuple[str, ...]
    copies: frozenset[str]
    opened: Peek | None
    told: Callable[[str], tuple[str, str]] | None


def _sights(case: _Case, scheme: Encryption | None) -> Iterator[Sight]:
    """What the parties can do with a message, in order: owners, server, key holder, whoever listens."""
    tell = _readable if not case.message.encrypted else _sealed if case.hidden or case.told else _hidden
    ends = (case.message.sender, case.message.receiver)
    for name in (n for n in case.owners if n in ends):
        yield tell(name, case)
    others = [n for n in case.owners if n not in ends]
    alike = [[n for n in others if (n in case.copies) == copied] for copied in (True, False)]
    for names in filter(None, alike):
        many = f"the other {len(names)} owners" if names == others else f"{len(names)} other owners"
        yield replace(tell(names[0], case), who=listed(names) if len(names) <= _MOST_NAMES else many)
    yield tell(SERVER, case)
    if scheme is not None and not isinstance(scheme, SecAgg) and scheme.keys == "authority":
        yield tell(KEY_HOLDER, case)
    yield replace(tell(LISTENER, case), who=LISTENER)


def _readable(party: str, case: _Case) -> Sight:
    """A message that anyone who gets hold of it can read."""
    message = case.message
    about = "alone it tells nothing of any owner's numbers" if message.kind in HANDSHAKE else "nothing hides it"
    if party == message.sender:
        return Sight(party, "own", "it sends it", message.peek)
    if party == message.receiver:
        return Sight(party, "reads", f"it is sent to it, and {about}", message.peek)
    if party == LISTENER:
        return Sight(party, "reads", f"{about}; only a sealed connection, such as TLS, would keep it out", message.peek)
    if party in case.copies:
        return Sight(party, "reads", "each is sent a copy for itself")
    return Sight(party, "never", "it is sent to others")


def _sealed(party: str, case: _Case) -> Sight:
    """A message that cannot be read by whoever has no key for it."""
    message, hidden = case.message, case.hidden
    if not message.plain_nbytes:
        return _secret(party, message)
    if case.told is not None:
        return _of_columns(party, case, *case.told(party))
    if party in (LISTENER, SERVER):
        return Sight(party, "sealed", WITHOUT[hidden], message.peek)
    if party == message.sender:
        return Sight(party, "own", "these are its own numbers, hidden before they leave it")
    if message.sender == SERVER and hidden == "threshold":
        share = f"it has one of {counted(len(case.owners), 'share')} of the key"
        if party == message.receiver:
            return Sight(party, "together", share, message.peek)
        return Sight(party, "together", f"each gets a copy of the sum for itself, and {share.removeprefix('it ')}")
    if party == message.receiver:
        return Sight(party, "reads", "it is a sum, and it has the secret key", case.opened)
    return Sight(party, *(HOLDER if party == KEY_HOLDER else ANOTHER[hidden]))


def _hidden(party: str, case: _Case) -> Sight:
    """A message that is hidden by something else than the scheme in force."""
    ends = {case.message.sender: "own", case.message.receiver: "sealed", SERVER: "sealed", LISTENER: "sealed"}
    return Sight(party, ends.get(party, "never"), case.message.peek.note or "it was sealed before it was sent")


def _of_columns(party: str, case: _Case, word: str, why: str) -> Sight:
    """A message between owners of different columns."""
    return Sight(party, word, why, {"sealed": case.message.peek, "reads": case.opened}.get(word))


def _secret(party: str, message: Message) -> Sight:
    """Shares and keys that are encrypted for one owner each; they hold no numbers."""
    note = message.peek.note
    if party == LISTENER:
        return Sight(party, "sealed", note, message.peek)
    if party == SERVER and party in (message.sender, message.receiver):
        return Sight(party, "sealed", f"it passes them on: {note}", message.peek)
    if party == message.sender:
        return Sight(party, "own", f"it made them: {note}")
    if party == message.receiver:
        return Sight(party, "reads", f"{note}; no numbers of an owner are in it")
    return Sight(party, "never", "it is sent to others, and what is in it is encrypted for others")


@lru_cache(maxsize=8)
def _compared(owners: int, numbers: int, scheme: Encryption | None) -> ChannelComparison:
    usual: list[Encryption | None] = [None, SecAgg(), CKKS(), CKKS(keys="threshold")]
    alike = isinstance(scheme, SecAgg) or scheme in usual
    return compare_channels(owners, numbers, schemes=usual if alike else [*usual, scheme])


def wire_card(view: WireView) -> str:
    """The card of one message on the wire: its way as a picture, who reads what, and the same size in other ways."""
    m = view.message
    size = bytes_text(m.nbytes)
    if m.encrypted and m.plain_nbytes:
        size += f", {times_text(m.nbytes / m.plain_nbytes)} the {bytes_text(m.plain_nbytes)} in the clear"
    facts = [
        ("Way", f"{m.sender} → {m.receiver}"),
        ("Round", m.round or "0, before the first one"),
        ("Holds", counted(view.numbers, "number") if view.numbers else "no numbers of an owner"),
        ("Size", size),
        ("Hidden by", _hidden_by(view)) if view.of_columns else ("Scheme", scheme_name(view.scheme)),
    ]
    body = (
        f'<div class="fl-pair">{_picture(view)}<div>{pairs_html(facts)}</div></div>'
        f'<div class="fl-vs"><table class="fl-wire"><tbody>{"".join(map(_line, view.sights))}</tbody></table></div>'
        + _below(view.comparison())
    )
    return with_sheet(panel(f"On the wire: message {m.number}, {m.kind}", body, note=_NOTE))


def _picture(view: WireView) -> str:
    """Who holds which key, and the message's way; none where owners of columns make keys as a method needs them."""
    if view.of_columns:
        return ""
    m, held, how = view.message, keyring(view.scheme, view.owners), travels(view.scheme)
    route = Route(m.sender, m.receiver, m.encrypted)
    drawn = image(keyring_svg(held, how, route), keyring_words(held, how, route))
    return f'<div class="fl-diagram">{drawn}</div>'


def _hidden_by(view: WireView) -> str:
    """What hides a message between owners of different columns, whatever scheme is in force."""
    m = view.message
    if not m.encrypted:
        return "nothing"
    return HIDDEN_BY.get(m.kind) or (scheme_name(view.scheme) if m.plain_nbytes else m.peek.note)


def _line(sight: Sight) -> str:
    """One party's line: who, what it can do, why, and what it finds."""
    who = shown(sight.who[:1].upper() + sight.who[1:])
    found = found_html(sight.found) if sight.found else ""
    return (
        f'<tr><th scope="row">{who}</th><td>{marked(*WORDS[sight.word])}</td><td>{shown(sight.why)}</td>'
        f"<td>{found}</td></tr>"
    )


_NOTE = (
    "Worked out from this message and the federation's scheme, for parties that keep to the protocol. In a notebook "
    "all of them live in one process, so that their walls are simulated."
)


def _below(compared: ChannelComparison | None) -> str:
    """The same size in other ways, to be opened."""
    if compared is None:
        return ""
    sent = f"{counted(compared.numbers, 'invented number')} from each of {compared.owners} owners"
    summary = f"Sent in {len(compared.columns)} ways: {sent}"
    return folded(summary, comparison_html(compared))
