"""The source of what was typed in a notebook, cut from its cells: classes and functions, and what they refer to."""

from __future__ import annotations

import ast
import builtins
import linecache
import symtable
import sys
from collections.abc import Iterable, Mapping
from types import FunctionType, ModuleType
from typing import Any

from fedlab_nb.errors import SettingError

Definition = type | FunctionType
_HEAD = '"""Models, strategies or questions of this federation, as they were typed in the notebook that exported it."""'


def source_of(wanted: Iterable[Definition], module: str = "__main__") -> str:
    """A module with these classes and functions, and all that they refer to in the notebook (``module``).

    What they refer to may be: other classes and functions of the notebook, which are cut as well; modules, and what
    modules hold, which are imported; and numbers and texts, which are written down.

    Raises:
        SettingError: naming what cannot be written as a module.
    """
    writing = _Writing(vars(sys.modules[module]), module)
    for definition in wanted:
        writing.define(definition.__name__, definition)
    parts = ["\n".join(sorted(writing.imports)), "\n".join(writing.values), *writing.bodies]
    return "\n\n\n".join([_HEAD, *filter(None, parts)]) + "\n"


class _Writing:
    """A module while it is put together: what is needed comes before what needs it."""

    def __init__(self, namespace: Mapping[str, Any], module: str) -> None:
        self._namespace, self._module = namespace, module
        self._done: set[str] = set()
        self.imports: set[str] = set()
        self.values: list[str] = []
        self.bodies: list[str] = []

    def define(self, name: str, value: Definition) -> None:
        """Write the class or function called ``name``, after what it refers to."""
        if name in self._done:
            return
        self._done.add(name)
        body = _cut(name, value)
        for other in sorted(_globals_of(body)):
            if other in self._namespace:
                self._need(other, self._namespace[other], name)
            elif not hasattr(builtins, other):
                raise _cannot(name, f"refers to {other!r}, which the notebook does not have")
        self.bodies.append(body)

    def _need(self, name: str, value: object, by: str) -> None:
        if name in self._done:
            return
        if isinstance(value, ModuleType):
            whole = value.__name__
            self.imports.add(f"import {whole}" if whole == name else f"import {whole} as {name}")
        elif isinstance(value, Definition) and value.__module__ == self._module:
            if value.__name__ != name:
                raise _cannot(by, f"refers to {name!r}, another name of {value.__name__!r}")
            self.define(name, value)
            return
        elif (place := _place(value)) is not None:
            self.imports.add(f"from {place[0]} import {place[1]}" + ("" if place[1] == name else f" as {name}"))
        elif _is_literal(value):
            self.values.append(f"{name} = {value!r}")
        else:
            raise _cannot(by, f"refers to {name!r}, an object of type {type(value).__name__}")
        self._done.add(name)


def _place(value: object) -> tuple[str, str] | None:
    """From where a value can be imported, and under which name; None if from nowhere."""
    module, name = getattr(value, "__module__", None), getattr(value, "__name__", None)
    if not isinstance(module, str) or not isinstance(name, str) or module not in sys.modules or module == "__main__":
        return None
    return (module, name) if getattr(sys.modules[module], name, None) is value else None


def _is_literal(value: object) -> bool:
    try:
        return type(ast.literal_eval(repr(value))) is type(value)
    except (ValueError, SyntaxError):
        return False


def _globals_of(body: str) -> set[str]:
    """The names that a definition takes from the module around it."""
    top = symtable.symtable(body, "cell", "exec")
    found = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_referenced()}
    waiting = list(top.get_children())
    while waiting:
        table = waiting.pop()
        found |= {symbol.get_name() for symbol in table.get_symbols() if symbol.is_global()}
        waiting += table.get_children()
    return found - {symbol.get_name() for symbol in top.get_symbols() if symbol.is_assigned()}


def _cut(name: str, value: Definition) -> str:
    """The lines that define ``name``, decorators included."""
    if "<" in value.__qualname__ or "." in value.__qualname__:
        raise _cannot(value.__qualname__, "was defined inside another definition, or without a name")
    for lines in _cells(value):
        try:
            nodes = ast.parse("".join(lines)).body
        except SyntaxError:
            continue
        for node in reversed(nodes):
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                return "".join(lines[first - 1 : node.end_lineno]).rstrip()
    raise _cannot(name, "is in no cell that can still be read")


def _cells(value: Definition) -> list[list[str]]:
    """The texts in which it may have been typed: its own cell, as its code knows it; then all, the newest first.

    A class without code of its own, such as a dataclass of settings, does not know its cell.
    """
    # A cell has no time of change: it is no file.
    cells = {file: e[2] for file, e in reversed(linecache.cache.items()) if len(e) == 4 and e[1] is None}
    script = getattr(sys.modules[value.__module__], "__file__", None)
    if script is not None:
        cells[script] = linecache.getlines(script)
    codes = [value] if isinstance(value, FunctionType) else vars(value).values()
    files = dict.fromkeys(code.__code__.co_filename for code in codes if isinstance(code, FunctionType))
    return [*(cells[file] for file in files if file in cells), *cells.values()]


def _cannot(name: str, why: str) -> SettingError:
    return SettingError(
        f"{name!r} was typed in the notebook and {why}.",
        "The parties of a federation do not run this notebook: they have what is exported, as a file of Python.",
        "Put models, strategies and questions of your own into a file, import them from it, and export with "
        'task="that_file.py".',
    )
