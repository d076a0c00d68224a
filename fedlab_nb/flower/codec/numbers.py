"""Bytes, arrays and numbers, to the last bit; their bytes cross as they are, beside the message's text."""

from __future__ import annotations

import re
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.flower.codec.kinds import Apart, Buffer, In, Kind, Out
from fedlab_nb.flower.codec.words import unknown_kind, unreadable

# Booleans, whole numbers with and without sign, floating-point and complex ones.
_KINDS = "biufc"
_TEXT = re.compile(f"[<>|=][{_KINDS}][0-9]{{1,2}}")


def _int_apart(value: int, _: Out) -> Apart:
    return hex(value), ()


def _int(_: object, facts: str, __: list[Any], ___: In) -> int:
    # In base 16: Python bounds the length of numbers in base 10, as reading these takes long.
    return int(facts, 16)


def _float_apart(value: float, _: Out) -> Apart:
    return struct.pack("<d", value).hex(), ()


def _float(_: object, facts: str, __: list[Any], ___: In) -> object:
    return struct.unpack("<d", bytes.fromhex(facts))[0]


def _complex_apart(value: complex, _: Out) -> Apart:
    return struct.pack("<2d", value.real, value.imag).hex(), ()


def _complex(_: object, facts: str, __: list[Any], ___: In) -> complex:
    return complex(*struct.unpack("<2d", bytes.fromhex(facts)))


def _bytes_apart(value: bytes, out: Out) -> Apart:
    return out.store(value), ()


def _bytes(_: object, facts: int, __: list[Any], read: In) -> bytes:
    return bytes(read.take(facts))


def array_apart(value: NDArray[Any], out: Out) -> Apart:
    """An array's type, shape, order and bytes; in Fortran's order only if it lies so, else row by row."""
    if value.dtype.kind not in _KINDS:
        raise unknown_kind(value, f"{out.where()}, of {value.dtype}")
    columns = value.flags.f_contiguous and not value.flags.c_contiguous
    facts = value.dtype.str, list(value.shape), columns, bool(value.flags.writeable), out.store(_raw(value, columns))
    return list(facts), ()


def _raw(value: NDArray[Any], columns: bool) -> Buffer:
    if not value.size:
        return b""
    # Not ascontiguousarray: that gives an array without axes one.
    lying = np.asarray(value.T if columns else value, order="C").reshape(-1)
    return lying.view(np.uint8).data


def array(_: object, facts: list[Any], __: list[Any], read: In) -> NDArray[Any]:
    """The array, with bytes of its own."""
    dtype, shape, columns, writeable, segment = facts
    kind = _dtype(dtype)
    if not all(type(size) is int and size >= 0 for size in shape):
        raise unreadable("an array in it has no shape")
    flat = np.frombuffer(read.take(segment), kind) if np.prod([1, *shape], dtype=object) else np.empty(0, kind)
    made = flat.reshape(shape, order="F" if columns else "C").copy(order="F" if columns else "C")
    made.flags.writeable = bool(writeable)
    return made


def _dtype(text: object) -> np.dtype[Any]:
    if type(text) is not str or not _TEXT.fullmatch(text):
        raise unreadable("an array in it is of no kind that is sent")
    return np.dtype(text)


def scalar_apart(value: np.generic, out: Out) -> Apart:
    """A number of numpy's: its type and its bytes."""
    if value.dtype.kind not in _KINDS:
        raise unknown_kind(value, out.where())
    return [value.dtype.str, value.tobytes().hex()], ()


def _scalar(_: object, facts: list[str], __: list[Any], ___: In) -> object:
    (value,) = np.frombuffer(bytes.fromhex(facts[1]), _dtype(facts[0]))
    return value


NUMBERS: dict[type, tuple[str, Kind]] = {
    int: ("int", Kind(_int_apart, _int)),
    float: ("float", Kind(_float_apart, _float)),
    complex: ("complex", Kind(_complex_apart, _complex)),
    bytes: ("bytes", Kind(_bytes_apart, _bytes)),
    np.ndarray: ("array", Kind(array_apart, array)),
}
SCALAR = ("number", Kind(scalar_apart, _scalar))
