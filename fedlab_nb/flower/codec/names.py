"""What a module holds under a name, found without calling anything on the way; and whether both sides have the same."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any


def found(module: str, path: str) -> Any:
    """What ``module`` holds under a dotted ``path``, such as "Update.__add__"; None if there is nothing.

    A function that is wrapped as a static or class method is given bare. The module is imported if it is not yet.

    >>> found("fedlab_nb.records.state", "Update").__name__
    'Update'
    >>> found("fedlab_nb.records.state", "Update.zeros") is None
    True
    """
    # vars(), and no getattr: that would run descriptors and a module's __getattr__.
    try:
        inside: Mapping[str, Any] = globals_of(module) if module else {}
    except ImportError:
        return None
    value: Any = None
    for part in path.split("."):
        value = inside.get(part)
        value = value.__func__ if isinstance(value, staticmethod | classmethod) else value
        inside = vars(value) if isinstance(value, type) else {}
    return value


def class_attribute(cls: type, name: str) -> Any:
    """What a class has under ``name``, its own or inherited, as it stands there; None if there is nothing."""
    return next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), None)


def globals_of(module: str) -> dict[str, Any]:
    """The names that a module's functions see."""
    return vars(import_module(module))


@lru_cache(maxsize=8)
def same_code(*modules: str) -> str:
    """A digest (64 hex characters) of this package's own source files, and of those of ``modules``.

    Messages name code by its place, so two sides understand each other only if theirs are equal: compare before the
    first message. Read once a process.
    """
    digest = hashlib.sha256()
    for name in ("fedlab_nb", *sorted(modules)):
        file = import_module(name).__file__
        place = Path(file) if file is not None else Path()
        whole = place.parent if place.name == "__init__.py" else place
        for path in sorted(whole.rglob("*.py")) if whole.is_dir() else [whole]:
            content = path.read_bytes()
            said = path.relative_to(whole.parent).as_posix()
            digest.update(f"{said} {len(content)} ".encode() + content)
    return digest.hexdigest()
