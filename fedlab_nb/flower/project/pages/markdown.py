"""Names and settings put into Markdown, where they are shown as they are: no character of theirs means anything."""

from __future__ import annotations

import re

# What may begin something there; an underscore between letters does not.
_MEANS = re.compile(r"[\\`*\[\]<>|~&]|(?<![^\W_])_|_(?![^\W_])")


def plain(text: str) -> str:
    r"""``text`` within a line.

    >>> plain("a|b *c* min_rows")
    'a\\|b \\*c\\* min_rows'
    """
    return _MEANS.sub(r"\\\g<0>", _line(text))


def code(text: str) -> str:
    """``text`` as a piece of code: between more backticks than it has in a row.

    >>> code("ill"), code("a`b")
    ('`ill`', '``a`b``')
    """
    line = _line(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    gap = " " if line[:1] == "`" or line[-1:] == "`" else ""
    return f"{fence}{gap}{line}{gap}{fence}"


def _line(text: str) -> str:
    """All of it on one line: what cannot be printed is a space."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
