"""How each kind of value comes apart into facts and parts, and together again; here containers.

A kind whose values may be part of themselves, such as a list, makes an empty one first and fills it when its parts
are there. Shared parts stay shared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from fedlab_nb.flower.codec.allowed import Allowed
from fedlab_nb.flower.codec.words import unreadable

Buffer = bytes | memoryview
Apart = tuple[Any, Sequence[object]]
"""Facts in JSON's terms, and parts, which may be anything that can be sent."""


@dataclass
class Out:
    """What a message that is written is made of besides its values: ``segments`` of bytes.

    ``where`` says in words which part of the value is being written.
    """

    allowed: Allowed
    segments: list[Buffer] = field(default_factory=list)
    where: Callable[[], str] = str

    def store(self, data: Buffer) -> int:
        """The number under which the other side finds these bytes."""
        self.segments.append(data)
        return len(self.segments) - 1


@dataclass
class In:
    """The segments of a message that is read; each is taken once, so that little cannot become much."""

    allowed: Allowed
    segments: list[memoryview | None]

    def take(self, number: object) -> memoryview:
        """The bytes under this number.

        Raises:
            SettingError: if there are none, or they were taken already.
        """
        if type(number) is int and 0 <= number < len(self.segments):
            data, self.segments[number] = self.segments[number], None
            if data is not None:
                return data
        raise unreadable("it lacks some of its bytes")


@dataclass(frozen=True)
class Kind:
    """A kind of value: ``apart`` gives facts and parts, ``finish(shell, facts, parts, ...)`` makes the value of them.

    ``shell`` makes an empty value, which its own parts may hold; without one, ``finish`` is given None.
    """

    apart: Callable[[Any, Out], Apart]
    finish: Callable[[Any, Any, list[Any], In], object]
    shell: Callable[[Any, In], object] | None = None


def _fill_list(shell: list[Any], _: object, parts: list[Any], __: In) -> object:
    shell.extend(parts)
    return shell


def _fill_dict(shell: dict[Any, Any], _: object, parts: list[Any], __: In) -> object:
    shell.update(zip(parts[::2], parts[1::2], strict=True))
    return shell


def _fill_set(shell: set[Any], _: object, parts: list[Any], __: In) -> object:
    shell.update(parts)
    return shell


CONTAINERS: dict[type, tuple[str, Kind]] = {
    list: ("list", Kind(lambda v, _: (None, v), _fill_list, lambda *_: [])),
    dict: ("dict", Kind(lambda v, _: (None, [x for pair in v.items() for x in pair]), _fill_dict, lambda *_: {})),
    set: ("set", Kind(lambda v, _: (None, [*v]), _fill_set, lambda *_: set())),
    tuple: ("tuple", Kind(lambda v, _: (None, v), lambda _, __, parts, ___: tuple(parts))),
    frozenset: ("frozenset", Kind(lambda v, _: (None, [*v]), lambda _, __, parts, ___: frozenset(parts))),
    slice: ("slice", Kind(lambda v, _: (None, [v.start, v.stop, v.step]), lambda _, __, parts, ___: slice(*parts))),
    range: ("range", Kind(lambda v, _: (None, [v.start, v.stop, v.step]), lambda _, __, parts, ___: range(*parts))),
    MappingProxyType: (
        "view",
        Kind(lambda v, _: (None, [dict(v)]), lambda _, __, parts, ___: MappingProxyType(*parts)),
    ),
}
