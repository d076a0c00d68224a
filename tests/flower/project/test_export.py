"""What is exported is what was agreed on: read back, compared, and packed by Flower itself."""

from __future__ import annotations

import ast
import hashlib
import subprocess
import tomllib
import zipfile
from pathlib import Path

import pytest

import fedlab_nb as fl
from fedlab_nb.errors import BudgetExceededError, RuleError, SettingError
from fedlab_nb.flower.agreement import Agreement
from fedlab_nb.flower.deploy.processes import environment, executable
from fedlab_nb.flower.party.settings import SiteSettings
from fedlab_nb.flower.project import Project, export
from tests.flower.deploy.common import with_flower
from tests.flower.project.common import (
    BOUNDS,
    CATEGORIES,
    DECLARED,
    NAMES,
    federation,
    files,
    frame,
    own_module,
    owners,
)

FIXED = {
    *(".gitignore", "CERTIFICATES.md", "LICENSE", "README.md", "SERVICES.md", "pyproject.toml"),
    *(f"fedlab_app/{name}" for name in ("__init__.py", "agreement.json", "client_app.py", "server_app.py")),
}
SITES = {"sites/clinic-a.toml", "sites/clinic-b.toml"}
AVERAGE = fl.FedAvg(fl.models.logistic())


def test_all_facts_of_a_federation_come_back(tmp_path: Path) -> None:
    here = federation(encrypt=fl.CKKS(), protect=fl.RowLevelDP(clip=0.5), budget=fl.Budget(5.0), sample_rate=0.9)
    strategy = fl.FedAdam(fl.models.mlp(hidden=(4,)), server_lr=0.2)
    project = export(here, strategy, tmp_path / "clinics", num_rounds=7, seed=3)
    agreement = project.agreement
    assert agreement == Agreement(here.names, here.house, strategy, 7, 3)
    assert files(project.folder) == FIXED | SITES | {"sites/key_holder.toml"} == set(project.files)
    written = (project.folder / "fedlab_app" / "agreement.json").read_bytes()
    assert project.digest == agreement.digest == hashlib.sha256(written).hexdigest()


def test_names_are_enough(tmp_path: Path) -> None:
    here = federation(encrypt=fl.SecAgg(), protect=fl.RowLevelDP(), budget=fl.Budget(5.0))
    strategy = fl.FedAvg(fl.models.logistic())
    settings = {"encrypt": fl.SecAgg(), "budget": fl.Budget(5.0)}
    project = export(NAMES, strategy, tmp_path / "names", target="diagnosis", **settings)
    # The mechanism that goes with a budget is filled in, as in a federation.
    assert project.agreement == Agreement(here.names, here.house, strategy, 10)
    assert files(project.folder) == FIXED | SITES


def test_equal_exports_are_equal_byte_by_byte(tmp_path: Path) -> None:
    one, two = (export(federation(), AVERAGE, tmp_path / place / "lab") for place in ("one", "two"))
    assert all((one.folder / name).read_bytes() == (two.folder / name).read_bytes() for name in one.files)
    three = export(federation(), AVERAGE, tmp_path / "three" / "lab", seed=1)
    assert three.digest != one.digest


def test_where_ciphertexts_are_added_is_no_question_on_flower(tmp_path: Path) -> None:
    project = export(federation(encrypt=fl.CKKS(), server="process"), AVERAGE, tmp_path / "lab")
    assert project.agreement.house == federation(encrypt=fl.CKKS()).house


def test_a_spent_budget_of_the_notebook_does_not_stop_an_export(tmp_path: Path) -> None:
    here = federation(protect=fl.RowLevelDP(), budget=fl.Budget(1.0))
    ended = [*fl.rounds(here, AVERAGE, num_rounds=1)][-1]
    assert ended.failed is None
    another = fl.FedAvg(fl.models.logistic(), lr=0.5)
    with pytest.raises(BudgetExceededError):
        another.check(here, 1, seed=0)
    assert export(here, another, tmp_path / "lab", num_rounds=1).digest


def test_each_site_gets_what_its_owner_declared(tmp_path: Path) -> None:
    here = fl.Federation(owners(held_out=0.3, budget=fl.Budget(2.0, 1e-4)), budget=fl.Budget(5.0))
    project = export(here, AVERAGE, tmp_path / "lab")
    settings = SiteSettings.read(project.folder / "sites" / "clinic-b.toml")
    assert (settings.name, settings.role, settings.target) == ("Clinic B", "owner", "diagnosis")
    assert settings.bounds == {name: [float(low), float(high)] for name, (low, high) in BOUNDS.items()}
    assert settings.categories == CATEGORIES
    assert (settings.held_out, settings.budget) == (0.3, {"epsilon": 2.0, "delta": 1e-4})
    assert settings.vault == "budget.vault"
    settings.check_agreement(project.agreement)
    assert settings.agreement == project.digest


def test_a_project_is_shown_without_the_machine_it_is_on(tmp_path: Path) -> None:
    project = export(federation(), AVERAGE, tmp_path / "lab")
    assert repr(project) == f"Project('lab', 12 files, agreement {project.digest[:12]})"
    assert project.digest in project._repr_html_()
    assert "README.md, CERTIFICATES.md, SERVICES.md" in project._repr_html_()
    assert str(tmp_path) not in repr(project) + project._repr_html_()
    assert all(str(tmp_path).encode() not in (project.folder / name).read_bytes() for name in project.files)


def test_no_private_value_is_in_the_project(tmp_path: Path) -> None:
    here = federation(encrypt=fl.CKKS())
    [*fl.rounds(here, AVERAGE, num_rounds=1)]
    project = export(here, AVERAGE, tmp_path / "lab")
    values = fl.data.breast_cancer().head(240)["mean_radius"].astype(str)
    everything = b"".join((project.folder / name).read_bytes() for name in project.files).decode()
    assert [value for value in values if len(value) > 4 and value in everything] == []


def test_the_app_is_a_few_lines(tmp_path: Path) -> None:
    project = export(federation(), AVERAGE, tmp_path / "lab")
    for side in ("server", "client"):
        text = (project.folder / "fedlab_app" / f"{side}_app.py").read_text()
        assert len(text.splitlines()) < 10
        assert f"fedlab_nb.flower.{side}" in {
            n.module for n in ast.walk(ast.parse(text)) if isinstance(n, ast.ImportFrom)
        }
    facts = tomllib.loads((project.folder / "pyproject.toml").read_text())
    assert facts["project"]["name"] == "lab"
    assert facts["tool"]["flwr"]["app"]["components"]["serverapp"] == "fedlab_app.server_app:app"


@with_flower
def test_flower_packs_the_app_and_nothing_else(tmp_path: Path) -> None:
    own = own_module(tmp_path, "strategies_to_pack")
    project = export(federation(), own.Halved(own.small), tmp_path / "lab", task=tmp_path / "strategies_to_pack.py")
    (project.folder / "sites" / "clinic-a.toml").write_text('[sql]\nurl = "db://me:hunter2@host/x"\n')
    (project.folder / "rows.csv").write_text("age\n41\n")
    (project.folder / "budget.vault").write_text("spent")
    variables = environment(tmp_path / "home")
    command = [executable("flwr"), "build", "--app", str(project.folder)]
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (packed,) = tmp_path.glob("*.fab")
    app = {f"fedlab_app/{n}.py" for n in ("__init__", "server_app", "client_app", "task")}
    with zipfile.ZipFile(packed) as fab:
        content = {"pyproject.toml", "LICENSE", "README.md", ".info/CONTENT", "fedlab_app/agreement.json", *app}
        assert set(fab.namelist()) == content
        assert all(b"hunter2" not in fab.read(name) for name in fab.namelist())
    assert packed.stat().st_size < 100_000


def test_models_and_strategies_of_ones_own_travel(tmp_path: Path) -> None:
    own = own_module(tmp_path, "strategies_to_export")
    strategy = own.Halved(own.small, part=0.25)
    project = export(federation(), strategy, tmp_path / "lab", task=tmp_path / "strategies_to_export.py")
    read = project.agreement
    assert (tmp_path / "strategies_to_export.py").read_bytes() == (project.folder / "fedlab_app/task.py").read_bytes()
    assert read.strategy.part == 0.25
    assert type(read.strategy).__name__ == "Halved"
    assert type(read.strategy).__module__ == read.strategy.model.__module__ == read.modules[0]
    here = [next(fl.rounds(federation(), each, num_rounds=1)) for each in (strategy, read.strategy)]
    assert here[0].state.weights["server"].tobytes() == here[1].state.weights["server"].tobytes()
    assert "fedlab_app/task.py" in (project.folder / "README.md").read_text()


def test_a_second_export_replaces_the_first(tmp_path: Path) -> None:
    own = own_module(tmp_path, "strategies_replaced")
    first = export(federation(), own.Halved(own.small), tmp_path / "lab", task=tmp_path / "strategies_replaced.py")
    with pytest.raises(SettingError, match="is not empty"):
        export(federation(), AVERAGE, tmp_path / "lab")
    second = export(federation(), AVERAGE, tmp_path / "lab", overwrite=True)
    assert second.agreement.strategy == AVERAGE
    assert files(second.folder) == FIXED | SITES
    assert first.digest != second.digest


def test_a_changed_module_is_another_one_in_the_same_kernel(tmp_path: Path) -> None:
    digests = set()
    for number, width in enumerate((3, 5)):
        text = f"from torch import nn\n\n\ndef small(inputs, outputs):\n    return nn.Linear(inputs, {width})\n"
        own = own_module(tmp_path, f"changing_{number}", text)
        project = export(
            federation(), fl.FedAvg(own.small), tmp_path / f"lab{number}", task=tmp_path / f"changing_{number}.py"
        )
        digests.add(project.digest)
        assert project.agreement.strategy.model(2, 1).out_features == width
    assert len(digests) == 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"num_rounds": 0}, "num_rounds is 0"),
        ({"num_rounds": 2.5}, "num_rounds is 2.5"),
        ({"seed": -1}, "seed is -1"),
        ({"encrypt": None}, "a federation and 'encrypt' besides"),
        ({"target": "ill"}, "a federation and 'target' besides"),
        ({"task": "absent.py"}, "has nothing from it"),
        ({"num_rounds": "3"}, "num_rounds is '3'"),
        ({"driven": "yes"}, "driven is 'yes'"),
        ({"driven": 1}, "driven is 1"),
        ({"overwrite": "yes"}, "overwrite is 'yes'"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_is_written(tmp_path: Path, given: dict, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        export(federation(), AVERAGE, tmp_path / "lab", **given)
    assert not (tmp_path / "lab").exists()


@pytest.mark.parametrize(
    ("names", "settings", "said"),
    [
        (["A"], {}, "was given 1 owner"),
        (["A", "A"], {}, "are called 'A'"),
        (["A", "key holder"], {}, "was named 'key holder'"),
        (["A", ""], {}, "was named ''"),
        (["A", "B\n# hi"], {}, "was given as a name"),
        (["A", "B\u202egnp"], {}, "was given as a name"),
        (["A", "B"], {"target": "ill\n"}, "was given as a name"),
        ("AB", {}, "was given 1 owner"),
        (["A", "B"], {"vault": "b"}, "was given 'vault'"),
        (["A", "B"], {"sample_rate": 2.0}, "sample_rate is 2.0"),
        (["A", "B"], {"encrypt": "CKKS"}, "encrypt is 'CKKS'"),
        (["A", "B"], {"target": 3}, "target is 3"),
        (["A", "B"], {"target": None}, "target is None"),
        (fl.Federation, {}, "the class Federation .* a Federation or a list of owners' names"),
        (None, {}, "a value of type NoneType"),
        (5, {"target": "ill"}, "a value of type int"),
    ],
)
def test_names_and_settings_are_checked(tmp_path: Path, names: object, settings: dict, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        export(names, AVERAGE, tmp_path / "lab", **settings)
    assert not (tmp_path / "lab").exists()


def test_an_owner_of_a_federation_whose_name_breaks_lines_is_refused(tmp_path: Path) -> None:
    one, two = owners()
    odd = fl.DataOwner("B\n# hi", frame().iloc[1::2], **DECLARED)
    with pytest.raises(SettingError, match="was given as a name"):
        export(fl.Federation([one, odd]), AVERAGE, tmp_path / "lab")
    assert export(fl.Federation([one, two]), AVERAGE, tmp_path / "lab").digest


@pytest.mark.parametrize(("name", "given"), [("folder", None), ("folder", 3), ("task", 3)])
def test_what_is_no_path_is_refused(tmp_path: Path, name: str, given: object) -> None:
    places = {"folder": tmp_path / "lab", "task": None, name: given}
    with pytest.raises(SettingError, match=f"{name} is {given!r}"):
        export(federation(), AVERAGE, places["folder"], task=places["task"])


def test_a_file_of_own_code_that_is_not_there_is_refused(tmp_path: Path) -> None:
    own = own_module(tmp_path, "strategies_not_there")
    with pytest.raises(SettingError, match=r"task='nofile.py' cannot be read \(FileNotFoundError\)"):
        export(federation(), own.Halved(own.small), tmp_path / "lab", task="nofile.py")
    assert not (tmp_path / "lab").exists()


def test_own_code_is_said_to_travel_as_it_stands(tmp_path: Path) -> None:
    own = own_module(tmp_path, "strategies_as_they_stand")
    task = tmp_path / "strategies_as_they_stand.py"
    project = export(federation(), own.Halved(own.small), tmp_path / "lab", task=task)
    assert "constants and comments too" in project._repr_html_()
    assert "constants and comments" not in export(federation(), AVERAGE, tmp_path / "bare")._repr_html_()


def test_a_claim_that_would_be_false_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="colluding=2"):
        export(NAMES, AVERAGE, tmp_path / "lab", protect=fl.RowLevelDP(noise_multiplier=1.0, colluding=2))


def test_the_project_remembers_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    project = export(federation(), AVERAGE, "lab")
    assert isinstance(project, Project)
    monkeypatch.chdir("/")
    assert project.agreement.names == tuple(NAMES)
