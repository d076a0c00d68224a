"""What kind of value each setting of a site has, and the words for it."""

from __future__ import annotations

import re
from collections.abc import Callable

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_sql(value: object) -> bool:
    texts = isinstance(value, dict) and all(map(_is_text, value.values()))
    return texts and {"url", "query"} <= value.keys() <= {"url", "query", "password_from"}  # type: ignore[attr-defined]


def _are_bounds(value: object) -> bool:
    pairs = value.values() if isinstance(value, dict) else [None]
    return all(isinstance(pair, list) and len(pair) == 2 and all(map(_is_number, pair)) for pair in pairs)


def _are_lists(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(each, list) for each in value.values())


def _are_fingerprints(value: object) -> bool:
    noted = value.values() if isinstance(value, dict) else [None]
    return all(isinstance(each, str) and _FINGERPRINT.fullmatch(each) for each in noted)


def _is_id(value: object) -> bool:
    return _is_text(value) or (isinstance(value, list) and all(map(_is_text, value)))


def _is_budget(value: object) -> bool:
    numbers = isinstance(value, dict) and all(map(_is_number, value.values()))
    return numbers and {"epsilon"} <= value.keys() <= {"epsilon", "delta"}  # type: ignore[attr-defined]


_TEXT = _is_text, "a text"
_NUMBER = _is_number, "a number"
KINDS: dict[str, tuple[Callable[[object], bool], str]] = {
    **dict.fromkeys(("name", "role", "data", "target", "vault", "part", "predictions", "agreement", "identity"), _TEXT),
    **dict.fromkeys(("held_out", "idle_minutes"), _NUMBER),
    "sql": (_is_sql, "a table with the texts url and query (and password_from)"),
    "id": (_is_id, "a text or a list of texts"),
    "bounds": (_are_bounds, "a table of columns with their lowest and highest number, such as age = [0, 120]"),
    "categories": (_are_lists, 'a table of columns with their values, such as ward = ["A", "B"]'),
    "budget": (_is_budget, "a table with the numbers epsilon and delta"),
    "known": (_are_fingerprints, "a table of parties with their fingerprints: 64 of the signs 0-9 and a-f each"),
}
