"""Objects of classes that both sides have: made without calling anything of theirs, and given their values.

Neither ``__init__`` nor ``__post_init__`` runs again. They check what a person typed, where it was typed; an object
that crosses passed them there. Running them here would run code on objects whose parts are still being made, and would
protect nobody: whoever sends harmful bytes sends values that pass. What an owner insists on (bounds, clipping, noise,
its budget, what may be run) stands in the owner's own settings, and is never taken from a message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cached_property
from types import FunctionType, MemberDescriptorType
from typing import Any

from fedlab_nb.errors import FedLabError
from fedlab_nb.flower.codec.allowed import Allowed
from fedlab_nb.flower.codec.kinds import Apart, In, Kind, Out
from fedlab_nb.flower.codec.names import class_attribute, found
from fedlab_nb.flower.codec.words import kept_apart, not_found, shadowed, unknown_kind, unreadable

# What a value of an object's own must not stand in for.
_DEFINED = (FunctionType, property, staticmethod, classmethod, cached_property)
# Bases that bring no values of their own.
_NEUTRAL = {"abc", "enum", "typing"}


def check_class(cls: type, allowed: Allowed) -> None:
    """Refuse a class whose objects are no data, or that has such a class among its bases.

    Raises:
        SettingError.
    """
    allowed.check_class(cls.__module__, cls.__qualname__)
    for base in cls.__mro__[1:]:
        if base.__module__ != "builtins" and base.__module__ not in _NEUTRAL:
            allowed.check_class(base.__module__, base.__qualname__)
    if class_attribute(cls, "__del__") is not None:
        raise kept_apart(cls.__qualname__)  # it would be run when the object is let go


def class_named(facts: Sequence[str], allowed: Allowed) -> type:
    """The class of this module and name, if its objects are data.

    Raises:
        SettingError.
    """
    module, name = facts[0], facts[1]
    allowed.check_class(module, name)
    cls = found(module, name)
    if not isinstance(cls, type) or (cls.__module__, cls.__qualname__) != (module, name):
        raise not_found(module, name, "class")
    check_class(cls, allowed)
    return cls


def named(cls: type, allowed: Allowed) -> list[str]:
    """Module and name of a class whose objects are data, by which the other side finds it.

    Raises:
        SettingError.
    """
    check_class(cls, allowed)
    if found(cls.__module__, cls.__qualname__) is not cls:
        raise not_found(cls.__module__, cls.__qualname__, "class")
    return [cls.__module__, cls.__qualname__]


def _slots(cls: type) -> dict[str, MemberDescriptorType]:
    """Where objects of a class keep what is not in their dictionary, by the names that Python gives these places."""
    bases = [vars(base) for base in reversed(cls.__mro__) if base.__module__ != "builtins"]
    return {name: slot for inside in bases for name, slot in inside.items() if isinstance(slot, MemberDescriptorType)}


def _values(value: object) -> dict[str, object]:
    """All that an object keeps, by name, without what it can compute again."""
    kept = {}
    for name, slot in _slots(type(value)).items():
        try:
            kept[name] = slot.__get__(value)
        except AttributeError:
            continue  # an empty slot
    inside = vars(value) if class_attribute(type(value), "__dict__") is not None else {}
    return kept | {n: v for n, v in inside.items() if not isinstance(class_attribute(type(value), n), cached_property)}


def _check_names(cls: type, names: Sequence[str]) -> None:
    for name in names:
        if isinstance(class_attribute(cls, name), _DEFINED) or (name.startswith("__") and name.endswith("__")):
            raise shadowed(cls.__qualname__, name)


def _apart(value: object, out: Out) -> Apart:
    cls = type(value)
    if any(base.__module__ == "builtins" and base is not object for base in cls.__mro__):
        raise unknown_kind(value, out.where())
    name, values = named(cls, out.allowed), _values(value)
    _check_names(cls, [*values])
    return [*name, [*values]], [*values.values()]


def _shell(facts: list[Any], read: In) -> object:
    cls = class_named(facts, read.allowed)
    if issubclass(cls, Enum):
        raise unreadable("a value in it is none of its class")
    return object.__new__(cls)


def _fill(shell: object, facts: list[Any], parts: list[Any], _: In) -> object:
    cls, names = type(shell), facts[2]
    if is_dataclass(cls):
        missing = {f.name for f in fields(cls) if f.init} - set(names)
        if missing:
            raise unreadable(f"a {cls.__qualname__} in it lacks {min(missing)!r}")
    _set(shell, names, parts)
    return shell


def _set(shell: object, names: list[str], parts: list[Any]) -> None:
    cls = type(shell)
    _check_names(cls, names)
    slots = _slots(cls)
    for name, part in zip(names, parts, strict=True):
        if name in slots:
            slots[name].__set__(shell, part)
        else:
            # Not setattr: a class may have its own, and a frozen one refuses.
            shell.__dict__[name] = part


def _error_apart(error: FedLabError, out: Out) -> Apart:
    cls = type(error)
    if not issubclass(cls, FedLabError):
        raise unknown_kind(error, out.where())
    values = {name: v for name, v in vars(error).items() if name != "__notes__"}  # others' words may quote rows
    name = named(cls, out.allowed)
    _check_names(cls, [*values])
    return [*name, [*values]], [error.args, *values.values()]


def _error_shell(facts: list[Any], read: In) -> object:
    cls = class_named(facts, read.allowed)
    if not issubclass(cls, FedLabError):
        raise not_found(facts[0], facts[1], "error")
    builtin = next(base for base in cls.__mro__ if base.__module__ == "builtins")
    return builtin.__new__(cls)  # type: ignore[call-overload]


def _fill_error(shell: Exception, facts: list[Any], parts: list[Any], _: In) -> object:
    shell.args = tuple(parts[0])
    _set(shell, facts[2], parts[1:])
    if not all(isinstance(getattr(shell, word, None), str) for word in ("what", "why", "do")):
        raise unreadable("an error in it has no words")
    return shell


def _row_apart(value: tuple[Any, ...], out: Out) -> Apart:
    return named(type(value), out.allowed), tuple(value)


def _row(_: object, facts: list[str], parts: list[Any], read: In) -> object:
    cls = class_named(facts, read.allowed)
    if not is_row(cls) or len(cls._fields) != len(parts):  # type: ignore[attr-defined]
        raise not_found(facts[0], facts[1], "named tuple of that length")
    return tuple.__new__(cls, parts)


def is_row(cls: type) -> bool:
    """True for the class of a named tuple."""
    return issubclass(cls, tuple) and isinstance(vars(cls).get("_fields"), tuple)


def _enum_apart(value: Enum, out: Out) -> Apart:
    name = named(type(value), out.allowed)
    if type(value).__members__.get(value.name) is not value:
        raise unknown_kind(value, out.where())
    return [*name, value.name], ()


def _enum(_: object, facts: list[str], __: list[Any], read: In) -> object:
    cls = class_named(facts, read.allowed)
    if not issubclass(cls, Enum) or facts[2] not in cls.__members__:
        raise not_found(facts[0], f"{facts[1]}.{facts[2]}", "value")
    return cls.__members__[facts[2]]


OBJECT = ("object", Kind(_apart, _fill, _shell))
ERROR = ("error", Kind(_error_apart, _fill_error, _error_shell))
ROW = ("row", Kind(_row_apart, _row))
ENUM = ("enum", Kind(_enum_apart, _enum))
