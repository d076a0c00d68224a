"""Which classes and functions of a user's own are in an object, and the same object made of those of another module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from types import FunctionType
from typing import Any

Definition = type | FunctionType


def definitions(value: object) -> list[Definition]:
    """The classes and functions, not of this package, that ``value`` is made of, each once, in order.

    Objects of other libraries are not looked into: only this package's and the user's have parts that are exported.
    """
    return list(dict.fromkeys(_found(value, set())))


def _found(value: object, seen: set[int]) -> Iterator[Definition]:
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, Definition):
        if not _ours(value.__module__) and value.__module__ != "builtins":
            yield value
        return
    if not isinstance(value, tuple | list | dict | partial) and hasattr(value, "__dict__"):
        yield from _found(type(value), seen)
    for part in _parts(value):
        yield from _found(part, seen)


def _parts(value: object) -> list[object]:
    if isinstance(value, partial):
        return [value.func, *value.args, *value.keywords.values()]
    if isinstance(value, dict):
        return [*value, *value.values()]
    if isinstance(value, tuple | list):
        return [*value]
    return [*vars(value).values()] if hasattr(value, "__dict__") else []


def rebound(value: Any, other: Callable[[Definition], Any]) -> Any:
    """``value`` with ``other(definition)`` in place of each class and function of a user's own.

    Objects are made anew without calling them: they were checked where they were made.
    """
    if not definitions(value):
        return value
    if isinstance(value, Definition):
        return other(value)
    again = partial(rebound, other=other)
    if isinstance(value, partial):
        return partial(again(value.func), *map(again, value.args), **{k: again(v) for k, v in value.keywords.items()})
    if isinstance(value, dict):
        return {again(key): again(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return type(value)([again(part) for part in value])
    made = object.__new__(again(type(value)))
    vars(made).update({name: again(part) for name, part in vars(value).items()})
    return made


def _ours(module: str) -> bool:
    return module == "fedlab_nb" or module.startswith("fedlab_nb.")
