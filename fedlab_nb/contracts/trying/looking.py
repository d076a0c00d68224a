"""Looking at what a part of somebody's own holds, and at the generators that all code of a process shares."""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Beyond this many objects a look would take longer than a check should; no state of a run comes near.
MOST_OBJECTS = 200_000
LEAVES = (str, bytes, bool, int, float, complex, type(None), np.generic)


def called(part: object) -> str:
    """How a part is called in a report: by its name, by its repr, or by its class where neither tells more."""
    name = getattr(part, "__name__", None)
    if isinstance(name, str):
        return name
    return type(part).__name__ if type(part).__repr__ is object.__repr__ else repr(part)


def parts(thing: object) -> Iterator[object]:
    """Every object within reach of ``thing``: in containers, attributes, closures and defaults; itself first.

    What is held twice comes twice, but is looked into once.
    """
    opened: dict[int, object] = {}
    left, most = [thing], MOST_OBJECTS
    while left and most:
        here, most = left.pop(), most - 1
        if isinstance(here, ModuleType | type):
            continue
        yield here
        if id(here) not in opened:
            opened[id(here)] = here
            left += reversed([*_held(here)])


def _held(here: object) -> Iterable[object]:
    if isinstance(here, LEAVES) or _array(here) is not None:
        return ()
    if isinstance(here, Mapping):
        return [*here.keys(), *here.values()]
    if isinstance(here, list | tuple):
        return here
    if isinstance(here, set | frozenset):
        return sorted(here, key=repr)
    if isinstance(here, MethodType):
        return (here.__self__, here.__func__)
    if isinstance(here, partial):
        return (here.func, here.args, here.keywords)
    if isinstance(here, FunctionType):
        return [*_closed_over(here), here.__defaults__, here.__kwdefaults__]
    slots = [name for kind in type(here).__mro__ for name in _listed(kind.__dict__.get("__slots__", ()))]
    own = [value for name, value in getattr(here, "__dict__", {}).items() if not _is_worked_out(here, name)]
    return [*own, *(getattr(here, n) for n in slots if _has(here, n))]


def _is_worked_out(here: object, name: str) -> bool:
    """True for what was worked out once and kept: it adds nothing to what it was worked out from."""
    return any(isinstance(vars(kind).get(name), cached_property) for kind in type(here).__mro__)


def _closed_over(function: FunctionType) -> Iterator[object]:
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # a cell that was not filled yet
            yield cell.cell_contents


def _listed(slots: str | Iterable[str]) -> Iterable[str]:
    return (slots,) if isinstance(slots, str) else slots


def _has(here: object, name: str) -> bool:
    return not name.startswith("__") and hasattr(here, name)


def _array(here: object) -> NDArray[Any] | None:
    """The numbers of an array, a table or a tensor; None for anything else."""
    if isinstance(here, np.ndarray):
        return here
    kind = f"{type(here).__module__}.{type(here).__name__}"
    if kind.startswith("pandas.") and kind.endswith(("DataFrame", "Series")):
        return np.asarray(here)
    if kind.startswith("torch.") and kind.endswith(("Tensor", "Parameter")):
        return np.asarray(here.detach().cpu())  # type: ignore[attr-defined]
    return None


def used_by(function: Callable[..., object]) -> dict[str, object]:
    """The global names that a function, or the methods of a callable object, uses; modules and classes left out."""
    methods = [value for kind in type(function).__mro__ for value in vars(kind).values()]
    codes: dict[str, object] = {}
    for here in (function, *methods) if not isinstance(function, FunctionType) else (function,):
        if isinstance(here, FunctionType):
            names = set(_names(here.__code__))
            codes |= {name: value for name, value in here.__globals__.items() if name in names}
    return {name: value for name, value in codes.items() if not isinstance(value, ModuleType | type)}


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)


def held_kind(thing: object, *kinds: type) -> str:
    """The name of the first of ``kinds`` of which an object is within reach of ``thing``; "" without one."""
    return next((kind.__name__ for part in parts(thing) for kind in kinds if isinstance(part, kind)), "")


def numbers_in(thing: object) -> Floats:
    """All real numbers (n,) within reach of ``thing``."""
    found = [np.zeros(0)]
    for part in parts(thing):
        array = _array(part) if not isinstance(part, float | np.floating) else np.array([float(part)])
        if array is not None and array.dtype == object:
            array = np.array([value for value in array.ravel() if isinstance(value, float)], dtype=np.float64)
        if array is not None and array.dtype.kind == "f":
            found.append(array.ravel().astype(np.float64))
    return np.concatenate(found)


def digest(thing: object) -> str:
    """A hash of all values within reach of ``thing``: equal for equal values, whatever objects hold them."""
    whole = hashlib.sha256()
    for part in parts(thing):
        array = _array(part)
        if array is not None and array.dtype != object:
            whole.update(f"{array.shape}{array.dtype}".encode() + np.ascontiguousarray(array).tobytes())
        elif array is not None:
            whole.update(repr(array.tolist()).encode())
        elif isinstance(part, LEAVES):
            whole.update(repr(part).encode())
        else:
            whole.update(type(part).__name__.encode())
    return whole.hexdigest()


def global_chance() -> dict[str, object]:
    """The states of the generators that all code of this process shares."""
    states: dict[str, object] = {
        "random": random.getstate(),
        "np.random": np.random.get_state(legacy=False),  # noqa: NPY002 - whether it is left alone is the question
    }
    torch: Any = sys.modules.get("torch")
    return states if torch is None else states | {"torch": torch.get_rng_state()}


def scattered_chance() -> dict[str, object]:
    """The states of these generators, after they were set to where nobody would set them."""
    random.seed("nobody's seed")
    np.random.seed(1234567891)  # noqa: NPY002 - it is put back afterwards
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(1234567891)
    return global_chance()


def touched(before: Mapping[str, object]) -> Sequence[str]:
    """Which of these generators are in another state than ``before``."""
    now = global_chance()
    return [name for name, state in before.items() if digest(state) != digest(now[name])]


@contextmanager
def chance_put_back() -> Iterator[None]:
    """Whatever is drawn inside, the generators that a notebook shares go on as if nothing had been."""
    before: dict[str, Any] = global_chance()
    try:
        yield
    finally:
        random.setstate(before["random"])
        np.random.set_state(before["np.random"])  # noqa: NPY002 - it is put back
        if "torch" in before:
            sys.modules["torch"].set_rng_state(before["torch"])
