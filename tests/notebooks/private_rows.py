"""Rows whose every private value can be told apart from anything else, and a search for them in all that is said."""

from __future__ import annotations

import base64
import html
import json
import re
import struct
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote

import numpy as np

WORD = "patient-Q7"
ROWS, OWNERS = 240, 3
# Runs in the kernel: three owners, and values that nobody but their owner may ever see. Some are numbers of nine
# digits before the point, so that even rounded to six digits they are not met by accident; some are words: a rare
# value in a column that everybody has, in the frame's index and among its attributes. The code spells none of them.
OWN_ROWS = f"""
import numpy as np, pandas as pd
import fedlab_nb as fl
rng, word, frames = np.random.default_rng(7), "patient" + "-Q7", {{}}
for owner in ("North", "South", "East"):
    income = np.round(rng.uniform(5e8, 1e9, {ROWS // OWNERS}), 2)
    ward = np.where(rng.random(len(income)) < 0.5, "blue", "green").astype(object)
    ward[3] = word + " of " + owner
    frame = pd.DataFrame({{"income": income, "ward": ward}}, index=[f"{{word}}-{{n}}" for n in range(len(income))])
    frame["ill"] = np.where(income + rng.normal(0, 1e8, len(income)) > 7.5e8, "yes", "no")
    frame.attrs = {{"note": word}}
    frames[owner] = frame
"""


def private_numbers() -> list[float]:
    """The incomes of ``OWN_ROWS``."""
    rng, found = np.random.default_rng(7), []
    for _ in range(OWNERS):
        income = np.round(rng.uniform(5e8, 1e9, ROWS // OWNERS), 2)
        rng.random(len(income))
        rng.normal(0, 1e8, len(income))
        found += [float(value) for value in income]
    return found


def renderings(value: float) -> set[str]:
    """The ways in which a number is written, down to six digits."""
    written = {f"{value:.{digits}g}" for digits in range(6, 13)} | {f"{value:,.2f}", f"{value:,.0f}", f"{value:.0f}"}
    return written | {text.replace("e+08", "e8") for text in written} | {f"{value / 1e6:.3f}"}


def packed(value: float) -> set[bytes]:
    """The ways in which a number lies in a buffer: eight or four bytes, either end first."""
    return {struct.pack(form, value) for form in ("<d", ">d", "<f", ">f")}


TEXTS = {text: f"the income {value!r}" for value in private_numbers() for text in renderings(value)} | {WORD: WORD}
BYTES = {part: f"the income {value!r}" for value in private_numbers() for part in packed(value)}
ANY_TEXT = re.compile("|".join(sorted(map(re.escape, TEXTS), key=len, reverse=True)))
ANY_BYTES = re.compile(b"|".join(map(re.escape, BYTES)), re.DOTALL)
BASE64 = re.compile(r"[A-Za-z0-9+/]{24,}={0,2}")


def found_in(said: object) -> list[str]:
    """The private values that occur in a text, in bytes, or anywhere in lists and dictionaries of these.

    Texts are read as they are, and with HTML's and addresses' ways of writing signs undone; what is in base64, such
    as a picture in a page or an array in a figure, is opened and searched as text and as bytes.
    """
    return sorted({hit for part in _parts(said) for hit in _hits(part)})


def _parts(said: object) -> Iterator[str | bytes]:
    if isinstance(said, dict):
        for key, value in said.items():
            yield from _parts(key)
            yield from _parts(value)
    elif isinstance(said, str | bytes):
        yield said
    elif isinstance(said, memoryview | bytearray):
        yield bytes(said)
    elif isinstance(said, Iterable):
        for value in said:
            yield from _parts(value)
    elif said is not None:
        yield str(said)


def _hits(part: str | bytes) -> Iterator[str]:
    if isinstance(part, bytes):
        yield from (BYTES[hit] for hit in ANY_BYTES.findall(part))
        part = part.decode("utf-8", errors="ignore")
    for text in {part, html.unescape(part), unquote(part)}:
        yield from (TEXTS[hit] for hit in ANY_TEXT.findall(text))
    for code in BASE64.findall(part):
        inside = base64.b64decode(code + "=" * (-len(code) % 4)) if len(code.rstrip("=")) % 4 != 1 else b""
        yield from (BYTES[hit] for hit in ANY_BYTES.findall(inside))
        yield from (TEXTS[hit] for hit in ANY_TEXT.findall(inside.decode("utf-8", errors="ignore")))


def message_parts(message: dict[str, Any]) -> list[object]:
    """What a message carries: its content, its metadata and its buffers; headers only name sessions and times."""
    return [json.loads(json.dumps(message["content"], default=str)), message["metadata"], *message.get("buffers", [])]
