"""Tables from a file, from an address, or from OpenML."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from fedlab_nb.data import intake
from fedlab_nb.data.loaders.store import LOOPBACK, check_sha256, fetched, verify
from fedlab_nb.errors import SchemaError, SettingError
from fedlab_nb.settings import check_setting, is_whole

if TYPE_CHECKING:
    import pandas as pd

KINDS = (".csv", ".parquet")
OPENML = "https://www.openml.org/api/v1/json/data/{id}"


def load(source: str | Path, *, target: str | None = None, sha256: str | None = None) -> pd.DataFrame:
    """The table in a .csv or .parquet file, from a path or an https address.

    A file from an address is downloaded once and kept in the folder that the environment variable FEDLAB_NB_DATA
    names, else in .cache/fedlab_nb in the home folder. ``frame.attrs`` has its ``source`` and its ``sha256``; pass
    that checksum the next time, here or on another machine, and only the very same file is taken.

    Args:
        source: a path, or an address that begins with https://.
        target: the column to predict, kept as frame.attrs["target"] for ``fl.split_rows``.
        sha256: the checksum that the file must have, 64 hexadecimal digits.

    Raises:
        SettingError: for a file of another kind, or an address that is not safe.
        SchemaError: if the file is missing, cannot be downloaded or read, is not the expected one, or lacks
            ``target``.
    """
    text, expected = str(source), check_sha256(sha256)
    if not isinstance(source, str | Path) or Path(text.partition("?")[0]).suffix.lower() not in KINDS:
        raise SettingError(
            f"fl.data.load was given {text!r}." if isinstance(source, str | Path) else _no_path(source),
            "It reads .csv and .parquet files, from a path or an https address.",
            "Convert the file, or read it with pandas and use the DataFrame as it is.",
        )
    if isinstance(source, str) and "://" in text:
        name = Path(text.partition("?")[0]).name
        path = fetched(text, expected, name=name)
    else:
        path = Path(source).expanduser()
    # Checked before it is read: a file that is not the expected one may be made to harm its reader.
    found = verify(path, expected, f"The file {path.name!r}") if path.is_file() else ""
    frame = intake.load(path)
    frame.attrs.update(source=text, sha256=found)
    return _with_target(frame, target)


def _no_path(source: object) -> str:
    return f"fl.data.load was given an object of type {type(source).__name__}."


def _with_target(frame: pd.DataFrame, target: str | None) -> pd.DataFrame:
    if target is not None and target not in frame.columns:
        known = ", ".join(map(repr, list(frame.columns)[:40]))
        raise SchemaError(
            f"The table has no column {target!r}, which was named as target; it has {known}.",
            "Without a target there is nothing to predict.",
            "Name one of its columns: target=...",
        )
    if target is not None:
        frame.attrs["target"] = target
    return frame


def openml(data_id: int, *, target: str | None = None, sha256: str | None = None) -> pd.DataFrame:
    """The table with this number on openml.org, such as 61 for iris; downloaded once, then kept.

    ``target`` is what OpenML names as such, if left out. ``frame.attrs`` has its ``name``, ``licence``, ``source`` and
    ``sha256``.

    Raises:
        SettingError: if ``data_id`` is no whole number from 1 up.
        SchemaError: if it cannot be downloaded, is not offered as Parquet, or is not the expected file.
    """
    check_setting(
        "fl.data.openml",
        "data_id",
        data_id,
        fits=is_whole(data_id, least=1),
        wanted="a whole number from 1 up",
        why="OpenML numbers its tables, and the number is in the address of each table's page.",
        example="61",
    )
    described = fetched(OPENML.format(id=data_id), name=f"openml_{data_id}.json")
    try:
        facts = json.loads(described.read_text(encoding="utf-8"))["data_set_description"]
        address = str(facts["parquet_url"])
    except (ValueError, KeyError, TypeError) as error:
        # What is no description must not be kept as one.
        described.unlink(missing_ok=True)
        raise SchemaError(
            f"OpenML's description of table {data_id} names no Parquet file.",
            "That is the one form in which OpenML says what kind each column has, and that is read here.",
            "Look at the table's page on openml.org, download it as CSV, and use fl.data.load(path).",
        ) from error
    found = fetched(_safe(address), check_sha256(sha256), name=f"openml_{data_id}.parquet")
    frame = load(found, target=target or facts.get("default_target_attribute") or None, sha256=sha256)
    frame.attrs.update(source=address, name=str(facts.get("name", "")), licence=str(facts.get("licence", "")))
    return frame


def _safe(address: str) -> str:
    """The address over https: OpenML still writes some with http, which its server answers over https as well."""
    from urllib.parse import urlsplit

    return address if urlsplit(address).hostname in LOOPBACK else address.replace("http://", "https://", 1)
