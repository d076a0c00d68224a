"""Questions leave the notebook as a project: agreed on by their source, tried beforehand, refused with a reason."""

import hashlib
import json
import re
import subprocess
import sys

import pandas as pd
import pytest

import fedlab_nb as fl
from fedlab_nb.errors import RuleError, SettingError
from fedlab_nb.flower.agreement import Agreement
from fedlab_nb.flower.codec import decode, encode
from fedlab_nb.flower.project import export
from fedlab_nb.flower.project.__main__ import main
from fedlab_nb.flower.survey.questions import Questions
from tests.flower.project.common import federation as clinics
from tests.flower.survey.common import ASKED, FILE, federation

DP = {"protect": fl.RowLevelDP(), "budget": fl.Budget(8.0, 1e-3)}


def exported(tmp_path, name="questions", **settings):
    return export(federation(**settings), getattr(ASKED, name), tmp_path / "survey", task=FILE)


def test_the_agreement_names_the_function_and_the_digest_of_its_source(tmp_path):
    project = exported(tmp_path, encrypt=fl.CKKS())
    source = FILE.read_bytes()
    assert (project.folder / "fedlab_app" / "task.py").read_bytes() == source
    said = json.loads((project.folder / "fedlab_app" / "agreement.json").read_text())
    assert said["questions"] == f"questions(frame) in task.py, SHA-256 {hashlib.sha256(source).hexdigest()}"
    assert not {"strategy", "num_rounds", "seed"} & said.keys()
    read = project.agreement
    assert read.strategy == Questions.of("questions", source)
    assert (read.num_rounds, read.modules, read.functions) == (0, (), ())
    assert read.digest == project.digest
    assert [*read.strategy.function(project.folder / "fedlab_app").__code__.co_varnames] == ["frame"]


def test_another_function_or_source_is_another_agreement(tmp_path):
    one, same = (exported(tmp_path / place, "private", **DP).digest for place in ("one", "same"))
    assert one == same
    assert exported(tmp_path / "other", "short", **DP).digest != one
    here, more = federation(**DP), FILE.read_bytes() + b"\n# more\n"
    made = [
        Agreement(here.names, here.house, Questions.of("private", source), 0) for source in (FILE.read_bytes(), more)
    ]
    assert made[0].digest == one
    assert made[1].digest != one


def test_the_guide_speaks_of_questions_and_not_of_a_model(tmp_path):
    said = (exported(tmp_path, "private", encrypt=fl.CKKS(), **DP).folder / "README.md").read_text()
    assert "3 owners answer questions on Flower" in said
    assert "the function `private` in `fedlab_app/task.py` asks" in said
    cost = re.search(r"\*\*Cost:\*\* on invented rows, epsilon (\S+) of each owner", said)
    assert 0.5 < float(cost[1]) < 0.5 + 0.2 + 0.2 + 0.3, "what the function names does not add up to it"
    assert "what all of them cost together is not their sum" in " ".join(said.split())
    assert "The server runs it, no site does" in said
    assert "what it could ask besides is bounded by the budget" in said
    exact = (exported(tmp_path / "exact").folder / "README.md").read_text()
    assert "nothing bounds what it could ask besides" in exact
    assert "its own counts where a question is about each owner" in said
    for word in ("train one model", "**Trained:**", "num_rounds", "score of the model", "verdict on the model"):
        assert word not in said
    trained = (export(federation(), fl.FedAvg(fl.models.logistic()), tmp_path / "lab").folder / "README.md").read_text()
    assert "**Asked:**" not in trained
    assert "train one model" in trained


def test_what_is_shown_to_a_site_tells_it_to_read_the_questions(tmp_path, capsys):
    project = exported(tmp_path)
    assert main(["show", str(project.folder)]) == 0
    said = capsys.readouterr().out
    assert "questions: questions(frame) in task.py, SHA-256" in said
    assert "It asks questions: read fedlab_app/task.py." in said


@pytest.mark.parametrize(
    ("name", "given", "kind", "said"),
    [
        ("at_once", {}, SettingError, "does not yield its answers one by one"),
        ("of_two", {}, SettingError, "has not one parameter"),
        ("questions", {"min_owners": 2}, SettingError, "min_owners=2"),
        ("questions", {"sample_rate": 0.5}, SettingError, "sample_rate=0.5"),
        ("questions", {"dropout": 0.1}, SettingError, "dropout=0.1"),
        ("questions", {"protect": fl.OwnerLevelDP(clip=1.0, noise_multiplier=1.0)}, RuleError, "protects whole owners"),
        ("too_dear", DP, SettingError, "failed after 1 answer on invented rows with the same columns. Releasing"),
        ("rows_please", {}, SettingError, r"failed after 1 answer on invented rows with the same columns. .*\.head"),
        ("clumsy", {}, SettingError, "failed after 1 answer on invented rows.*, with ZeroDivisionError: division"),
        ("silent", {}, SettingError, "ended without a single answer"),
        ("twice", {}, SettingError, "'rows' a second time"),
        ("a_frame", {}, SettingError, "'mask' is or holds an object of type Mask"),
    ],
)
def test_what_could_not_be_answered_is_refused_before_anything_is_written(tmp_path, name, given, kind, said):
    with pytest.raises(kind, match=said) as caught:
        exported(tmp_path, name, **given)
    assert all((caught.value.what, caught.value.why, caught.value.do))
    assert ".." not in str(caught.value)
    assert "SettingError" not in str(caught.value)
    assert not (tmp_path / "survey").exists()


UNDECLARED = {
    "bounds": lambda frame: frame["mean_area"].mean(epsilon=0.5),
    "list": lambda frame: frame.groupby("size").size(epsilon=0.5),
    "event": lambda frame: frame.woe("size", "large", names=["mean_area"], epsilon=0.5),
}
EXACT = {
    "numbers": lambda frame: frame.value_counts("mean_area"),
    "misspelt": lambda frame: frame.woe("size", "lrage", names=["mean_area"]),
    "names": lambda frame: frame.value_counts("name"),
}


@pytest.mark.parametrize("name", [*UNDECLARED, *EXACT])
def test_advice_about_declarations_can_be_followed_by_owners(name):
    frame = clinics_of_many_names(**(DP if name in UNDECLARED else {}))
    with pytest.raises(SettingError) as caught:
        {**UNDECLARED, **EXACT}[name](fl.PrivateFrame(frame))
    what = "bounds" if name == "bounds" else "categories"
    assert f"fl.DataOwner(..., {what}={{" in caught.value.do
    assert f"at a site under [{what}] in site.toml" in caught.value.do
    assert "PrivateFrame" not in str(caught.value)


def clinics_of_many_names(**settings):
    """Owners who declare nothing, and a column with more values than are counted."""
    names = [f"name {i // 25}" for i in range(1_500)]
    table = pd.DataFrame({"name": names, "size": ["large", "small"] * 750, "mean_area": range(1_500)})
    owners = [fl.DataOwner(f"Owner {i}", table.iloc[i::2], target="size") for i in (0, 1)]
    return fl.Federation(owners, **settings)


def test_the_trial_advises_declarations_of_owners(tmp_path):
    frame = fl.data.breast_cancer().head(240)[["mean_area", "diagnosis"]]
    known = {"categories": {"diagnosis": ["benign", "malignant"]}}
    owners = [fl.DataOwner(f"Owner {i}", frame.iloc[i::2], target="diagnosis", **known) for i in (0, 1)]
    with pytest.raises(SettingError, match=r"fl\.DataOwner\(\.\.\., bounds={\"mean_area\": ") as caught:
        export(fl.Federation(owners, **DP), ASKED.short, tmp_path / "survey", task=FILE)
    assert "Column 'mean_area' has no declared bounds." in caught.value.what
    assert "PrivateFrame" not in str(caught.value)
    assert "export" in caught.value.do


@pytest.mark.parametrize("given", [{"num_rounds": 3}, {"seed": 1}])
def test_questions_have_no_rounds(tmp_path, given):
    (name,) = given
    with pytest.raises(SettingError, match=f"{name}={given[name]} was given with the questions 'questions'"):
        export(federation(), ASKED.questions, tmp_path / "survey", task=FILE, **given)


def test_a_function_of_this_package_is_no_questions(tmp_path):
    with pytest.raises(SettingError, match="is of this package"):
        export(federation(), fl.train, tmp_path / "survey")


def test_names_are_enough_and_then_nothing_is_tried(tmp_path):
    project = export(["A", "B"], ASKED.too_dear, tmp_path / "survey", task=FILE, target="diagnosis", **DP)
    assert project.agreement.strategy.name == "too_dear"
    assert "**Cost:**" not in (project.folder / "README.md").read_text()


def test_a_trial_spends_nothing_of_anybodys(tmp_path):
    here = federation(shift=500.0, **DP)
    for name in ("one", "two", "three"):
        export(here, ASKED.private, tmp_path / name, task=FILE)
    assert here.epsilon() == 0.0


def test_a_message_that_names_questions_makes_data_and_runs_nothing():
    questions = Questions.of("questions", b"raise SystemExit")
    assert decode(encode(questions)) == questions


SESSION = r"""
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
cells = [
    "import fedlab_nb as fl\nCOST = 0.5",
    "def of(frame, name):\n    return frame[name].mean(epsilon=COST)\n",
    "def questions(frame):\n    yield 'mean radius', of(frame, 'mean_radius')\n"
    "    yield 'rows', frame.count(epsilon=0.1)\n",
    "frame = fl.data.breast_cancer().head(60)[['mean_radius', 'diagnosis']]\n"
    "known = dict(bounds={'mean_radius': (0, 40)}, categories={'diagnosis': ['benign', 'malignant']})\n"
    "owners = [fl.DataOwner(f'Owner {i}', frame.iloc[i::2], target='diagnosis', **known) for i in range(2)]\n"
    "federation = fl.Federation(owners, budget=fl.Budget(5.0))\n"
    "project = fl.flower.export(federation, questions, sys.argv[1])\n"
    "print(project.agreement.strategy.name)",
]
shell.user_ns["sys"] = sys
for cell in cells:
    shell.run_cell(cell, store_history=True).raise_error()
"""


def test_questions_typed_in_a_notebook_travel_with_what_they_refer_to(tmp_path):
    folder = tmp_path / "typed"
    command = [sys.executable, "-c", SESSION, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "questions"
    task = (folder / "fedlab_app" / "task.py").read_text()
    assert task.index("COST = 0.5") < task.index("def of(frame, name)") < task.index("def questions(frame)")
    # Another process, which has no notebook, reads the same agreement, and can ask the same.
    function = Agreement.read(folder / "fedlab_app").strategy.function(folder / "fedlab_app")
    assert [name for name, _ in function(fl.PrivateFrame(clinics(protect=fl.RowLevelDP(), budget=fl.Budget(4.0))))] == [
        "mean radius",
        "rows",
    ]
