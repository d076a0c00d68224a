"""A dress rehearsal: the owners of a notebook, each in a process of its own on this machine, on Flower as it would run.

The walls between them are those between processes of one user. What differs from real sites is the machine.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fedlab_nb.crypto.linkage import texts_in
from fedlab_nb.errors import SettingError
from fedlab_nb.flower.deploy.control import Control
from fedlab_nb.flower.deploy.loopback import Loopback, Site
from fedlab_nb.flower.deploy.processes import check_installed
from fedlab_nb.flower.deploy.settings import text
from fedlab_nb.flower.driving.run import WatchedRun
from fedlab_nb.flower.driving.words import NOTEBOOK
from fedlab_nb.flower.orders.trust import fingerprint_of
from fedlab_nb.flower.party.settings import KEY_HOLDER, SiteSettings
from fedlab_nb.flower.predicting.exporting import check_parts, has_rounds
from fedlab_nb.flower.predicting.watched import WatchedPrediction
from fedlab_nb.flower.project import export
from fedlab_nb.flower.survey.watched import WatchedSurvey
from fedlab_nb.flower.watch import attach, run
from fedlab_nb.parties import DataOwner, Federation, Rows
from fedlab_nb.records import Schema
from fedlab_nb.records.schema import NO_TARGET
from fedlab_nb.rounds import check_made
from fedlab_nb.vertical import ModelPart

ROWS, SETTINGS, PROJECT, PART = "rows.parquet", "site.toml", "rehearsal", "part.safetensors"
_KEY_HOLDER = "key_holder"
_ROUNDS = 3


class Rehearsal:
    """A federation's owners on Flower at this machine, from ``start`` to ``close``; use it in a ``with`` if you can.

    It writes a project, gives every owner a folder with its own rows and settings, makes certificates and keys, and
    starts a SuperLink, a SuperNode for each owner and, where there is one, for the key holder. ``close`` ends all
    processes and removes all of it.

    Args:
        federation: its owners' rows are written to files of their own for as long as the rehearsal lasts.
        what, num_rounds, seed, task, driven: as for ``fl.flower.export``, but for 3 rounds where ``num_rounds`` is left
            out. Driven, this notebook has a SuperNode too, and the handle and its buttons hold, change and end the run.
        parts: for a joint prediction, each owner's part of the model by its name, such as ``run.model.parts``; each
            site gets its own. The predictions are then a file in ``folder_of(labels_at)`` until ``close``.

    Raises:
        SettingError, RuleError: what cannot leave the notebook, or Flower is not installed.

    Example:
        >>> import fedlab_nb as fl
        >>> owners = fl.split_rows(fl.data.breast_cancer(), owners=3)
        >>> federation = fl.Federation(owners, encrypt=fl.CKKS())
        >>> with Rehearsal(federation, fl.FedAvg(fl.models.logistic()), num_rounds=2) as lab:  # doctest: +SKIP
        ...     history = lab.run().wait()
    """

    def __init__(
        self,
        federation: Federation,
        what: Any,
        *,
        num_rounds: int | None = None,
        seed: int | None = None,
        task: str | Path | None = None,
        driven: bool = False,
        parts: Mapping[str, ModelPart] | None = None,
    ) -> None:
        check_installed()
        _check_federation(federation)
        check_made(what)
        check_parts(what, parts, federation.names)
        self._folder = Path(tempfile.mkdtemp(prefix="fedlab-rehearsal-"))
        # It holds rows: also removed at the end of the interpreter, or by the guard of the processes if it is killed.
        self._cleared = weakref.finalize(self, _clear, os.getpid(), self._folder)
        self._lab: Loopback | None = None
        self._folders: dict[str, Path] = {}
        try:
            self.project = self._folder / PROJECT
            rounds = _ROUNDS if num_rounds is None and has_rounds(what) else num_rounds
            made = export(federation, what, self.project, num_rounds=rounds, seed=seed, task=task, driven=driven)
            self._own = {} if made.root_rows is None else {"root_rows": str(made.root_rows)}
            sites = [self._site(i, owner) for i, owner in enumerate(federation.owners, 1)]
            if (self.project / "sites" / f"{_KEY_HOLDER}.toml").exists():
                sites.append(self._site_of(KEY_HOLDER.replace(" ", "-"), _KEY_HOLDER))
            if driven:
                sites.append(self._site_of(NOTEBOOK, NOTEBOOK))
            for name, part in (parts or {}).items():
                part.save(self.folder_of(name) / PART)
            self._introduce()
            self._sites = sites
        except BaseException:
            self._cleared()
            raise

    def start(self) -> Self:
        """Start all processes; they have met their SuperLink when this returns.

        Raises:
            SettingError: it was closed.
        """
        self._check_open()
        if self._lab is None:
            network, variables = self._folder / "network", {"OMP_NUM_THREADS": "1"}
            self._lab = Loopback(self._sites, network, variables=variables, around=self._folder)
            try:
                self._lab.__enter__()
            except BaseException:
                self.close()
                raise
        return self

    def folder_of(self, owner: str) -> Path:
        """The folder of an owner's site: its rows and settings, and what it keeps, until ``close``.

        Raises:
            SettingError: there is no such owner, or the rehearsal was closed.
        """
        self._check_open()
        if owner not in self._folders:
            raise SettingError(
                f"The folder of {owner!r} was asked for, and the owners are {', '.join(self._folders)}.",
                "Each owner's site has a folder of its own; nobody else's files are in it.",
                "Name one of them.",
            )
        return self._folders[owner]

    @property
    def loopback(self) -> Loopback:
        """The processes: to be looked at, or to be disturbed."""
        self.start()
        assert self._lab is not None
        return self._lab

    @property
    def control(self) -> Control:
        """What starts, stops and tells of runs."""
        return self.loopback.control

    def run(self, *, patience: float = 120.0) -> WatchedRun | WatchedSurvey | WatchedPrediction:
        """Start what was rehearsed, and watch it here; a party may take ``patience`` seconds for each answer."""
        return run(self.project, self.control, patience=patience, wait=300.0, **self._own)

    def attach(self, number: int) -> WatchedRun | WatchedSurvey | WatchedPrediction:
        """Watch the run with this number, from its first round or answer on."""
        return attach(self.project, self.control, number)

    def close(self) -> None:
        """End all processes and remove all files; twice does nothing more."""
        if self._lab is not None:
            self._lab.close()
        self._cleared()

    def __repr__(self) -> str:
        state = "closed" if not self._cleared.alive else "not started" if self._lab is None else "running"
        return f"Rehearsal({', '.join(site.name for site in self._sites)}: {state})"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _check_open(self) -> None:
        if not self._cleared.alive:
            raise SettingError(
                "This rehearsal was closed.",
                "Its processes were ended, and its project, rows and keys were removed.",
                "Make another one: fl.flower.Rehearsal(federation, strategy).",
            )

    def _site(self, number: int, owner: DataOwner) -> Site:
        """An owner's own folder: its rows, as they are behind its wall, and its settings."""
        files = [path for path in (self.project / "sites").glob("*.toml") if _is_for(path, owner.name)]
        site = self._site_of(f"owner-{number}", files[0].stem)
        folder = self._folders[owner.name] = Path(str(site.config["site"])).parent
        owner._inside(lambda rows: _write(rows, owner.schema, folder / ROWS), stage="writing its rows")  # noqa: SLF001
        settings = folder / SETTINGS
        settings.write_text(settings.read_text().replace('data = "rows.csv"', f'data = "{ROWS}"'))
        return site

    def _introduce(self) -> None:
        """Every party notes the fingerprints of all others, as real ones do by telephone."""
        paths = sorted((self._folder / "sites").glob(f"*/{SETTINGS}"))
        settings = [path for path in paths if path.parent.name != NOTEBOOK]  # it has no keys
        read = [SiteSettings.read(path) for path in settings]
        known = {site.name: fingerprint_of(site.lasting_identity().public) for site in read}
        for path, site in zip(settings, read, strict=True):
            others = {name: shown for name, shown in known.items() if name != site.name}
            lines = "".join(f"{text(name)} = {text(shown)}\n" for name, shown in others.items())
            path.write_text(path.read_text(encoding="utf-8") + f"\n[known]\n{lines}", encoding="utf-8")

    def _site_of(self, name: str, file: str) -> Site:
        folder = self._folder / "sites" / name
        folder.mkdir(mode=0o700, parents=True)
        shutil.copy(self.project / "sites" / f"{file}.toml", folder / SETTINGS)
        return Site(name, {"site": str(folder / SETTINGS)})


def _check_federation(federation: object) -> None:
    if not isinstance(federation, Federation):
        raise SettingError(
            f"A rehearsal was asked for of a {type(federation).__name__}, and not of a federation.",
            "Each owner goes through it with its own rows, and with the protection that the federation has.",
            "Give it one: fl.flower.Rehearsal(fl.Federation(owners), strategy). Names alone are for fl.flower.export.",
        )


def _clear(process: int, folder: Path) -> None:
    if os.getpid() == process:  # and not a copy of it (fork) that ends
        shutil.rmtree(folder, ignore_errors=True)


def _is_for(path: Path, name: str) -> bool:
    import tomllib

    return tomllib.loads(path.read_text(encoding="utf-8")).get("name") == name


def _write(rows: Rows, schema: Schema, path: Path) -> None:
    """All rows of an owner, in a file that only this user can read."""
    import pandas as pd

    parts = []
    for (features, values), ids in zip((rows.training, rows.held_out), rows.ids or (None, None), strict=True):
        part = features if schema.target == NO_TARGET else features.assign(**{schema.target.name: values})
        if schema.linked_by:
            texts = [texts_in(each) for each in ids or ()]
            part = part.assign(**{c.name: [row[k] for row in texts] for k, c in enumerate(schema.linked_by)})
        elif schema.id is not None:
            numbers = schema.id.kind == "numeric"
            part = part.assign(**{schema.id.name: [int(each) if numbers else each.decode() for each in ids or ()]})
        parts.append(part)
    path.touch(mode=0o600)
    pd.concat(parts, ignore_index=True).to_parquet(path, index=False)
