"""The guide of what is no training of one model by all: owners of different columns, and questions."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

import fedlab_nb as fl
from fedlab_nb.flower.grid.playing import way_to_play
from fedlab_nb.flower.project import export
from fedlab_nb.flower.project.pages.columns import told_between
from fedlab_nb.parties.house import House
from fedlab_nb.vertical.shared import VerticalStrategy
from tests.flower.columns.apart import DEEP, ColumnsApart
from tests.flower.project.common import NAMES, federation, own_module

LABELS = {"labels_at": NAMES[1]}
ASKS = """
def questions(frame):
    yield "mean", frame["mean_radius"].mean(EPSILON)
"""


def guide(folder: Path, strategy, names=NAMES, **settings) -> str:
    return (export(names, strategy, folder, target="ill", **settings).folder / "README.md").read_text()


def row(text: str, who: str) -> list[str]:
    """What a table says of somebody: the cells after the first one."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {who} | ")]
    return [cell.strip() for cell in line.strip("|").split(" | ")[1:]]


def strategies() -> list[VerticalStrategy]:
    kinds = [getattr(fl.vertical, name) for name in fl.vertical.__all__]
    made = [kind(**LABELS) for kind in kinds if isinstance(kind, type) and issubclass(kind, VerticalStrategy)]
    return [strategy for strategy in made if "binary" in strategy.tasks]


def test_nobody_is_said_to_have_a_model_that_is_in_parts(tmp_path: Path) -> None:
    text = guide(tmp_path / "lab", fl.vertical.LogisticRegression(**LABELS), encrypt=DEEP)
    assert "its part of the model" in row(text, "each owner")[-1]
    assert "its part of the model" in row(text, "whoever runs an owner's machine")[0]
    assert "models" not in row(text, "whoever reaches the SuperLink's port and is not stopped by a firewall")[0]
    assert "hold against the server as far as fingerprints were noted" in text
    assert "**Fingerprints.**" in text


def test_a_network_split_without_a_defence_exposes_labels(tmp_path: Path) -> None:
    bare = guide(tmp_path / "bare", fl.vertical.SplitNN(**LABELS))
    assert row(bare, "every other owner")[-1] == row(bare, "the owner of the labels")[-1] == "**exposed**"
    assert "the server neither" in bare
    assert "reads every update" not in bare
    assert "nothing of another's columns" not in bare
    defended = guide(tmp_path / "defended", fl.vertical.SplitNN(**LABELS, defence=fl.vertical.Marvell()))
    assert row(defended, "every other owner")[-1] == "depends"
    assert row(defended, "the owner of the labels")[-1] == "**exposed**"


@pytest.mark.parametrize("strategy", strategies(), ids=lambda strategy: type(strategy).__name__)
def test_a_party_is_in_the_table_once_and_only_if_there_is_one(tmp_path: Path, strategy) -> None:
    settings = {"encrypt": DEEP} if strategy.multiplies else {}
    project = export(NAMES, strategy, tmp_path / "lab", target="ill", **settings)
    text = (project.folder / "README.md").read_text()
    holder = "sites/key_holder.toml" in project.files
    assert ("| the key holder with an owner that multiplies |" in text) == holder
    assert "| the key holder alone |" not in text
    assert "woe=" not in text
    exposed = {threat.who for threat in told_between(project.agreement) if threat.safe is False}
    expected = {
        "SplitNN": {"the owner of the labels", "every other owner"},
        "SecureBoost": {"the owner of the labels"},
        "Transfer": {"the other owner"},
    }
    assert exposed == expected.get(type(strategy).__name__, set())


def owners(rows: int = 150):
    frame = fl.data.breast_cancer().head(rows).reset_index(names="patient")
    columns = [name for name in frame.columns if name not in ("patient", "diagnosis")][:8]
    one = fl.DataOwner(NAMES[0], frame[["patient", *columns[::2]]], id="patient")
    two = frame[["patient", *columns[1::2], "diagnosis"]]
    return [one, fl.DataOwner(NAMES[1], two, target="diagnosis", id="patient")]


def counted(strategy, house: House) -> list[int]:
    """The trips of each of three rounds."""
    apart = ColumnsApart(owners(), strategy, house, num_rounds=3)
    there, after = apart.federation(), [0]
    try:
        for record in way_to_play(there, strategy)[0](there, strategy, num_rounds=3, seed=0):
            assert record.failed is None
            after.append(there.sites.trips)
    finally:
        for site in apart.sites.values():
            site.close()
    return [late - early for early, late in itertools.pairwise(after)]


def test_a_step_of_a_regression_takes_as_many_trips_as_the_guide_says(tmp_path: Path) -> None:
    strategy = fl.vertical.LogisticRegression(**LABELS)
    first, second, third = counted(strategy, House(DEEP))
    assert "A round takes about 6 of them, the first one some 10 more: 30 seconds." in guide(
        tmp_path / "lab", strategy, encrypt=DEEP
    )
    assert all(abs(found - said) <= 1 for found, said in ((first, 16), (second, 6), (third, 6)))


def test_a_batch_of_a_split_network_takes_two_trips(tmp_path: Path) -> None:
    small, large = (fl.vertical.SplitNN(**LABELS, batch_size=size) for size in (10, 20))
    (_, of_small, _), (_, of_large, _) = (counted(each, House()) for each in (small, large))
    # Half as many batches; the score travels with the next round.
    assert of_small == pytest.approx(2 * of_large, abs=2)
    assert "takes 2 of them one after the other" in guide(tmp_path / "lab", small)
    assert (
        "of 2,000 rows in common to train on, a round takes 400, about 33 minutes"
        in (tmp_path / "lab" / "README.md").read_text()
    )


def test_the_rounds_of_boosting_are_as_long_as_the_guide_says(tmp_path: Path) -> None:
    strategy = fl.vertical.SecureBoost(**LABELS)
    first, *others = counted(strategy, House(DEEP))
    text = guide(tmp_path / "lab", strategy, encrypt=DEEP)
    assert "A round takes 8 to 60 of them, by how deep its trees grow, the first one some 10 more" in text
    assert 10 <= first <= 70
    assert all(8 <= other <= 60 for other in others)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"encrypt": fl.CKKS()},
        {"encrypt": fl.CKKS(keys="owners")},
        {"encrypt": fl.CKKS(keys="threshold")},
        {"encrypt": fl.SecAgg(), "budget": fl.Budget(2.0)},
    ],
    ids=["clear", "authority", "owners", "threshold", "masks"],
)
def test_the_guide_of_questions_speaks_of_no_model(tmp_path: Path, settings: dict) -> None:
    text = ASKS.replace("EPSILON", "epsilon=0.5" if "budget" in settings else "")
    module = own_module(tmp_path, "asks_in_the_guide", text)
    project = export(federation(**settings), module.questions, tmp_path / "lab", task=tmp_path / "asks_in_the_guide.py")
    text = (project.folder / "README.md").read_text()
    tables = text[text.index("## What runs where") : text.index("## 1.")]
    assert [word for word in ("model", "update", "every round", "score") if word in tables] == []
    assert "with all answers" in tables
