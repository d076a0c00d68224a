"""The file in which the owner of the labels gets the predictions, at its own site."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from fedlab_nb.errors import SettingError

if TYPE_CHECKING:
    import pandas as pd

ENDINGS = (".csv", ".parquet")


def check_place(path: Path, owner: str) -> None:
    """Refuse a file that could not be written, before anything is worked out.

    Raises:
        SettingError: naming it.
    """
    what = ""
    if path.suffix.lower() not in ENDINGS:
        what = "which ends neither in .csv nor in .parquet"
    elif not path.parent.is_dir():
        what = "in a folder that is not there"
    elif path.is_dir() or not os.access(path.parent, os.W_OK):
        what = "where no file can be written"
    if what:
        raise _refused(path, owner, what)


def keep(table: pd.DataFrame, path: Path, owner: str) -> None:
    """Write the predictions, readable by this user alone; a reader finds all of them, or what was there before.

    Raises:
        SettingError: it cannot be written.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        draft.touch(mode=0o600)
        if path.suffix.lower() == ".csv":
            table.to_csv(draft, encoding="utf-8", lineterminator="\n")
        else:
            table.to_parquet(draft)
        draft.replace(path)
    except OSError as error:
        raise _refused(path, owner, f"which cannot be written ({error.strerror or type(error).__name__})") from None
    finally:
        draft.unlink(missing_ok=True)


def _refused(path: Path, owner: str, what: str) -> SettingError:
    return SettingError(
        f"The predictions at {owner!r} were to go to {path.name!r}, {what}.",
        "Nobody else is given them: without a file they would be lost, and every owner would have paid for them.",
        'Name a file in a folder that is there, such as predictions = "predictions.csv" beside site.toml.',
    )
