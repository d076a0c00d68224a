"""Any value that both sides understand, as bytes and back: data crosses, code is named.

A message is a mark, the length of its text, the text (JSON, a flat list of values whose parts are numbers of other
values), and the segments of bytes of arrays. Whoever reads it is told beforehand what it may name (see ``allowed``).
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import FunctionType
from typing import Any, cast

import numpy as np

from fedlab_nb.errors import FedLabError
from fedlab_nb.flower.codec.allowed import Allowed
from fedlab_nb.flower.codec.code import CODE, FOUND, INNER, NAMED, is_named
from fedlab_nb.flower.codec.kinds import CONTAINERS, Buffer, In, Kind, Out
from fedlab_nb.flower.codec.numbers import NUMBERS, SCALAR
from fedlab_nb.flower.codec.objects import ENUM, ERROR, OBJECT, ROW, is_row
from fedlab_nb.flower.codec.words import too_much, unreadable

MARK = b"FEDLAB1\n"
DEEPEST = 400
"""How many values may lie inside each other."""
LARGEST = 2**31
"""How many bytes a message may have, unless its reader says otherwise."""

_BY_TYPE = CONTAINERS | NUMBERS | CODE
_BY_NAME: Mapping[str, Kind] = dict([*_BY_TYPE.values(), SCALAR, ENUM, ERROR, OBJECT, ROW, INNER, NAMED])
_BY_BASE = {np.generic: SCALAR, Enum: ENUM, BaseException: ERROR}
SPECIAL = "special"
_WHOLE = 2**63


def _nothing(_: object) -> None:
    return None


@dataclass(frozen=True)
class Hooks:
    """What a side does with objects that it knows better.

    Args:
        special: asked first about every object that is no plain number or text; a tag and something to be sent in its
            place, or None.
        made: for each tag the function that makes the object of what was sent in its place.
    """

    special: Callable[[Any], tuple[str, object] | None] = _nothing
    made: Mapping[str, Callable[[Any], object]] = field(default_factory=dict)


def encode(value: object, allowed: Allowed | None = None, hooks: Hooks | None = None) -> bytes:
    """The value as bytes, which ``decode`` reads where the same code is installed.

    None, numbers, text, bytes, arrays; lists, tuples, dictionaries, sets; objects of classes of this package and of the
    app's modules, errors among them; functions that are allowed, with what they remember. Bits, types, and what is
    shared inside the value are kept.

    Raises:
        SettingError: naming what cannot be sent, and where it is.

    >>> decode(encode({"lr": 0.1, "sizes": (2, 3)}))
    {'lr': 0.1, 'sizes': (2, 3)}
    """
    return _Writer(allowed or Allowed(), (hooks or Hooks()).special).message(value)


def decode(data: Buffer, allowed: Allowed | None = None, hooks: Hooks | None = None, *, most: int = LARGEST) -> Any:
    """The value that ``encode`` made these bytes of; of a stranger's bytes nothing else is ever run or looked for.

    Raises:
        SettingError: if they are no message, more than ``most`` bytes, or name what is not allowed.

    >>> decode(b"GET /")
    Traceback (most recent call last):
    ...
    fedlab_nb.errors.SettingError: What arrived could not be read: it does not begin as a message does. ...
    """
    try:
        return _Reader(data, most, allowed or Allowed(), (hooks or Hooks()).made).value()
    except FedLabError:
        raise
    except Exception as error:  # a stranger's bytes may fail in any way
        raise unreadable(f"{type(error).__name__} while its parts were put together") from error


def decode_work(
    data: Buffer, allowed: Allowed | None = None, hooks: Hooks | None = None, *, most: int = LARGEST
) -> Callable[..., Any]:
    """Work to be called beside rows: as ``decode``, and nothing but work that is allowed.

    Raises:
        SettingError: as ``decode``, and for anything that is no such work.
    """
    allowed = allowed or Allowed()
    work = decode(data, allowed, hooks, most=most)
    allowed.check_work(work)
    return cast("Callable[..., Any]", work)


class _Writer:
    def __init__(self, allowed: Allowed, special: Callable[[Any], tuple[str, object] | None]) -> None:
        self._out, self._special = Out(allowed), special
        self._nodes: list[list[Any]] = []
        self._names: list[str] = []
        self._parents: list[int] = []
        self._depths: list[int] = []
        self._places: dict[int, int] = {}
        self._kept: list[object] = []  # alive, so that no other object gets the identity of one that was seen
        self._waiting: list[tuple[int, Sequence[object]]] = []

    def message(self, value: object) -> bytes:
        root = self._part(value, -1)
        while self._waiting:
            place, parts = self._waiting.pop()
            self._nodes[place].append([self._part(part, place) for part in parts])
        segments = self._out.segments
        sizes = [memoryview(segment).nbytes for segment in segments]
        said = {"root": root, "values": self._nodes, "sizes": sizes}
        text = json.dumps(said, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        head = text.encode("utf-8", "surrogatepass")
        return b"".join([MARK, len(head).to_bytes(8, "little"), head, *segments])

    def _part(self, value: object, parent: int) -> Any:
        """A plain value itself; of any other one, its number in a list."""
        if _is_plain(value):
            return value
        if id(value) not in self._places:
            self._places[id(value)] = place = len(self._nodes)
            self._kept.append(value)
            self._names.append(value.__qualname__ if isinstance(value, FunctionType) else type(value).__qualname__)
            self._parents.append(parent)
            self._depths.append(self._depths[parent] + 1 if parent >= 0 else 1)
            if self._depths[place] > DEEPEST:
                raise too_much(f"holds values more than {DEEPEST} deep inside each other", "no more are read")
            self._nodes.append([])
            self._take_apart(value, place)
        return [self._places[id(value)]]

    def _take_apart(self, value: object, place: int) -> None:
        special = self._special(value)
        parts: Sequence[object]
        if special is not None:
            node, parts = [SPECIAL, special[0]], [special[1]]
        else:
            name, kind = _kind_of(value)
            self._out.where = lambda: " > ".join(self._path(place))
            facts, parts = kind.apart(value, self._out)
            node = [name, facts]
        self._nodes[place] = node
        self._waiting.append((place, parts))

    def _path(self, place: int) -> Iterator[str]:
        if place >= 0:
            yield from self._path(self._parents[place])
            yield self._names[place]


def _is_plain(value: object) -> bool:
    """True for what JSON says by itself, to the last bit."""
    kind = type(value)
    if kind is int:
        return -_WHOLE <= cast("int", value) <= _WHOLE
    return value is None or kind is bool or kind is str or (kind is float and math.isfinite(cast("float", value)))


def _kind_of(value: object) -> tuple[str, Kind]:
    kind = type(value)
    if kind in _BY_TYPE:
        return _BY_TYPE[kind]
    for base, known in _BY_BASE.items():
        if isinstance(value, base):
            return known
    if isinstance(value, FunctionType):
        return NAMED if is_named(value) else INNER
    if isinstance(value, FOUND):
        return NAMED
    return ROW if is_row(kind) else OBJECT


class _Reader:
    """Makes each value after its parts, without recursion: however deep a message claims to be, no stack overflows."""

    def __init__(self, data: Buffer, most: int, allowed: Allowed, made: Mapping[str, Callable[[Any], object]]) -> None:
        head, segments = _divided(memoryview(data).cast("B"), most)
        self._in, self._made = In(allowed, [*segments]), made
        self._root, self._nodes = head["root"], head["values"]
        self._values: dict[int, Any] = {}
        self._heights: dict[int, int] = {}
        self._open: set[int] = set()

    def value(self) -> Any:
        waiting = self._below([self._root])
        while waiting:
            place = waiting[-1]
            if place in self._heights:
                waiting.pop()
            elif place in self._open:
                self._finish(waiting.pop())
            else:
                waiting += self._begin(place)
        return self._part(self._root)

    def _begin(self, place: int) -> list[int]:
        """Makes the empty value, if its kind has one; gives the parts that must be there before it can be filled."""
        self._open.add(place)
        name, facts, parts = self._nodes[place]
        shell = _BY_NAME[name].shell if name != SPECIAL else None
        if shell is not None:
            self._values[place] = shell(facts, self._in)
        return self._below(parts)

    def _below(self, parts: list[Any]) -> list[int]:
        places = [_place(part, len(self._nodes)) for part in parts if type(part) is list]
        if any(place in self._open and place not in self._values for place in places):
            raise unreadable("a value in it is part of itself")
        return [place for place in reversed(places) if place not in self._open]

    def _finish(self, place: int) -> None:
        name, facts, said = self._nodes[place]
        parts = [self._part(part) for part in said]
        below = (self._heights.get(part[0], 0) for part in said if type(part) is list)
        self._heights[place] = 1 + max(below, default=0)
        if self._heights[place] > DEEPEST:
            raise too_much(f"holds values more than {DEEPEST} deep inside each other", "no more are read")
        if name == SPECIAL:
            (inside,) = parts
            if facts not in self._made:
                raise unreadable(f"nobody here knows what {facts!r} stands for")
            self._values[place] = self._made[facts](inside)
        else:
            self._values[place] = _BY_NAME[name].finish(self._values.get(place), facts, parts, self._in)

    def _part(self, part: Any) -> Any:
        return self._values[part[0]] if type(part) is list else part


def _place(part: list[Any], number: int) -> int:
    (place,) = part
    if type(place) is not int or not 0 <= place < number:
        raise unreadable("a value in it has no place")
    return place


def _divided(data: memoryview, most: int) -> tuple[Any, Iterator[memoryview]]:
    """The text of a message, read, and its segments."""
    if data.nbytes > most:
        raise too_much(f"has {data.nbytes:,} bytes", f"at most {most:,} are read")
    begin = len(MARK) + 8
    if data[: len(MARK)] != MARK or data.nbytes < begin:
        raise unreadable("it does not begin as a message does")
    end = begin + int.from_bytes(data[len(MARK) : begin], "little")
    head = json.loads(str(data[begin:end], "utf-8", "surrogatepass"), parse_constant=_no_number)
    sizes = head["sizes"]
    if type(sizes) is not list or type(head["values"]) is not list:
        raise unreadable("it says nothing of what it holds")
    if not all(type(size) is int and size >= 0 for size in sizes) or end + sum(sizes) != data.nbytes:
        raise unreadable("it is not as long as it says")
    ends = itertools.accumulate(sizes, initial=end)
    return head, (data[a:b] for a, b in itertools.pairwise(ends))


def _no_number(text: str) -> object:
    raise unreadable(f"it has {text} where a number should be")
