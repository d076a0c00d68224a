"""What a site knows by itself: who it is, where its rows are, and what it agrees to. A file that never leaves it."""

from __future__ import annotations

import os
import re
import secrets
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fedlab_nb.crypto import Identity
from fedlab_nb.data.intake import load
from fedlab_nb.errors import FedLabError, SettingError
from fedlab_nb.flower.driving.words import NOTEBOOK
from fedlab_nb.flower.party.fitting import check_columns, check_files
from fedlab_nb.flower.party.kinds import KINDS
from fedlab_nb.flower.predicting.site import check_site
from fedlab_nb.parties import DataOwner
from fedlab_nb.privacy import Budget, Vault

if TYPE_CHECKING:
    import pandas as pd

    from fedlab_nb.flower.agreement import Agreement

OWNER, KEY_HOLDER = "owner", "key holder"
# Where in a file tomllib found something wrong: the rest of what it says may quote the file.
_PLACE = re.compile(r"\(at .*\)$")
# A held run greets its parties every four minutes.
_FEWEST_MINUTES = 5
# Bytes of the secret that an identity is made of.
_SEED = 32


@dataclass(frozen=True, kw_only=True)
class SiteSettings:
    """The file ``site.toml`` of one party.

    Args:
        name: the party's name in the agreement.
        role: "owner"; "key holder", which has no rows; or "notebook", which has neither rows nor keys and may drive.
        data: a .csv or .parquet file, relative to this one; left out where ``sql`` says where the rows are.
        sql: ``url`` of a database, as SQLAlchemy reads it (a file of SQLite relative to this one), and the ``query``
            that gives the rows; ``password_from`` names the environment variable that has the password.
        target, id, held_out, bounds, categories: as for ``fl.DataOwner``.
        budget: ``epsilon`` and ``delta`` that this owner spends at most, whatever the federation agrees on.
        vault: the file that keeps what its data has given away, relative to this one; needed with a budget.
        part: the file, relative to this one, that keeps this owner's part of the model after every round, needed where
            owners with different columns train; and from which it is read where they predict together.
        predictions: the .csv or .parquet file, relative to this one, to which joint predictions go; at the owner of the
            labels alone.
        identity: the file with the secret of this party's lasting identity, relative to this one; made if absent.
        known: by party, the fingerprint of its identity, as it told it by telephone or on paper. Of those left out the
            first one that the server shows is taken.
        agreement: the digest of the only agreement that this site takes part in; left out, that of the app it is sent.
        idle_minutes: its process ends after so long without an order; 5 at least.
    """

    name: str
    role: Literal["owner", "key holder", "notebook"] = "owner"
    data: str = ""
    sql: dict[str, str] = field(default_factory=dict)
    target: str | None = None
    id: str | list[str] | None = None
    held_out: float = 0.2
    bounds: dict[str, list[float]] = field(default_factory=dict)
    categories: dict[str, list[Any]] = field(default_factory=dict)
    budget: dict[str, float] = field(default_factory=dict)
    vault: str = ""
    part: str = ""
    predictions: str = ""
    identity: str = "identity.key"
    known: dict[str, str] = field(default_factory=dict)
    agreement: str = ""
    idle_minutes: float = 60.0
    folder: Path = Path()

    @classmethod
    def read(cls, path: str | Path) -> SiteSettings:
        """The settings in a file.

        Raises:
            SettingError: it is not there, is no TOML, or says something that there is not.
        """
        path = Path(path)
        known = {f.name for f in fields(cls)} - {"folder"}
        try:
            facts = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise _unreadable(path, f"cannot be read ({type(error).__name__})") from None
        except ValueError as error:
            place = _PLACE.search(str(error))
            raise _unreadable(path, f"is no TOML{f' {place[0]}' if place else ''}") from None
        unknown = sorted(facts.keys() - known)
        if unknown or "name" not in facts:
            raise _unreadable(path, f"says {unknown[0]!r}, which there is not" if unknown else "gives no name")
        for name, value in facts.items():
            fits, wanted = KINDS[name]
            if not fits(value):
                raise _unreadable(path, f"gives {name} that is not {wanted}")
        settings = cls(**facts, folder=path.absolute().parent)
        settings._check(path)
        return settings

    def _check(self, path: Path) -> None:
        """Refuse settings of which each is possible, but not all together."""
        if self.role not in (OWNER, KEY_HOLDER, NOTEBOOK):
            raise _unreadable(path, f"gives the role {self.role!r}; there are {OWNER!r}, {KEY_HOLDER!r}, {NOTEBOOK!r}")
        if self.role != OWNER and (self.data or self.sql or self.budget or self.vault):
            raise _unreadable(path, f"gives data, a budget or a vault for a {self.role}, which has no rows")
        if self.role == OWNER and bool(self.data) == bool(self.sql):
            raise _unreadable(path, "gives both data and sql" if self.data else "gives neither data nor sql")
        if self.budget and not self.vault:
            raise _unreadable(path, "gives a budget and no vault, so that each start would begin with a full one")
        check_files(self, path)
        if not self.idle_minutes >= _FEWEST_MINUTES:
            raise SettingError(
                f"The settings {path.name!r} of a site: idle_minutes is {self.idle_minutes:g}.",
                "A party hears nothing while others compute, and every four minutes while a run is held: a process "
                "that ended before would take its keys of the run with it.",
                f"Leave it out, for an hour, or give {_FEWEST_MINUTES} or more; with its SuperNode it ends anyway.",
            )

    def check_agreement(self, agreement: Agreement) -> None:
        """Refuse to take part in a run that this site did not agree to, or not under these settings.

        Raises:
            SettingError.
        """
        if self.agreement and self.agreement != agreement.digest:
            raise SettingError(
                f"{self.name!r} takes part in the agreement {self.agreement[:12]} alone, and was sent "
                f"{agreement.digest[:12]}.",
                "Another agreement may ask for more, with less protection.",
                "Compare the two; who runs this site notes the digest of the one that is meant in site.toml.",
            )
        strangers = [name for name in self.known if name not in agreement.parties]
        if strangers:
            raise SettingError(
                f"{self.name!r} has noted a fingerprint of {strangers[0]!r}, and the parties of the agreement are "
                f"{', '.join(agreement.parties)}.",
                "It would be compared with nobody's, and the party that is meant be taken as the server shows it.",
                "Correct the name under [known] in site.toml, or remove the line.",
            )
        if self.role == NOTEBOOK and not agreement.driven:
            raise SettingError(
                "The parties of this run agreed on no notebook that drives it, and one is there.",
                "What nobody agreed on is not done.",
                "Stop this SuperNode, or export the project with driven=True.",
            )
        if self.role == OWNER:
            self._check_owner(agreement)
        check_site(self, agreement)

    def _check_owner(self, agreement: Agreement) -> None:
        if self.name not in agreement.names:
            raise SettingError(
                f"{self.name!r} is not among the owners of the agreement: {', '.join(agreement.names)}.",
                "Its part in sums, noise and checks follows from its place among them.",
                "Give this site one of these names in site.toml, or export the project with its name.",
            )
        check_columns(self, agreement)
        if agreement.house.budget is not None and not self.vault:
            raise SettingError(
                f"The parties agreed on {agreement.house.budget!r}, and {self.name!r} has no vault.",
                "Without it each run would begin with a full budget, whatever earlier ones have spent.",
                'Name a file for it in site.toml: vault = "budget.vault".',
            )

    def lasting_identity(self) -> Identity:
        """This party's identity, from its file; a new one if there is none.

        Raises:
            SettingError: the file cannot be read or made.
        """
        path = self.folder / self.identity
        try:
            if not path.exists():
                path.touch(mode=0o600)
                path.write_bytes(secrets.token_bytes(_SEED))
            seed = path.read_bytes()
        except OSError as error:
            raise _unreadable(path, f"cannot be read or made ({type(error).__name__})") from None
        if len(seed) != _SEED:
            raise _unreadable(path, f"holds {len(seed)} bytes where an identity has {_SEED}")
        return Identity(seed)

    def owner(self, *, without: str = "") -> DataOwner:
        """The owner of these rows, loaded now; a column that is called as ``without`` says is left out.

        Raises:
            SettingError, SchemaError: what of it cannot work; no row is quoted.
        """
        if self.data and not (self.folder / self.data).exists():
            raise SettingError(
                f"{self.name!r} is to have its rows in {self.data!r}, and there is no such file.",
                "Without rows an owner has nothing to take part with.",
                "Correct data in site.toml: the path counts from the folder in which site.toml lies.",
            )
        rows: pd.DataFrame | Path = self._query() if self.sql else self.folder / self.data
        if without:
            rows = load(rows).drop(columns=without, errors="ignore")
        bounds = {name: (low, high) for name, (low, high) in self.bounds.items() if name != without}
        categories = {name: values for name, values in self.categories.items() if name != without}
        budget = Budget(**self.budget) if self.budget else None
        return DataOwner(
            self.name,
            rows,
            target=self.target,
            id=self.id,
            held_out=self.held_out,
            bounds=bounds or None,
            categories=categories or None,
            budget=budget,
        )

    def open_vault(self) -> Vault | None:
        """The file that keeps the account; None where memory does."""
        return Vault(self.folder / self.vault) if self.vault else None

    def _query(self) -> pd.DataFrame:
        try:
            return _rows(self.sql, self.folder)
        except FedLabError:
            raise
        except Exception as error:  # noqa: BLE001 - a database's errors quote its address, and may quote rows
            kind = type(error).__name__
        raise SettingError(
            f"The rows of {self.name!r} could not be read from the database ({kind}).",
            "The message is withheld, because it may quote the address, a password or rows.",
            "Try the query at this site, and look at url and query in site.toml; SQLAlchemy comes with "
            '"fedlab-nb[flower]", the database\'s own driver does not.',
        )


def _rows(sql: Mapping[str, str], folder: Path) -> pd.DataFrame:
    """What the query gives."""
    import pandas as pd
    import sqlalchemy

    url = sqlalchemy.make_url(sql["url"])
    if variable := sql.get("password_from"):
        if variable not in os.environ:
            raise SettingError(
                f"The environment variable {variable!r} with the password of the database is not set.",
                "Without it the rows cannot be read.",
                "Set it where the SuperNode is started: its processes inherit it.",
            )
        url = url.set(password=os.environ[variable])
    if url.get_backend_name() == "sqlite" and url.database and not url.database.startswith((":", "file:")):
        # Opening a file that is not there would make an empty one.
        url = url.set(database=str((folder / url.database).resolve(strict=True)))
    engine = sqlalchemy.create_engine(url)
    try:
        with engine.connect() as connection:
            return pd.read_sql(sqlalchemy.text(sql["query"]), connection)
    finally:
        engine.dispose()


def _unreadable(path: Path, what: str) -> SettingError:
    return SettingError(
        f"The settings {path.name!r} of a site: it {what}.",
        "A site does nothing before it knows who it is and which rows are meant.",
        "Compare with the site.toml of the exported project; each line says there what it is for.",
    )
