"""Commands for those who run the machines: keys and certificates, what was agreed on, and a site's settings tried.

python -m fedlab_nb.flower.project --help
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from fedlab_nb.errors import FedLabError, SettingError
from fedlab_nb.flower.agreement import FILE, Agreement
from fedlab_nb.flower.deploy import certificates
from fedlab_nb.flower.driving.words import NOTEBOOK
from fedlab_nb.flower.orders.trust import fingerprint_of
from fedlab_nb.flower.party.settings import KEY_HOLDER, OWNER, SiteSettings
from fedlab_nb.flower.predicting.site import check_site, to_predict
from fedlab_nb.flower.project.folder import APP, check_no_secrets
from fedlab_nb.flower.survey.questions import Questions
from fedlab_nb.parties import DataOwner
from fedlab_nb.records.schema import NO_TARGET


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; 0 if it worked, 1 if it was refused."""
    asked = _parser().parse_args(arguments)
    try:
        lines: list[str] = asked.do(asked)
    except FedLabError as error:
        sys.stderr.write(f"{error.what}\n{error.why}\n{error.do}\n")
        return 1
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fedlab_nb.flower.project", description="For those who run a site.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    show = commands.add_parser("show", help="what the parties of a project agree on, and whether the code here fits")
    show.add_argument("project", type=Path)
    show.set_defaults(do=_show)
    check = commands.add_parser("check", help="try the settings of a site: are they understood, can its rows be loaded")
    check.add_argument("site", type=Path, help="the site.toml")
    check.add_argument("--app", type=Path, help="the project's folder, to compare with its agreement")
    check.set_defaults(do=_check)
    authority = commands.add_parser("authority", help="a new authority: ca.pem and ca.key")
    authority.set_defaults(do=_authority)
    server = commands.add_parser("server", help="superlink.pem, superlink.key and superexec.secret for the server")
    server.add_argument("--authority", type=Path, required=True, help="the folder with ca.pem and ca.key")
    server.add_argument("--name", action="append", default=[], help="a host name or address by which sites call it")
    server.set_defaults(do=_server)
    key = commands.add_parser("key", help="the key pair of a site")
    key.add_argument("--name", default="supernode", help="what its files are called")
    key.set_defaults(do=_key)
    for command in (authority, server, key):
        command.add_argument("folder", type=Path, help="where to write, outside every project")
    for command in (authority, server):
        command.add_argument("--days", type=int, default=certificates.DAYS, help="how long it is good")
    return parser


def _show(asked: argparse.Namespace) -> list[str]:
    agreement = _agreement(asked.project)
    said = json.loads((asked.project / APP / FILE).read_text(encoding="utf-8"))
    listed = [f"  {number}. {text}" for number, text in enumerate(said.pop("asked", []), 1)]
    facts = [f"{name}: {value}" for name, value in said.items() if name not in ("exactly", "functions", "modules")]
    check_no_secrets(asked.project)
    own = ["It brings code of its own: read fedlab_app/task.py."] if agreement.modules else []
    own += ["It asks questions: read fedlab_app/task.py."] if isinstance(agreement.strategy, Questions) else []
    own += ["Each site answers these, once, in this order, and no others:", *listed] if listed else []
    return [*facts, *own, f"digest: {agreement.digest}", "The code here is the code that it was made with."]


def _check(asked: argparse.Namespace) -> list[str]:
    settings = SiteSettings.read(asked.site)
    agreement = None if asked.app is None else _agreement(asked.app)
    if agreement is not None:
        settings.check_agreement(agreement)
    lines = [f"{settings.name!r}, role {settings.role}: the settings are understood."]
    if settings.role != NOTEBOOK:
        lines.append(f"Its fingerprint, for the others: {fingerprint_of(settings.lasting_identity().public)}")
    if settings.role == OWNER:
        part = None if agreement is None else check_site(settings, agreement)
        lines += _loaded(settings.owner() if part is None else to_predict(settings, part))
        if part is not None:
            lines.append(f"Its part of the model can read them: {part!r}.")
    if agreement is not None:
        lines += ["It takes part in this project's agreement.", *_fingerprints(settings, agreement)]
    else:
        lines.append("Not compared with an agreement: name the project with --app.")
    if not settings.agreement:
        lines.append("It notes no agreement, and takes part in whatever it is sent: note the digest.")
    return lines


def _loaded(owner: DataOwner) -> list[str]:
    """What is said of an owner whose rows were loaded: its columns, and no row."""
    schema = owner.schema
    lines = [f"Its rows can be loaded: {owner!r}."]
    lines += [f"  {column.name}: {column.kind}, {column.declared}" for column in schema.features]
    if schema.linked_by:
        names = ", ".join(column.name for column in schema.linked_by)
        lines.append(f"  {names} (id): by them rows of both owners that are alike are linked")
    elif schema.id is not None:
        lines.append(f"  {schema.id.name} (id): by it owners find the rows that all of them have")
    if schema.target != NO_TARGET:
        lines.append(f"  {schema.target.name} (target): {schema.target.kind}")
    return lines


def _agreement(project: Path) -> Agreement:
    """What the parties of the project in this folder agree on."""
    if not (project / APP / FILE).is_file():
        raise SettingError(
            f"The folder {project.name!r} has no {APP}/{FILE} in it.",
            "It says who takes part in what; nothing is compared without it.",
            f"Name the folder that was exported: README.md and {APP} lie in it.",
        )
    return Agreement.read(project / APP)


def _fingerprints(settings: SiteSettings, agreement: Agreement) -> list[str]:
    """Whose fingerprints are missing, where keys cross by which something is sealed."""
    if settings.role == NOTEBOOK or not agreement.seals:
        return []
    own = KEY_HOLDER if settings.role == KEY_HOLDER else settings.name
    missing = [name for name in agreement.parties if name not in (own, *settings.known)]
    if not missing:
        return ["The fingerprints of all other parties are noted."]
    whose = ", ".join(map(repr, missing))
    return [f"No fingerprint is noted of {whose}: the server could put in keys of its own. Note theirs under [known]."]


def _authority(asked: argparse.Namespace) -> list[str]:
    made = certificates.make_authority(asked.folder, days=asked.days)
    return [f"{made.certificate}: give it to all parties.", f"{made.key}: secret, it stays here."]


def _server(asked: argparse.Namespace) -> list[str]:
    authority = certificates.Authority(asked.authority / "ca.pem", asked.authority / "ca.key")
    made = certificates.make_server_certificate(authority, asked.folder, asked.name, days=asked.days)
    secret = certificates.make_shared_secret(asked.folder)
    return [
        f"{made.certificate}: shown to whoever connects.",
        f"{made.key}, {secret}: secret, they stay on the server.",
    ]


def _key(asked: argparse.Namespace) -> list[str]:
    made = certificates.make_node_key(asked.folder, asked.name)
    return [f"{made.public}: send it to whoever runs the server.", f"{made.private}: secret, it stays here."]


if __name__ == "__main__":
    sys.exit(main())
