"""A federation as a Flower project: a folder that its parties read, agree on, and run with Flower's own commands."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Unpack

from fedlab_nb.cards import card
from fedlab_nb.errors import SettingError
from fedlab_nb.flower import task as own_module
from fedlab_nb.flower.agreement import FILE, Agreement
from fedlab_nb.flower.driving.page import SITE_FILE, check_drivable, guide_section, site_file
from fedlab_nb.flower.predicting.exporting import check_prediction
from fedlab_nb.flower.project import root_rows
from fedlab_nb.flower.project.exportable import check_exportable
from fedlab_nb.flower.project.folder import APP, check_folder, write
from fedlab_nb.flower.project.own import definitions, rebound, source_of
from fedlab_nb.flower.project.pages import app_files, certificates_page, readme, services_page, site_files
from fedlab_nb.flower.project.parties import HouseSettings, Parties, parties_of
from fedlab_nb.flower.survey.questions import Questions, asks, check_questions
from fedlab_nb.flower.survey.trial import agreed_on, tried
from fedlab_nb.parties import Federation
from fedlab_nb.parties.columns.fitting import check_strategy_columns
from fedlab_nb.parties.rules import is_number, is_seed
from fedlab_nb.units import counted
from fedlab_nb.vertical import JointPrediction


@dataclass(frozen=True)
class Project:
    """A project that was written: its ``folder``, and the ``digest`` by which every site knows the agreement.

    ``root_rows`` is a file beside the folder, for the server alone, where the strategy's rule has such rows.
    """

    folder: Path
    digest: str
    files: tuple[str, ...]
    root_rows: Path | None = None

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
            ("Read first", "README.md, CERTIFICATES.md, SERVICES.md"),
            ("For the sites", ", ".join(sites)),
        ]
        if self.root_rows is not None:
            rows.append(("For the server alone", f"{self.root_rows.parent.name}/{self.root_rows.name}, beside it"))
        own = f"{APP}/{own_module.FILE}" in self.files
        code = ", but your own code as it stands, constants and comments too" if own else ""
        note = f"It holds no rows and no keys{code}: share it with all parties, and keep theirs out of it."
        return card(f"Flower project: {self.folder.name}", rows, note)


class _Own(NamedTuple):
    """Models, strategies or questions of a user's own: their source, their module's name, and what is made of them."""

    source: bytes | None
    names: tuple[str, ...]
    defined: tuple[tuple[str, str], ...]
    strategy: Any


def export(
    parties: Federation | Sequence[str],
    what: Any,
    folder: str | Path,
    *,
    num_rounds: int | None = None,
    seed: int | None = None,
    target: str = "",
    linkage: float | None = None,
    task: str | Path | None = None,
    driven: bool = False,
    overwrite: bool = False,
    **settings: Unpack[HouseSettings],
) -> Project:
    """Write a Flower project: what each party needs to run a training, or to answer questions, on a machine of its own.

    The folder holds the app (a few lines), the agreement of all parties, a file of settings to be filled in at each
    site, and a guide for those who run the machines. It holds no rows and no keys, and is refused if there are any.
    Code of your own travels as it stands, with its constants and comments: write no password into it. The rows of the
    notebook's federation are not looked at: each site loads its own. Root rows of ``fl.aggregate.FLTrust`` are the
    server's: they are written to a folder of their own, beside the project's. Questions are tried on invented rows
    first, where the columns and their values are known here; owners of different columns agree on each that is asked
    then, in its order, and answer no other.

    Args:
        parties: a federation, whose settings and declared columns are taken over; or the names of owners whose rows
            nobody here has, with ``settings`` as for ``fl.Federation`` and the column to predict as ``target``.
        what: a strategy, as for ``fl.train``; a function that asks questions, and yields name and answer of each; or an
            ``fl.vertical.JointPrediction``, which owners make with the parts of a model that they keep.
        folder: a new folder; its name becomes the app's (letters, digits, hyphens).
        num_rounds: as for ``fl.train``; left out, 10. Questions have no rounds.
        seed: as for ``fl.train``; left out, 0. Questions have none.
        target: the column to predict, where ``parties`` are names.
        linkage: where ``parties`` are the names of two owners of different columns without a common id, the threshold
            by which their rows are linked, as for ``fl.vertical.link``. A federation's is the one by which its rows
            are linked in the notebook, or 0.85.
        task: a file of Python with models, strategies or questions of your own. Left out, those that were typed in the
            notebook are cut from their cells.
        driven: a notebook may hold, change and end the run between rounds; it is a node of its own (see the README of
            the project), and the parties agree to it.
        overwrite: write over an earlier export in the same folder; all settings in its ``sites`` are removed. Its
            agreement gets another digest if anything of it changed, and sites must note the new one.
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
        >>> def questions(frame):
        ...     yield "mean age", frame["age"].mean(epsilon=0.5)
        ...     yield "by ward", frame.groupby("ward").size(epsilon=0.2)
        >>> budget = fl.Budget(2.0)
        >>> fl.flower.export(names, questions, "survey", target="ill", budget=budget)  # doctest: +SKIP
    """
    place, given = _path("folder", folder).absolute(), None if task is None else _path("task", task)
    _check_yes_or_no(driven=driven, overwrite=overwrite)
    taking = parties_of(parties, target, settings, what, linkage)
    if isinstance(what, JointPrediction):
        check_prediction(what, taking, target=target, num_rounds=num_rounds, seed=seed, driven=driven)
        rounds, start = 0, 0
    else:
        rounds, start = _check_work(what, taking, num_rounds, seed, driven=driven)
    agreed = agreed_on(what, taking) if asks(what) and taking.of_columns else ()
    cost = tried(what, taking) if asks(what) and not taking.of_columns else None
    check_folder(place, overwrite=overwrite)
    rows = root_rows.place_of(what, place, overwrite=overwrite)
    with tempfile.TemporaryDirectory() as draft:
        shown = root_rows.parted(what, rows, Path(draft))
        own = _own_code(shown, given, Path(draft))
        strategy = replace(own.strategy, agreed=agreed) if agreed else own.strategy
        facts = taking.names, taking.house, strategy, rounds, start, own.names, own.defined
        agreement = Agreement(*facts, driven=driven, linkage=taking.linkage)
        files, digest = _files(place.name, taking, agreement, own.source, cost), agreement.digest
        write(place, files)
        root_rows.keep(rows, Path(draft))
    for name in own.names:
        own_module.loaded(name, place / APP)  # from now on its source is found there
    return Project(place, digest, tuple(sorted(files)), rows)


def _check_work(
    what: Any, taking: Parties, num_rounds: int | None, seed: int | None, *, driven: bool
) -> tuple[int, int]:
    """Refuse what cannot leave the notebook; how many rounds there are, and the seed."""
    if driven:
        check_drivable(taking.names, has_rounds=not asks(what))
    if asks(what):
        check_questions(what, taking.house, num_rounds=num_rounds, seed=seed)
        return 0, 0
    num_rounds, seed = 10 if num_rounds is None else num_rounds, 0 if seed is None else seed
    schema = taking.without_rows.schema
    check_exportable(taking.house, what)
    check_strategy_columns(what, schema)
    _check_rounds(num_rounds, seed)
    # Owners without rows: a budget that the notebook's owners have spent is no question of the sites'.
    root_rows.known_columns(what, taking).check(taking.without_rows, num_rounds, seed=seed)
    return int(num_rounds), int(seed)


def _files(
    name: str, parties: Parties, agreement: Agreement, source: bytes | None, cost: float | None
) -> dict[str, bytes]:
    digest = agreement.digest
    driving = guide_section(vertical=agreement.vertical) if agreement.driven else ""
    texts = {
        **app_files(name),
        "README.md": readme(name, parties, agreement, cost) + driving,
        "CERTIFICATES.md": certificates_page(parties),
        "SERVICES.md": services_page(),
        f"{APP}/{FILE}": agreement.text,
        **site_files(parties, digest, predicts=isinstance(agreement.strategy, JointPrediction)),
    }
    if agreement.driven:
        texts[SITE_FILE] = site_file(digest)
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
    given = None if file is None else _read(file)
    _check_from(wanted, file)
    source = source_of(wanted).encode() if given is None else given
    name = own_module.name_of(source)
    (draft / own_module.FILE).write_bytes(source)
    module = own_module.loaded(name, draft)
    if asks(strategy):
        # Sites do not run it: it is no module of theirs, and none of it may be named in a message.
        return _Own(source, (), (), Questions.of(_in(module, strategy).__name__, source))
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


def _path(name: str, given: object) -> Path:
    if isinstance(given, str | Path):
        return Path(given)
    raise SettingError(
        f"{name} is {given!r}.",
        "A project is a folder, and code of your own is in a file: each has a path.",
        'Give it as a text or a Path: folder="clinics", task="own.py".',
    )


def _check_yes_or_no(**given: object) -> None:
    for name, value in given.items():
        if not isinstance(value, bool):
            raise SettingError(
                f"{name} is {value!r}.",
                "It is either so or not: what is neither could be taken for a yes that nobody meant.",
                f"Pass {name}=True, or leave it out.",
            )


def _check_rounds(num_rounds: object, seed: object) -> None:
    if not is_number(num_rounds, whole=True) or int(num_rounds) < 1 or not is_seed(seed):  # type: ignore[call-overload]
        raise SettingError(
            f"num_rounds is {num_rounds!r} and seed is {seed!r}.",
            "All parties agree beforehand on how many rounds there are, and on what randomness follows from.",
            "Use num_rounds=10 and seed=0, for example.",
        )
