"""A federation as a Flower project: a folder that its parties read, agree on, and run with Flower's own commands."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Unpack

from fedlab_nb.cards import card
from fedlab_nb.errors import SettingError
from fedlab_nb.flower import task as own_module
from fedlab_nb.flower.agreement import FILE, Agreement
from fedlab_nb.flower.project.exportable import check_exportable
from fedlab_nb.flower.project.folder import APP, check_folder, write
from fedlab_nb.flower.project.own import definitions, rebound, source_of
from fedlab_nb.flower.project.pages import app_files, certificates_page, readme, site_files
from fedlab_nb.flower.project.parties import HouseSettings, Parties, parties_of
from fedlab_nb.parties import Federation
from fedlab_nb.parties.rules import is_number, is_seed
from fedlab_nb.units import counted


@dataclass(frozen=True)
class Project:
    """A project that was written: its ``folder``, and the ``digest`` by which every site knows the agreement."""

    folder: Path
    digest: str
    files: tuple[str, ...]

    @property
    def agreement(self) -> Agreement:
        """What its parties agree on, read from the folder."""
        return Agreement.read(self.folder / APP)

    def __repr__(self) -> str:
        return f"Project({self.folder.name!r}, {counted(len(self.files), 'file')}, agreement {self.digest[:12]})"

    def _repr_html_(self) -> str:
        sites = [name for name in self.files if name.startswith("sites/")]
        rows = [
            ("Folder", self.folder.name),
            ("Agreement", self.digest),
            ("Read first", "README.md, CERTIFICATES.md"),
            ("For the sites", ", ".join(sites)),
        ]
        note = "It holds no rows, no keys and no passwords: share it with all parties, and keep theirs out of it."
        return card(f"Flower project: {self.folder.name}", rows, note)


class _Own(NamedTuple):
    """Models and strategies of a user's own: their source, their module's name, and the strategy made of them."""

    source: bytes | None
    names: tuple[str, ...]
    defined: tuple[tuple[str, str], ...]
    strategy: Any


def export(
    parties: Federation | Sequence[str],
    strategy: Any,
    folder: str | Path,
    *,
    num_rounds: int = 10,
    seed: int = 0,
    target: str = "",
    task: str | Path | None = None,
    overwrite: bool = False,
    **settings: Unpack[HouseSettings],
) -> Project:
    """Write a Flower project: what each party needs to run this training on a machine of its own.

    The folder holds the app (a few lines), the agreement of all parties, a file of settings to be filled in at each
    site, and a guide for those who run the machines. It holds no rows, no keys and no passwords, and is refused if the
    folder has any. The rows of the notebook's federation are not looked at: each site loads its own.

    Args:
        parties: a federation, whose settings and declared columns are taken over; or the names of owners whose rows
            nobody here has, with ``settings`` as for ``fl.Federation`` and the column to predict as ``target``.
        strategy: as for ``fl.train``.
        folder: a new folder; its name becomes the app's (letters, digits, hyphens).
        num_rounds: as for ``fl.train``.
        seed: as for ``fl.train``.
        target: the column to predict, where ``parties`` are names.
        task: a file of Python with models and strategies of your own. Left out, those that were typed in the notebook
            are cut from their cells.
        overwrite: write over an earlier export in the same folder. Its agreement gets another digest if anything of
            it changed, and sites must note the new one.
        settings: with names: ``encrypt``, ``protect``, ``budget``, ``sample_rate``, ``dropout``, ``noise_seed``,
            ``min_owners``.

    Raises:
        SettingError, RuleError: what cannot leave the notebook, or a folder that will not do; nothing was written.

    Example:
        >>> import fedlab_nb as fl
        >>> names = ["Clinic A", "Clinic B", "Clinic C"]
        >>> strategy = fl.FedAvg(fl.models.logistic())
        >>> encrypt = fl.CKKS()
        >>> project = fl.flower.export(names, strategy, "clinics", target="ill", encrypt=encrypt)  # doctest: +SKIP
        >>> project  # doctest: +SKIP
        Project('clinics', 13 files, agreement 3f0c52a91b7e)
    """
    place = Path(folder).absolute()
    taking = parties_of(parties, target, settings)
    check_exportable(taking.house, strategy)
    _check_rounds(num_rounds, seed)
    # Owners without rows: a budget that the notebook's owners have spent is no question of the sites'.
    strategy.check(taking.without_rows, num_rounds, seed=seed)
    check_folder(place, overwrite=overwrite)
    with tempfile.TemporaryDirectory() as draft:
        own = _own_code(strategy, None if task is None else Path(task), Path(draft))
        facts = taking.names, taking.house, own.strategy, int(num_rounds), int(seed), own.names, own.defined
        agreement = Agreement(*facts)
        files, digest = _files(place.name, taking, agreement, own.source), agreement.digest
        write(place, files)
    for name in own.names:
        own_module.loaded(name, place / APP)  # from now on its source is found there
    return Project(place, digest, tuple(sorted(files)))


def _files(name: str, parties: Parties, agreement: Agreement, source: bytes | None) -> dict[str, bytes]:
    digest = agreement.digest
    texts = {
        **app_files(name),
        "README.md": readme(name, parties, agreement),
        "CERTIFICATES.md": certificates_page(parties),
        f"{APP}/{FILE}": agreement.text,
        **site_files(parties, digest),
    }
    files = {path: text.encode() for path, text in texts.items()}
    return files if source is None else {**files, f"{APP}/{own_module.FILE}": source}


def _own_code(strategy: Any, file: Path | None, draft: Path) -> _Own:
    """The user's own code, and the strategy made of the classes as every party will have them.

    ``draft`` is a folder in which the module is found while the project is written.
    """
    wanted = definitions(strategy)
    if not wanted:
        if file is not None:
            raise SettingError(
                f"task={file.name!r} was given, and the strategy has nothing from it.",
                "Code that is not needed would travel to all sites.",
                "Leave task= out, or build the strategy from what is in the file.",
            )
        return _Own(None, (), (), strategy)
    _check_from(wanted, file)
    source = source_of(wanted).encode() if file is None else _read(file)
    name = own_module.name_of(source)
    (draft / own_module.FILE).write_bytes(source)
    module = own_module.loaded(name, draft)
    return _Own(source, (name,), own_module.defined(source, name), rebound(strategy, lambda d: _in(module, d)))


def _check_from(wanted: Sequence[Any], file: Path | None) -> None:
    """Refuse what is neither from the notebook nor from the given file."""
    for definition in wanted:
        module = definition.__module__
        at = getattr(sys.modules.get(module), "__file__", None)
        if (module != "__main__") if file is None else (at is None or not Path(at).samefile(file)):
            where = "the notebook" if file is None else f"the file {file.name!r}"
            raise SettingError(
                f"{definition.__qualname__!r} is from the module {module!r}, and not from {where}.",
                "Parties have this package and what is exported with it, and no other code of yours.",
                "Put all models and strategies of your own into one file, import them from it, and export with task=.",
            )


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise SettingError(
            f"The file task={file.name!r} cannot be read ({type(error).__name__}).",
            "It is to hold the models and strategies of your own.",
            "Give the path of a file of Python, as the notebook sees it.",
        ) from error


def _in(module: Any, definition: Any) -> Any:
    found = getattr(module, definition.__name__, None)
    if found is None:
        raise SettingError(
            f"There is no {definition.__qualname__!r} on the first level of the file with your own code.",
            "The parties look for it there by its name.",
            "Define it at the first level of the file, and save the file before you export.",
        )
    return found


def _check_rounds(num_rounds: object, seed: object) -> None:
    if not is_number(num_rounds, whole=True) or int(num_rounds) < 1 or not is_seed(seed):  # type: ignore[call-overload]
        raise SettingError(
            f"num_rounds is {num_rounds!r} and seed is {seed!r}.",
            "All parties agree beforehand on how many rounds there are, and on what randomness follows from.",
            "Use num_rounds=10 and seed=0, for example.",
        )
