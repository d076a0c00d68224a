"""The settings file of each site, to be filled in there: it says of each line what it is for."""

from __future__ import annotations

from collections.abc import Iterable

from fedlab_nb.flower.deploy.settings import text
from fedlab_nb.flower.party.settings import KEY_HOLDER
from fedlab_nb.flower.project.pages.joint.predictions import settings_of
from fedlab_nb.flower.project.parties import Parties, Taking
from fedlab_nb.privacy import Budget
from fedlab_nb.records import Column
from fedlab_nb.records.schema import NO_TARGET

KEY_HOLDER_FILE = "key_holder"
# So many columns are listed; the target is the last one.
_MOST = 60
_HEAD = """\
# Settings of {who}.
# Copy this file to {where}, as site.toml, and fill it in there.
# Keep it outside the project folder, readable by the user that runs the SuperNode and by nobody else.
# Then try it: python -m fedlab_nb.flower.project check site.toml --app PROJECT

# Who this is in the agreement; another name is refused.
name = {name}
role = {role}

# The only agreement that this site takes part in (SHA-256 of fedlab_app/agreement.json). Read the agreement first.
agreement = "{digest}"

# The party's own process ends by itself after so many minutes without a message.
idle_minutes = 60

# The secret of this party's lasting identity, relative to this file; made when it is first needed. The check above
# shows its fingerprint: tell it to the other parties by telephone, and note theirs under [known], at the end.
identity = "identity.key"
"""
_KNOWN = """
# The other parties' fingerprints, as they told them. With them the server cannot put in keys of its own, with which it
# could read everything. Those left out are taken as the server shows them, in each run anew: the check names them.
# [known]
{lines}"""
_OWNER = """
# Where the rows are: a .csv or .parquet file, relative to this file. For a database leave this line out, see [sql].
data = "rows.csv"

# The column to predict.
{target}

# The share of rows that is never trained on, only tested on: from 0 to 0.5.
held_out = {held_out}

# The file in which this site keeps what its rows have given away so far, relative to this file. Back it up: who loses
# it no longer knows what was spent.
{vault}
"""
_COLUMNS = """\
{target}

{finding}
id = {id}
"""
_PART = """
# The file that keeps this owner's part of the model after every round, relative to this file. Nobody else has it.
part = "part.safetensors"
"""
_BY_ID = "# The column by which owners find the rows that all of them have. Ids cross masked, never as they are."
_BY_LIKENESS = """\
# The columns that together tell whose row it is, by which rows of both owners are linked: as many at each owner, the
# first compared with the first, and so on. Letters and digits count, and of dates the year comes first. The server gets
# a pseudonym of each row: no name, but by what is frequent some can be guessed."""
_SQL = """
# A database in place of `data`: its address as SQLAlchemy reads it, and the query that gives the rows.
# password_from names an environment variable of the SuperNode that has the password.
# [sql]
# url = "postgresql+psycopg://reader@db.example.org/clinic"
# query = "SELECT age, ward, diagnosis FROM visits"
# password_from = "CLINIC_DB_PASSWORD"
"""


def site_files(parties: Parties, digest: str, *, predicts: bool = False) -> dict[str, str]:
    """The text of each site's settings, by the name of its file in the project; ``predicts``: for a prediction."""
    files = {f"sites/{owner.file}.toml": _owner(owner, parties, digest, predicts=predicts) for owner in parties.owners}
    if parties.has_key_holder:
        head = _HEAD.format(
            who="the key holder, which opens sums and has no rows",
            where="a machine of its own, which neither the server nor an owner runs",
            name=text(KEY_HOLDER),
            role=text(KEY_HOLDER),
            digest=digest,
        )
        files[f"sites/{KEY_HOLDER_FILE}.toml"] = head
    everyone = [*(owner.name for owner in parties.owners), *([KEY_HOLDER] if parties.has_key_holder else [])]
    return {path: body + _known(everyone, body) for path, body in files.items()}


def _known(everyone: Iterable[str], body: str) -> str:
    others = [text(name) for name in everyone if f"\nname = {text(name)}\n" not in body]
    return _KNOWN.format(lines="".join(f'# {name} = "64 hex characters"\n' for name in others))


def _owner(owner: Taking, parties: Parties, digest: str, *, predicts: bool) -> str:
    head = _HEAD.format(
        who=f"{text(owner.name)}, an owner of rows",
        where="the machine that has its rows",
        name=text(owner.name),
        role=text("owner"),
        digest=digest,
    )
    counted = parties.house.protect is not None or owner.budget is not None
    vault = 'vault = "budget.vault"' if counted else '# vault = "budget.vault"'
    held_out = repr(float(owner.held_out))
    target = f"target = {text(parties.target or 'TARGET')}"
    labelled = owner.name == parties.labels_at or (owner.schema is not None and bool(owner.schema.target.name))
    if parties.of_columns:
        elsewhere = "another owner has it" if parties.target or parties.labels_at else "no owner names one"
        where = target if labelled else f"# ({elsewhere})"
        target = _apart(owner, where, parties.linkage, trains=bool(parties.labels_at))
    body = _OWNER.format(target=target, held_out=held_out, vault=vault)
    if predicts:
        body = settings_of(*_found_by(owner, parties.linkage), vault, labelled=labelled)
    return head + body + _columns(owner, parties, predicts=predicts) + _budget(owner.budget) + _SQL


def _apart(owner: Taking, where: str, linkage: float | None, *, trains: bool) -> str:
    """What an owner says of its columns where others have other columns of the same rows."""
    finding, named = _found_by(owner, linkage)
    return (_COLUMNS.format(finding=finding, id=named, target=where) + _PART * trains).rstrip("\n")


def _found_by(owner: Taking, linkage: float | None) -> tuple[str, str]:
    """How the owners find their rows in common, in words; and the columns for it."""
    column = owner.schema.id.name if owner.schema is not None and owner.schema.id is not None else "ID"
    linked_by = [column.name for column in owner.schema.linked_by] if owner.schema is not None else ["NAME", "BORN"]
    return (_BY_ID, text(column)) if linkage is None else (_BY_LIKENESS, f"[{', '.join(map(text, linked_by))}]")


def _columns(owner: Taking, parties: Parties, *, predicts: bool) -> str:
    """What it declared of its columns, and which columns there are."""
    columns = [*owner.schema.features, owner.schema.target] if owner.schema else []
    columns = columns[:-1] if predicts else columns
    columns = [column for column in columns if column != NO_TARGET]
    known = f"\n# {'It has' if parties.of_columns else 'All owners have'} these columns:\n" if columns else ""
    kinds = {"numeric": "numbers", "category": "categories"}
    known += "".join(f"#   {text(column.name)}: {kinds[column.kind]}\n" for column in columns[-_MOST:])
    known += f"#   and {len(columns) - _MOST} more\n" if len(columns) > _MOST else ""
    bounds = [f"{text(c.name)} = [{c.bounds[0]!r}, {c.bounds[1]!r}]" for c in columns if c.bounds is not None]
    lists = [_list(c) for c in columns if c.categories is not None]
    return (
        known
        + "\n# The lowest and highest number of a column, declared and public: values beyond are cut off.\n"
        + _table("bounds", bounds, "age = [0.0, 120.0]")
        + "\n# All values of a column of categories, declared and public: others count as unknown.\n"
        + _table("categories", lists, 'ward = ["A", "B"]')
    )


def _list(column: Column) -> str:
    values = [_value(value) for value in column.categories or ()]
    line = f"{text(column.name)} = [{', '.join(map(str, values))}]"
    # What TOML has no words for is for the site to declare where it loads its rows.
    return f"# {line}" if None in values else line


def _value(value: object) -> str | None:
    plain = value.item() if hasattr(value, "item") else value
    if isinstance(plain, bool):
        return str(plain).lower()
    if isinstance(plain, str):
        return text(plain)
    return repr(plain) if isinstance(plain, int | float) else None


def _table(name: str, lines: Iterable[str], example: str) -> str:
    lines = [*lines]
    if not any(not line.startswith("#") for line in lines):
        return f"# [{name}]\n" + "".join(f"{line}\n" for line in lines or [f"# {example}"])
    return f"[{name}]\n" + "".join(f"{line}\n" for line in lines)


def _budget(budget: Budget | None) -> str:
    lines = [f"epsilon = {float(budget.epsilon)!r}", f"delta = {float(budget.delta)!r}"] if budget else []
    return (
        "\n# What this owner spends at most, over all runs and whatever the federation agrees on. It needs a vault.\n"
        + (_table("budget", lines, "") if lines else "# [budget]\n# epsilon = 8.0\n# delta = 1e-5\n")
    )
