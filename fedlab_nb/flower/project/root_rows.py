"""Root rows of the rule FLTrust are the server's own: they lie in a file beside the project, and never in it.

Flower sends files of a project to every site, and the folder goes to all parties. So the agreement says how many rows
there are and the SHA-256 of their file; the server's process reads the file from a path that its run names.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from fedlab_nb.aggregate import FLTrust
from fedlab_nb.aggregate.fltrust import FLTrustApart
from fedlab_nb.errors import SettingError
from fedlab_nb.flower.project.parties import Parties

FILE = "root_rows.parquet"


def place_of(strategy: Any, folder: Path, *, overwrite: bool) -> Path | None:
    """Where the root rows of a strategy go, for a project in ``folder``; None for a strategy without any.

    Raises:
        SettingError: there is such a file already.
    """
    if not isinstance(getattr(strategy, "aggregate", None), FLTrust):
        return None
    file = folder.with_name(f"{folder.name}-server") / FILE
    if file.exists() and not overwrite:
        raise SettingError(
            f"There is a file {file.parent.name}/{FILE} already.",
            "It holds the root rows of an earlier export, whose agreement is about no other file.",
            "Name another folder for the project, or pass overwrite=True: the file is then written anew if rows "
            "differ.",
        )
    return file


def known_columns(strategy: Any, parties: Parties) -> Any:
    """The strategy, to be checked; with rows that fit where nobody here knows what columns the owners have."""
    trains = isinstance(getattr(strategy, "aggregate", None), FLTrust)
    if not trains or any(owner.schema is not None for owner in parties.owners):
        return strategy
    import pandas as pd

    schema = parties.without_rows.schema
    fitting = pd.DataFrame({column.name: [0] for column in (*schema.features, schema.target)})
    return replace(strategy, aggregate=FLTrust(fitting))


def parted(strategy: Any, file: Path | None, draft: Path) -> Any:
    """The strategy as all parties know it; its root rows are in the folder ``draft``, until they are kept."""
    if file is None:
        return strategy
    if file.exists():
        shutil.copy(file, draft / FILE)
    return replace(strategy, aggregate=strategy.aggregate.apart(draft / FILE))


def keep(file: Path | None, draft: Path) -> None:
    """Put root rows from ``draft`` where only the user who exports can read them."""
    if file is None:
        return
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.touch(mode=0o600)
    shutil.copyfile(draft / FILE, file)


def joined(strategy: Any, file: str) -> Any:
    """At the server: the strategy with its root rows, from the ``file`` that the run names; else as it is.

    Raises:
        SettingError: the file is not the one that was agreed on, or one was named that nothing needs.
    """
    rule = getattr(strategy, "aggregate", None)
    if isinstance(rule, FLTrustApart):
        return replace(strategy, aggregate=rule.joined(file))
    if file:
        raise SettingError(
            f"The run names root_rows={Path(file).name!r}, and its strategy has no rule that trains on any.",
            "Whoever named it expects that they are used.",
            "Leave root_rows out, or export a strategy with aggregate=fl.aggregate.FLTrust(rows).",
        )
    return strategy
