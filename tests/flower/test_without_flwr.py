"""Where Flower is not installed: what needs it says how to get it, and the rest works."""

import sys
import tempfile
from pathlib import Path

import pytest

import fedlab_nb as fl
from fedlab_nb.errors import SettingError
from fedlab_nb.flower import Control, Project, Rehearsal, attach, export, run
from fedlab_nb.flower.deploy.certificates import make_authority
from tests.flower.common import owners

STRATEGY = fl.FedAvg(fl.models.logistic())
HOW = r'Flower is not installed in this environment\. .* pip install "fedlab-nb\[flower\]"'


@pytest.fixture(autouse=True)
def _without_flower(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "flwr", None)  # from now on "import flwr" fails
    with pytest.raises(ImportError):
        import flwr  # noqa: F401


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project, for which Flower is not needed."""
    names = ["North", "South", "East"]
    return export(names, STRATEGY, tmp_path / "clinics", target="ill", encrypt=fl.CKKS())


@pytest.fixture
def control(tmp_path: Path) -> Control:
    """A way to a SuperLink elsewhere."""
    certificate = make_authority(tmp_path / "ca").certificate
    return Control("fl.example.org:8000", certificate, tmp_path / "home")


def test_a_rehearsal_says_how_to_get_it_before_it_writes_any_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    federation = fl.Federation(owners(), encrypt=fl.CKKS())
    with pytest.raises(SettingError, match=HOW):
        Rehearsal(federation, STRATEGY, num_rounds=2)
    assert list(tmp_path.iterdir()) == []


def test_a_project_is_written_and_read_without_it(project: Project) -> None:
    assert project.agreement.names == ("North", "South", "East")


def test_who_starts_watches_or_asks_for_a_run_is_told_how_to_get_it(project: Project, control: Control) -> None:
    for asked in (
        lambda: run(project.folder, control),
        lambda: attach(project.folder, control, 1).wait(),
        lambda: control.status(1),
        control.nodes,
    ):
        with pytest.raises(SettingError, match=HOW):
            asked()
