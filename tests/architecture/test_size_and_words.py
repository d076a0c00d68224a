"""Every file can be read in one sitting, and says what it gives."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted([*(ROOT / "fedlab_nb").rglob("*.py"), ROOT / "run.py"])
ROOMS = sorted(folder for folder in (ROOT / "fedlab_nb").iterdir() if (folder / "__init__.py").is_file())
Function = ast.FunctionDef | ast.AsyncFunctionDef


def label(path: Path) -> str:
    """The path as it is called in the repository."""
    return str(path.relative_to(ROOT))


def functions(tree: ast.AST) -> Iterator[Function]:
    """All functions and methods."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def length(function: Function) -> int:
    """Lines from the first statement after the docstring to the end, the signature included."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    if not body:
        return 1
    signature = function.body[0].lineno - function.lineno
    return signature + (function.end_lineno or 0) - body[0].lineno + 1


@pytest.mark.parametrize("path", FILES, ids=label)
def test_a_file_stays_under_three_hundred_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 300


@pytest.mark.parametrize("path", FILES, ids=label)
def test_a_function_stays_under_forty_lines(path: Path) -> None:
    long = {f.name: length(f) for f in functions(ast.parse(path.read_text())) if length(f) >= 40}
    assert long == {}


@pytest.mark.parametrize("room", ROOMS, ids=label)
def test_a_room_has_fewer_than_nine_files(room: Path) -> None:
    files = [path.name for path in room.glob("*.py") if path.name != "__init__.py"]
    assert len(files) < 9, files


@pytest.mark.parametrize("path", FILES, ids=label)
def test_every_public_function_and_class_says_what_it_gives(path: Path) -> None:
    tree = ast.parse(path.read_text())
    silent = [node.name for node in public(tree.body) if ast.get_docstring(node) is None]
    assert ast.get_docstring(tree) is not None
    assert silent == []


def public(body: list[ast.stmt]) -> Iterator[Function | ast.ClassDef]:
    """Public functions, public classes, and the public methods of these."""
    for node in body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body)
