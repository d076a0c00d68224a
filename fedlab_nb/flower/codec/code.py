"""Functions, by their name and place in a module that both sides have; their code stays where it is.

A function inside another one, or a lambda, has no name that leads to it. It is told by the first line of its code, by
its number among those with that name in that line, and by what it remembers of the function around it. Its code is
taken from the module's own, and is never part of a message.
"""

from __future__ import annotations

from functools import lru_cache, partial
from importlib.util import find_spec
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MethodType
from typing import Any

from fedlab_nb.flower.codec.kinds import Apart, In, Kind, Out
from fedlab_nb.flower.codec.names import found, globals_of
from fedlab_nb.flower.codec.words import code_changed, not_found, unknown_kind, unreadable


@lru_cache(maxsize=64)
def _codes(module: str) -> dict[tuple[str, int], list[CodeType]]:
    """All code of a module's file by qualified name and first line; nothing of it is run."""
    spec = find_spec(module)
    get_code = getattr(spec.loader, "get_code", None) if spec is not None else None
    whole = get_code(module) if get_code is not None else None
    codes: dict[tuple[str, int], list[CodeType]] = {}
    waiting = [whole] if isinstance(whole, CodeType) else []
    while waiting:
        inner = [code for code in waiting.pop().co_consts if isinstance(code, CodeType)]
        for code in inner:
            codes.setdefault((code.co_qualname, code.co_firstlineno), []).append(code)
        waiting += inner
    return codes


def is_named(value: Any) -> bool:
    """True if a function or class is what its module has under its name."""
    return found(value.__module__ or "", value.__qualname__) is value


def _named_apart(value: Any, out: Out) -> Apart:
    what = "class" if isinstance(value, type) else "function"
    out.allowed.check_function(value.__module__ or "builtins", value.__qualname__, what)
    if not is_named(value):
        raise not_found(value.__module__, value.__qualname__, what)
    return [value.__module__, value.__qualname__], ()


def _named(_: object, facts: list[str], __: list[Any], read: In) -> object:
    module, name = facts
    read.allowed.check_function(module, name)
    value = found(module, name)
    # It must be defined there: a module also holds what it imports from elsewhere.
    if not callable(value) or (value.__module__, value.__qualname__) != (module, name):
        raise not_found(module, name, "function")
    return value


def _inner_apart(value: FunctionType, out: Out) -> Apart:
    """Module, name, first line and number there; then defaults, and what it remembers."""
    module, code = value.__module__, value.__code__
    out.allowed.check_function(module, code.co_qualname)
    alike = _codes(module).get((code.co_qualname, code.co_firstlineno), [])
    if code not in alike or value.__globals__ is not globals_of(module):
        raise code_changed(module, code.co_qualname)
    if value.__dict__:
        raise unknown_kind(value, f"{out.where()}, which has values of its own")
    facts = [module, code.co_qualname, code.co_firstlineno, alike.index(code)]
    return facts, [value.__defaults__, value.__kwdefaults__, *(value.__closure__ or ())]


def _inner(_: object, facts: list[Any], parts: list[Any], read: In) -> object:
    module, name, line, number = facts
    read.allowed.check_function(module, name)
    namespace = globals_of(module)
    codes = _codes(module).get((name, line), [])
    if type(number) is not int or not 0 <= number < len(codes):
        raise not_found(module, f"{name} (line {line})", "function")
    defaults, by_name, *cells = parts
    made = FunctionType(codes[number], namespace, None, defaults, tuple(cells))
    made.__kwdefaults__ = by_name
    return made


def _cell_apart(value: CellType, _: Out) -> Apart:
    try:
        return None, [value.cell_contents]
    except ValueError:  # nothing is in it yet
        return None, ()


def _fill_cell(shell: CellType, _: object, parts: list[Any], __: In) -> object:
    for part in parts:
        shell.cell_contents = part
    return shell


def _method_apart(value: MethodType, out: Out) -> Apart:
    method = value.__func__
    module, name = getattr(method, "__module__", ""), getattr(method, "__qualname__", "")
    out.allowed.check_function(module, name, "method")
    if found(module, name) is not method:
        raise not_found(module, name, "method")
    return [module, name], [value.__self__]


def _method(_: object, facts: list[str], parts: list[Any], read: In) -> object:
    module, name = facts
    read.allowed.check_function(module, name, "method")
    owner, method = found(module, name.rpartition(".")[0]), found(module, name)
    (bound,) = parts
    kind = bound if isinstance(bound, type) else type(bound)
    if not isinstance(method, FunctionType) or not isinstance(owner, type) or owner not in kind.__mro__:
        raise not_found(module, name, "method")
    return MethodType(method, bound)


def _partial_apart(value: partial[Any], out: Out) -> Apart:
    if value.__dict__:
        raise unknown_kind(value, f"{out.where()}, which has values of its own")
    return None, [value.func, value.args, value.keywords]


def _partial(_: object, __: object, parts: list[Any], ___: In) -> object:
    function, args, keywords = parts
    if not callable(function) or type(args) is not tuple or type(keywords) is not dict:
        raise unreadable("a function in it is none")
    return partial(function, *args, **keywords)


FOUND = (type, BuiltinFunctionType, type(_codes))
"""Kinds of what is called that have nothing but a name: classes, what is written in C, what remembers its results."""
NAMED = ("named", Kind(_named_apart, _named))
INNER = ("inner", Kind(_inner_apart, _inner))
CODE: dict[type, tuple[str, Kind]] = {
    CellType: ("cell", Kind(_cell_apart, _fill_cell, lambda *_: CellType())),
    MethodType: ("method", Kind(_method_apart, _method)),
    partial: ("partial", Kind(_partial_apart, _partial)),
}
