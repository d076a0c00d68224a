"""What the README says to type for Flower: it can be called so, and what leaves the notebook is exported as written."""

import ast
import builtins
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import fedlab_nb as fl
from tests.flower.deploy.common import with_flower

README = Path(__file__).parents[2] / "README.md"
_, _, ABOUT_FLOWER = README.read_text(encoding="utf-8").partition("\n## Past one machine\n")
BLOCKS = [part.split("```")[0] for part in ABOUT_FLOWER.split("\n## ")[0].split("```python\n")[1:]]
# These reach a SuperLink that a reader has, and we have not.
FAR = ("Control", "run", "attach")


def named(node):
    """The name of a public thing as it is written, "" for anything else: fl.flower.export is "fl.flower.export"."""
    if isinstance(node, ast.Attribute):
        before = named(node.value)
        return f"{before}.{node.attr}" if before else ""
    return node.id if isinstance(node, ast.Name) and node.id == "fl" else ""


def found(name):
    """The public thing of this name."""
    thing = fl
    for part in name.split(".")[1:]:
        thing = getattr(thing, part)
    return thing


CALLS = [
    pytest.param(node, id=f"{number}: {named(node.func)}")
    for number, block in enumerate(BLOCKS, 1)
    for node in ast.walk(ast.parse(block))
    if isinstance(node, ast.Call) and named(node.func)
]


def is_far(statement):
    """True for a statement that reaches a SuperLink."""
    calls = [named(node.func) for node in ast.walk(statement) if isinstance(node, ast.Call)]
    return any(f"fl.flower.{name}" in calls for name in FAR)


def without_processes(block):
    """What of a block is run: a rehearsal is made and cleared away, not started; what is far away is left out."""
    kept = []
    for statement in ast.parse(block).body:
        if isinstance(statement, ast.With):
            (item,) = statement.items
            kept.append(f"{ast.unparse(item.context_expr)}.close()")
        elif not is_far(statement):
            kept.append(ast.get_source_segment(block, statement))
    return "\n".join(kept)


def test_there_is_an_example_of_each_way():
    calls = [call.values[0] for call in CALLS]
    assert {"fl.flower.Rehearsal", "fl.flower.export", *(f"fl.flower.{name}" for name in FAR)} <= {
        named(call.func) for call in calls
    }
    assert sum("def questions(frame):" in block for block in BLOCKS) == 1


@pytest.mark.parametrize("call", CALLS)
def test_what_is_called_is_there_and_takes_what_it_is_given(call):
    takes = inspect.signature(found(named(call.func)))
    given = [part for part in call.args if not isinstance(part, ast.Starred)]
    words = {word.arg: word.value for word in call.keywords if word.arg}
    hidden = len(given) < len(call.args) or len(words) < len(call.keywords)
    (takes.bind_partial if hidden else takes.bind)(*given, **words)


def test_no_name_is_used_before_it_is_there():
    known = {"fl", *dir(builtins)}
    for block in BLOCKS:
        nodes = [*ast.walk(ast.parse(block))]
        known |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        known |= {node.arg for node in nodes if isinstance(node, ast.arg)}
        known |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.alias)}
        assert {node.id for node in nodes if isinstance(node, ast.Name)} <= known


@pytest.mark.parametrize("block", BLOCKS, ids=range(1, len(BLOCKS) + 1))
def test_a_handle_is_asked_for_what_it_has(block):
    """``run`` and ``lab`` are what these calls give."""
    handles = {"run": fl.flower.WatchedRun, "lab": fl.flower.Rehearsal}
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in handles:
            # What is set when it is made is no attribute of its class.
            assert hasattr(handles[node.value.id], node.attr) or node.attr == "number", node.attr


@with_flower
def test_a_reader_who_types_it_gets_the_projects(tmp_path):
    """In a notebook's kernel, one cell after the other."""
    cells = ["import fedlab_nb as fl", *map(without_processes, BLOCKS)]
    session = f"""
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for cell in {cells!r}:
    shell.run_cell(cell, store_history=True).raise_error()
"""
    command = [sys.executable, "-c", session]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clinics", "predictions", "survey"]
    assert "**Cost:**" in (tmp_path / "survey" / "README.md").read_text(), "they were tried"
    assert "train one model" in (tmp_path / "clinics" / "README.md").read_text()
