"""The picture of who holds which key, and what passes between whom: small enough for a column of a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Literal, NamedTuple

from fedlab_nb.units import counted
from fedlab_nb.view.diagram import KEEPER, OWNER, PAPER, SERVER, TARGET
from fedlab_nb.view.draw.letters import clean, text
from fedlab_nb.view.icons import ICONS, secret_key
from fedlab_nb.view.style import MIDDLE

Role = Literal["owner", "server", "key holder", "nobody"]
Travels = Literal["readable", "sealed", "masked"]

NARROW, WIDE = 168, 420
# Dark enough to be seen on white paper, light enough on dark paper, as the marks of sealed and readable things.
_SEALED, _READABLE = "#b3589a", "#c07a1a"
_BOX, _DOTS, _EYE, _PLUS = 42, 22, 17, 13


class Keys(NamedTuple):
    """One party: its name, its role, what it holds (names of ``view.icons``), and whether it reads single updates.

    The role "nobody" stands for a key that no party has.
    """

    party: str
    role: Role
    holds: tuple[str, ...] = ()
    reads: bool = False


class Route(NamedTuple):
    """The one message that a picture is about."""

    sender: str
    receiver: str
    sealed: bool


class _Box(NamedTuple):
    """Where a party stands."""

    x: float
    y: float
    w: float
    h: float

    @property
    def middle(self) -> float:
        return self.x + self.w / 2


class _Sheet(NamedTuple):
    """The paper: how wide, where owners stand and how tall their boxes are, where the others stand."""

    wide: int
    top: float
    owner: float
    low: float

    @classmethod
    def of(cls, keys: Sequence[Keys], route: Route | None) -> _Sheet:
        """Room above the owners for ties between them, or for a message from one to another."""
        if route is None:
            return cls(NARROW, 32.0, 32.0, 104.0)
        owners = {k.party for k in keys if k.role == "owner"}
        top = 42.0 if {route.sender, route.receiver} <= owners else 18.0
        return cls(WIDE, top, _BOX, top + _BOX + 58.0)


def keyring_words(keys: Sequence[Keys], travels: Travels, route: Route | None = None) -> str:
    """The picture in words: for screen readers, and where there is no picture."""
    owners = [k for k in keys if k.role == "owner"]
    held = dict.fromkeys(k.holds for k in owners)
    each = " or ".join(_material(holds) for holds in held)
    lines = [f"{counted(len(owners), 'owner')}, each with {each}, and what each sends is {travels}"]
    lines += [
        f"nobody has the whole {_material(k.holds)}"
        if k.role == "nobody"
        else f"the {k.role} has {_material(k.holds)}" + (" and reads every single update" if k.reads else "")
        for k in keys
        if k.role != "owner"
    ]
    if route:
        how = "sealed" if route.sealed else "readable"
        lines.append(f"this message goes {how} from {route.sender} to {route.receiver}")
    said = "; ".join(lines)
    return clean(said[0].upper() + said[1:] + ".")


def keyring_svg(keys: Sequence[Keys], travels: Travels, route: Route | None = None) -> str:
    """Parties with the keys that they hold, as one SVG of plain shapes and text, readable on light and on dark paper.

    Without a ``route`` it is narrow and shows owners' updates on their way to the server: a ring for what can be read,
    a diamond for what is sealed or masked. With one it is wide, and an arrow shows the way of that message.
    """
    sheet = _Sheet.of(keys, route)
    places, gap = _places(keys, sheet, () if route is None else route[:2])
    drawn = [k for k in keys if k.party in places]
    owners = [k for k in drawn if k.role == "owner"]
    parts = [_ties([places[k.party].middle for k in owners], sheet)] if travels == "masked" else []
    parts += [_party(k, places[k.party], named=route is not None or k.role != "owner") for k in drawn]
    if gap is not None:
        parts += [f'<circle cx="{gap + 5 * i:g}" cy="{sheet.top + sheet.owner / 2:g}" r="1.6"/>' for i in (-1, 0, 1)]
    if route is None:
        number = sum(k.role == "owner" for k in keys)
        parts.append(text(0, 11, counted(number, "owner"), size=11.5, weight=600))
        parts += _updates(owners, drawn, places, travels)
    elif route.sender in places and route.receiver in places:
        parts.append(_way(places[route.sender], places[route.receiver], route, sheet))
    said = escape(keyring_words(keys, travels, route), quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {sheet.wide} {sheet.low + _BOX + 1:g}" width="100%" '
        f'role="img" aria-label="{said}" font-family="system-ui,-apple-system,Segoe UI,sans-serif" fill="{MIDDLE}">'
        f"{''.join(parts)}</svg>"
    )


def _material(holds: Iterable[str]) -> str:
    return " and ".join(holds) or "no key"


def _places(keys: Sequence[Keys], sheet: _Sheet, needed: Sequence[str]) -> tuple[dict[str, _Box], float | None]:
    """Where each party stands that is drawn, and where dots stand for owners that are not."""
    names = [k.party for k in keys if k.role == "owner"]
    most, space = (3, 8.0) if sheet.wide == NARROW else (4, 14.0)
    # Those that the message is about come first, then the last one, which closes the row, then those from the front.
    wanted = list(dict.fromkeys([*(n for n in needed if n in names), names[-1], *names]))[:most]
    shown = [name for name in names if name in wanted]
    hidden = _DOTS if len(shown) < len(names) else 0
    box = (sheet.wide - hidden - space * (len(shown) - 1)) / max(len(shown), 2 + (sheet.wide == WIDE))
    places, x = {}, (sheet.wide - hidden - len(shown) * (box + space) + space) / 2
    for name in shown:
        if hidden and name == shown[-1]:
            x += hidden
        places[name] = _Box(x, sheet.top, box, sheet.owner)
        x += box + space
    gap = places[shown[-1]].x - (hidden + space) / 2 if hidden else None
    below, box = [k for k in keys if k.role != "owner"], 0.45 * sheet.wide
    for k, start in zip(below, (0.0, sheet.wide - box), strict=False):
        places[k.party] = _Box(start, sheet.low, box, _BOX)
    return places, gap


def _party(keys: Keys, at: _Box, *, named: bool) -> str:
    """One party: its name, and what it holds."""
    if keys.role == "nobody":
        return _nobody(keys, at)
    colour = {"owner": OWNER, "server": TARGET if keys.reads else SERVER, "key holder": KEEPER}[keys.role]
    drawn = [ICONS[name] for name in keys.holds if name in ICONS] + ([(_eye, _EYE)] if keys.reads else [])
    if keys.role == "server" and not keys.reads:
        drawn.append((_plus, _PLUS))
    parts = [f'<rect x="{at.x:g}" y="{at.y:g}" width="{at.w:g}" height="{at.h:g}" rx="7" fill="{colour}"/>']
    if keys.role == "owner":
        rows = "".join(f"M{at.x:g} {at.y + at.h * share:.1f}h{at.w:g}" for share in (1 / 3, 2 / 3))
        rows += "".join(f"M{at.x + at.w * share:.1f} {at.y:g}v{at.h:g}" for share in (0.25, 0.5, 0.75))
        parts.append(f'<path d="{rows}" stroke="{PAPER}" stroke-opacity=".16" fill="none"/>')
    if named:
        high = at.y + (15 if drawn else at.h / 2 + 4)
        parts.append(
            text(at.middle, high, keys.party, size=10.5, anchor="middle", weight=600, fill=PAPER, room=at.w - 4)
        )
    x = at.middle - (sum(room for _, room in drawn) + 6 * (len(drawn) - 1)) / 2
    for icon, room in drawn:
        parts.append(icon(x, at.y + (21 if named else at.h / 2 - 7.5), PAPER))
        x += room + 6
    return f"<g>{''.join(parts)}</g>"


def _nobody(keys: Keys, at: _Box) -> str:
    """The place of a key holder that there is not."""
    return (
        f'<g><rect x="{at.x + 1:g}" y="{at.y + 1:g}" width="{at.w - 2:g}" height="{at.h - 2:g}" rx="7" fill="none" '
        f'stroke="{MIDDLE}" stroke-width="1.3" stroke-dasharray="3 4"/>'
        + text(at.middle, at.y + 15, keys.party, size=10.5, anchor="middle", weight=600, room=at.w - 4)
        + secret_key(at.middle - 8.5, at.y + 21, MIDDLE)
        + f'<path d="M{at.middle - 12:g} {at.y + 35:g}l24 -15" stroke="{_READABLE}" stroke-width="2"/></g>'
    )


def _updates(owners: Sequence[Keys], keys: Sequence[Keys], places: dict[str, _Box], travels: Travels) -> list[str]:
    """Lines from the owners to the server with what travels on them, and between server and key holder."""
    server = places[next(k.party for k in keys if k.role == "server")]
    spread = [server.middle + 9 * (i - (len(owners) - 1) / 2) for i in range(len(owners))]
    ends = [(places[k.party].middle, low) for k, low in zip(owners, spread, strict=True)]
    top, low = places[owners[0].party].y + places[owners[0].party].h + 3, server.y - 3
    lines = "".join(f"M{a:g} {top:g}L{b:g} {low:g}" for a, b in ends)
    holder = next((places[k.party] for k in keys if k.role == "key holder"), None)
    if holder:
        lines += f"M{server.x + server.w + 3:g} {server.y + server.h / 2:g}H{holder.x - 3:g}"
    middle, sealed = (top + low) / 2, travels != "readable"
    start = sum(ends[-1]) / 2 + 10
    colour = _SEALED if sealed else _READABLE
    return [
        f'<path d="{lines}" stroke="{MIDDLE}" stroke-width="1.4" fill="none"/>',
        *(_thing((a + b) / 2, middle, sealed=sealed) for a, b in ends),
        text(start, middle + 4, travels, size=11, weight=600, fill=colour, room=NARROW - start),
    ]


def _thing(x: float, y: float, *, sealed: bool) -> str:
    """What is on the way: a diamond if it is sealed or masked, a ring if everybody can read it."""
    if sealed:
        return f'<path d="M{x:g} {y - 7:g}l6.5 7l-6.5 7l-6.5 -7z" fill="{_SEALED}"/>'
    return f'<circle cx="{x:g}" cy="{y:g}" r="4.6" fill="none" stroke="{_READABLE}" stroke-width="2.6"/>'


def _ties(xs: Sequence[float], sheet: _Sheet) -> str:
    """Arcs between owners that share a secret, each with each other."""
    pairs = [(a, b) for i, a in enumerate(xs) for b in xs[i + 1 :]]
    low = sheet.top - 1
    lines = "".join(f"M{a:g} {low:g}Q{(a + b) / 2:g} {low - min((b - a) / 4.4, 28):g} {b:g} {low:g}" for a, b in pairs)
    return f'<path d="{lines}" stroke="{_SEALED}" stroke-width="1.5" fill="none" stroke-dasharray="3 2.4"/>'


def _way(start: _Box, end: _Box, route: Route, sheet: _Sheet) -> str:
    """The arrow of one message, what it carries, and whoever listens on its way."""
    colour = _SEALED if route.sealed else _READABLE
    across = (start.middle + end.middle) / 2
    if start.y != end.y:
        way = 1 if end.y > start.y else -1
        a, b = (start.y + start.h + 3, end.y - 3) if way > 0 else (start.y - 3, end.y + end.h + 3)
        x, y = across, (a + b) / 2
        line, head = (
            f"M{start.middle:g} {a:g}L{end.middle:g} {b - 5 * way:g}",
            f"{end.middle:g} {b:g}l-5 {-8 * way}h10z",
        )
    elif start.y == sheet.top:
        x, y = across, sheet.top - 16
        line = f"M{start.middle:g} {sheet.top - 2:g}Q{across:g} {sheet.top - 30:g} {end.middle:g} {sheet.top - 5:g}"
        head = f"{end.middle:g} {sheet.top:g}l-5 -8h10z"
    else:
        way = 1 if end.x > start.x else -1
        a, b = (start.x + start.w + 3, end.x - 3) if way > 0 else (start.x - 3, end.x + end.w + 3)
        x, y = (a + b) / 2, start.y + start.h / 2
        line, head = f"M{a:g} {y:g}H{b - 6 * way:g}", f"{b:g} {y:g}l{-8 * way} -5v10z"
    return (
        f'<g><path d="{line}" stroke="{colour}" stroke-width="2.6" fill="none"/><path d="M{head}" fill="{colour}"/>'
        f"{_listener(x, y, sheet, level=start.y == end.y)}{_thing(x, y, sealed=route.sealed)}</g>"
    )


def _listener(x: float, y: float, sheet: _Sheet, *, level: bool) -> str:
    """The eye of whoever listens, apart from the arrow, and what it looks at."""
    if level:
        left, high = x - 42, y - 36 if y > sheet.low else y - 24
        sight = f"M{left + 8.5:g} {high + 14:g}L{x:g} {y:g}"
    else:
        # The arrow leans away from the corner at the foot of the further side.
        right = x < sheet.wide / 2
        left, high = (sheet.wide - 88 if right else 2.0), sheet.low - 19
        sight = f"M{left + (-2 if right else 88):g} {high + 7:g}L{x:g} {y:g}"
    return (
        f'<path d="{sight}" stroke="{MIDDLE}" stroke-width="1.2" stroke-dasharray="1.5 3" fill="none"/>'
        + _eye(left, high, MIDDLE)
        + text(left + 22, high + 11, "on the wire", size=11)
    )


def _eye(x: float, y: float, colour: str) -> str:
    """An open eye, 17 wide: who reads what passes."""
    return (
        f'<path d="M{x:g} {y + 7:g}q8.5 -11 17 0q-8.5 11 -17 0z" fill="none" stroke="{colour}" stroke-width="1.6" '
        f'stroke-linejoin="round"/><circle cx="{x + 8.5:g}" cy="{y + 7:g}" r="2.7" fill="{colour}"/>'
    )


def _plus(x: float, y: float, colour: str) -> str:
    """A plus, 13 wide: who adds, and can do nothing else."""
    return f'<path d="M{x + 6.5:g} {y + 1:g}v12M{x + 0.5:g} {y + 7:g}h12" stroke="{colour}" stroke-width="2.2"/>'
