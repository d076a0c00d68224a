"""Any value of a run as JSON and arrays, and back: no code is stored, and reading runs none.

What JSON cannot say by itself is a dictionary with one key that names its kind, such as ``{"tuple": [1, 2]}``.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from importlib import import_module
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fedlab_nb import errors
from fedlab_nb.errors import FedLabError, SettingError

Arrays = dict[str, NDArray[Any]]

_OURS = "fedlab_nb."


def taken_apart(value: object) -> tuple[Any, Arrays]:
    """The value in JSON's terms, and its arrays by the place they had in it.

    Numbers, text, None, lists, tuples, mappings, arrays, errors and dataclasses made of these; floats and arrays keep
    every bit.

    Raises:
        SettingError: naming what cannot be written without storing code.

    >>> taken_apart({"lr": 0.1, "sizes": (2, 3)})
    ({'map': {'lr': 0.1, 'sizes': {'tuple': [2, 3]}}}, {})
    """
    arrays: Arrays = {}
    return _apart(value, "", arrays), arrays


def _apart(value: object, place: str, arrays: Arrays) -> Any:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) in (list, tuple):
        parts = [_apart(part, f"{place}/{i}", arrays) for i, part in enumerate(cast("list[object]", value))]
        return parts if isinstance(value, list) else {"tuple": parts}
    if isinstance(value, Mapping):
        return _mapping_apart(value, place, arrays)
    if isinstance(value, np.ndarray | np.generic):
        return _numbers_apart(value, place, arrays)
    if isinstance(value, Exception):
        return _error_apart(value)
    if is_dataclass(value) and not isinstance(value, type):
        name = f"{type(value).__module__}:{type(value).__qualname__}"
        if _known(name) is type(value):
            inside = {f.name: getattr(value, f.name) for f in fields(value) if f.init}
            return {"class": name, "fields": {k: _apart(v, f"{place}/{k}", arrays) for k, v in inside.items()}}
    raise _cannot(value, place)


def _mapping_apart(value: Mapping[Any, object], place: str, arrays: Arrays) -> Any:
    if all(type(key) is str for key in value):
        return {"map": {key: _apart(v, f"{place}/{key}", arrays) for key, v in value.items()}}
    both = ((_apart(k, place, arrays), _apart(v, f"{place}/{i}", arrays)) for i, (k, v) in enumerate(value.items()))
    return {"pairs": [list(pair) for pair in both]}


def _numbers_apart(value: NDArray[Any] | np.generic, place: str, arrays: Arrays) -> Any:
    if value.dtype.kind not in "biuf" or value.dtype.itemsize > 8:
        raise _cannot(value, place)
    if isinstance(value, np.generic):
        return {"number": [value.dtype.name, value.item()]}
    name = place.lstrip("/") or "value"
    # Not ascontiguousarray: that gives an array without axes one.
    arrays[name] = np.array(value, dtype=value.dtype.newbyteorder("="), order="C")
    return {"array": name}


def _error_apart(error: Exception) -> Any:
    if isinstance(error, FedLabError):
        known = getattr(errors, type(error).__name__, None) is type(error)
        words = error.__reduce__()[1] if known else (error.what, error.why, error.do)
        return {"error": type(error).__name__ if known else "FedLabError", "words": [str(word) for word in words]}
    words = (f"{type(error).__name__}: {error}.", "The run that this was read from ended so.", "Look at that run.")
    return {"error": "FedLabError", "words": list(words)}


def _cannot(value: object, place: str) -> SettingError:
    where = place.replace("/", " > ").removeprefix(" > ") or "it"
    return SettingError(
        f"What is to be kept on disk holds {type(value).__name__} (at: {where}).",
        "Only numbers, text, arrays and dataclasses of these can be written; anything else would have to be stored as "
        "code, which could do harm when it is read.",
        "Keep arrays in the state's memory, and in its context dataclasses that are defined outside of functions.",
    )


def put_together(plain: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    """The value that was ``taken_apart``.

    Raises:
        SettingError: if a class of it is not there, or has other fields by now.
    """
    if isinstance(plain, list):
        return [put_together(part, arrays) for part in plain]
    if not isinstance(plain, dict):
        return plain
    kind, inside = next(iter(plain.items()))
    if kind == "array":
        return arrays[inside].copy()
    if kind == "number":
        return np.dtype(inside[0]).type(inside[1])
    if kind == "error":
        return _error(inside, plain["words"])
    if kind == "map":
        return _each(inside, arrays)
    return _made(kind, inside, plain, arrays)


def _made(kind: str, inside: Any, plain: dict[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Any:
    if kind == "tuple":
        return tuple(put_together(part, arrays) for part in inside)
    if kind == "pairs":
        return {put_together(key, arrays): put_together(value, arrays) for key, value in inside}
    return _instance(inside, _each(plain["fields"], arrays))


def _each(inside: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    return {name: put_together(value, arrays) for name, value in inside.items()}


def _error(name: str, words: list[str]) -> Exception:
    found = getattr(errors, name, FedLabError)
    known = isinstance(found, type) and issubclass(found, FedLabError)
    return cast("type[FedLabError]", found if known else FedLabError)(*words)


def _instance(name: str, inside: dict[str, Any]) -> object:
    found = _known(name)
    known = [f for f in fields(cast("Any", found)) if f.init] if found is not None else []
    needed = {f.name for f in known if f.default is MISSING and f.default_factory is MISSING}
    if found is None or not needed <= inside.keys() <= {f.name for f in known}:
        module, _, last = name.partition(":")
        raise SettingError(
            f"What is kept there holds a {last!r} of {module}"
            + (", and there is no such dataclass here." if found is None else ", which has other fields here."),
            "Classes are not stored, only the values in them.",
            "Run the cell that defines it as it was when it was kept, or use the version of the package that wrote it.",
        )
    return found(**inside)


def _known(name: str) -> type[Any] | None:
    """The dataclass of this name: one of ours, or one of a module that is loaded already, as a notebook's own is."""
    module, _, path = name.partition(":")
    try:
        found: Any = import_module(module) if module.startswith(_OURS) else sys.modules.get(module)
    except ImportError:
        return None
    for part in path.split("."):
        found = getattr(found, part, None)
    return found if isinstance(found, type) and is_dataclass(found) else None
