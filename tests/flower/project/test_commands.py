"""The commands for those who run the machines do what the guide says, and the guide names what there is."""

from __future__ import annotations

import re
import shlex
import subprocess
import textwrap
from pathlib import Path

import pytest

import fedlab_nb as fl
from fedlab_nb.errors import SettingError
from fedlab_nb.flower.deploy import certificates
from fedlab_nb.flower.deploy.processes import environment, executable
from fedlab_nb.flower.project import export
from fedlab_nb.flower.project.__main__ import main
from tests.flower.deploy.common import with_flower
from tests.flower.project.common import NAMES, federation, frame

AVERAGE = fl.FedAvg(fl.models.logistic())


@pytest.fixture
def project(tmp_path: Path):
    return export(
        federation(encrypt=fl.CKKS(), protect=fl.RowLevelDP(), budget=fl.Budget(5.0)), AVERAGE, tmp_path / "lab"
    )


def commands(text: str) -> list[list[str]]:
    """The commands in a guide: its indented lines, those that go on joined."""
    lines = [line.strip() for line in text.replace("\\\n", " ").splitlines() if line.startswith("    ")]
    return [shlex.split(line, comments=True) for line in lines if not re.match(r"\[|\w+(-\w+)* = ", line)]


def test_the_guides_name_commands_that_there_are(project, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    named = {
        tuple(command[3:4])
        for page in ("README.md", "CERTIFICATES.md")
        for command in commands((project.folder / page).read_text())
        if command[:3] == ["python", "-m", "fedlab_nb.flower.project"]
    }
    assert named == {("show",), ("check",), ("authority",), ("server",), ("key",)}
    for (name,) in named:
        with pytest.raises(SystemExit) as ended:
            main([name, "--help"])
        assert ended.value.code == 0
    assert main(["show", str(project.folder)]) == 0
    said = capsys.readouterr().out
    assert f"digest: {project.digest}" in said
    assert "exactly" not in said


@with_flower
def test_the_guide_starts_programs_as_they_are_started_here(project) -> None:
    from fedlab_nb.flower.deploy import commands as started

    def options(command: list[str]) -> tuple[str, set[str]]:
        return Path(command[0]).name, {part for part in command if part.startswith("--")}

    here = Path()
    certificate = certificates.ServerCertificate(here, here)
    known = [
        started.superlink_command(certificate, here, here, database=here),
        started.superexec_command(here, here),
        started.supernode_command("fl.example.org:8000", here, here, config=here),
    ]
    told = [
        command for command in commands((project.folder / "README.md").read_text()) if command[0].startswith("flower-")
    ]
    assert [options(command) for command in told] == [options(command) for command in known]
    assert "--insecure" not in (project.folder / "README.md").read_text()


@with_flower
def test_flower_takes_the_settings_and_the_commands_of_the_guide(project, tmp_path: Path) -> None:
    guide = (project.folder / "README.md").read_text()
    (settings,) = re.findall(r"(    \[superlink\]\n.*?\n)\n[A-Z]", guide, re.DOTALL)
    certificate = certificates.make_authority(tmp_path / "ca").certificate
    site = certificates.make_node_key(tmp_path / "keys", "clinic-a")
    (tmp_path / "clinic-a.pub").write_bytes(site.public.read_bytes())
    home = tmp_path / "flower-home"
    home.mkdir()
    # No SuperLink is there: that nobody answers is what comes last, when all else was understood.
    told = settings.replace("/full/path/of/ca.pem", str(certificate)).replace("127.0.0.1:8000", "127.0.0.1:9")
    (home / "config.toml").write_text(textwrap.dedent(told))
    register = next(words for words in commands(guide) if words[:3] == ["flwr", "supernode", "register"])
    for command in (register, ["flwr", "supernode", "list", "fedlab_superlink"]):
        done = subprocess.run(
            [executable("flwr"), *command[1:]],
            cwd=project.folder,
            env=environment(home),
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Connection to the SuperLink is unavailable" in done.stdout + done.stderr


def test_no_projects_folder_has_the_name_of_the_superlink(tmp_path: Path) -> None:
    # Flower takes a folder of that name, where a command is given, for an app, and asks no SuperLink.
    driven = export(NAMES, AVERAGE, tmp_path / "driven", target="ill", driven=True).folder
    guide = (driven / "README.md").read_text()
    (name,) = re.findall(r"\[superlink\.(.+)\]", guide)
    with pytest.raises(SettingError, match="cannot be exported to a folder named"):
        export(NAMES, AVERAGE, tmp_path / name, target="ill")
    said = guide + "".join((driven / page).read_text() for page in ("CERTIFICATES.md", "pyproject.toml"))
    asked = re.findall(r"flwr (?:run \.|log RUN_ID|list|stop RUN_ID|supernode (?:list|\w+ \S+)) ([^\s`]+)", said)
    assert len(asked) == 10
    assert {*asked} == {name}


def test_keys_and_certificates_are_made_as_the_guide_says(
    project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = commands((project.folder / "CERTIFICATES.md").read_text())
    for line in lines:
        assert main(line[3:]) == 0
    made = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if "lab" not in path.parts}
    assert made >= {
        *("ca/ca.pem", "ca/ca.key", "certificates/superlink.pem", "certificates/superlink.key"),
        *("certificates/superexec.secret", "keys/supernode.key", "keys/supernode.pub"),
    }
    assert (tmp_path / "keys" / "supernode.key").stat().st_mode & 0o077 == 0
    capsys.readouterr()
    assert main(["key", str(project.folder / "keys")]) == 1
    assert "lies inside the Flower app" in capsys.readouterr().err


def test_a_site_is_tried_as_the_guide_says(project, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    site = tmp_path / "site.toml"
    site.write_bytes((project.folder / "sites" / "clinic-a.toml").read_bytes())
    assert main(["check", str(site), "--app", str(project.folder)]) == 1
    told = capsys.readouterr().err
    assert "its rows in 'rows.csv', and there is no such file" in told
    assert "the folder in which site.toml lies" in told
    assert "notebook" not in told
    frame().iloc[::2].to_csv(tmp_path / "rows.csv", index=False)
    assert main(["check", str(site), "--app", str(project.folder)]) == 0
    said = capsys.readouterr().out
    assert "takes part in this project's agreement" in said
    assert "mean_radius: numeric, 0 to 30.5" in said
    another = export(NAMES, AVERAGE, tmp_path / "another", target="diagnosis")
    assert main(["check", str(site), "--app", str(another.folder)]) == 1
    assert "takes part in the agreement" in capsys.readouterr().err


def test_the_check_says_whose_fingerprints_are_missing(project, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    site, frame_of = tmp_path / "site.toml", (project.folder / "sites" / "clinic-a.toml").read_text()
    frame().iloc[::2].to_csv(tmp_path / "rows.csv", index=False)

    def tried(*known: str) -> tuple[int, str]:
        lines = "".join(f'"{name}" = "{64 * "a"}"\n' for name in known)
        site.write_text(frame_of + f"[known]\n{lines}")
        done = main(["check", str(site), "--app", str(project.folder)])
        said = capsys.readouterr()
        return done, said.out + said.err

    assert "No fingerprint is noted of 'Clinic B', 'key holder'" in tried()[1]
    assert "No fingerprint is noted of 'key holder'" in tried("Clinic B")[1]
    assert "fingerprints of all other parties are noted" in tried("Clinic B", "key holder")[1]
    done, said = tried("Clinic Bx")
    assert done == 1
    assert "a fingerprint of 'Clinic Bx'" in said


def test_where_nothing_is_sealed_no_fingerprint_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    plain = export(federation(), AVERAGE, tmp_path / "plain")
    (tmp_path / "site.toml").write_bytes((plain.folder / "sites" / "clinic-a.toml").read_bytes())
    frame().iloc[::2].to_csv(tmp_path / "rows.csv", index=False)
    assert main(["check", str(tmp_path / "site.toml"), "--app", str(plain.folder)]) == 0
    assert "No fingerprint is noted" not in capsys.readouterr().out


def test_a_key_holder_is_tried_too(project, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    site = project.folder / "sites" / "key_holder.toml"
    assert main(["check", str(site), "--app", str(project.folder)]) == 0
    assert "role key holder" in capsys.readouterr().out
    loose = tmp_path / "site.toml"
    loose.write_text('name = "key holder"\nrole = "key holder"\n')
    assert main(["check", str(loose)]) == 0
    said = capsys.readouterr().out
    assert "Not compared with an agreement" in said
    assert "takes part in whatever it is sent" in said


def test_show_finds_secrets_in_the_project(project, capsys: pytest.CaptureFixture) -> None:
    (project.folder / "supernode.key").write_text("x")
    assert main(["show", str(project.folder)]) == 1
    assert "looks like a key" in capsys.readouterr().err
