"""The auditor can name no row, no key and nothing that was in a message: read off the room's own source."""

import ast
from pathlib import Path

import pytest

import fedlab_nb

ROOM = Path(fedlab_nb.__file__).parent / "audit"
FILES = sorted(ROOM.rglob("*.py"))
# What the room may import of the package, besides itself.
LOWER = {
    "fedlab_nb.cards",
    "fedlab_nb.channel",
    "fedlab_nb.channel.compare",
    "fedlab_nb.errors",
    "fedlab_nb.ledger",
    "fedlab_nb.parties",
    "fedlab_nb.parties.house",
    "fedlab_nb.parties.shown.threats",
    "fedlab_nb.parties.shown.trust",
    "fedlab_nb.privacy",
    "fedlab_nb.privacy.account",
    "fedlab_nb.privacy.meters",
    "fedlab_nb.privacy.vault",
    "fedlab_nb.records",
    "fedlab_nb.units",
}
NAMES = {
    "fedlab_nb.parties": {"Federation"},
    "fedlab_nb.channel": {"HANDSHAKE"},
    "fedlab_nb.channel.compare": {"readers", "scheme_name", "travels"},
}
# Rows, keys, contents and the ways to them, whatever object they hang on.
CLOSED = {
    "_by_name",
    "_channels",
    "_inside",
    "_key",
    "_messages",
    "cache",
    "charge",
    "gather",
    "hear",
    "held_out",
    "keep",
    "mock",
    "noise",
    "open",
    "owners",
    "payload",
    "peek",
    "post",
    "seen_by",
    "training",
    "wire",
}
OF_A_FEDERATION = {"books", "house", "ledger", "names", "schema"}
OF_BOOKS = {"accounts", "binding", "data", "vault"}


def nodes(kind):
    return [
        (path.name, node) for path in FILES for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kind)
    ]


def test_there_is_something_to_look_at():
    assert len(FILES) > 8


def test_only_these_rooms_are_imported():
    imported = {(node.module or "", alias.name) for _, node in nodes(ast.ImportFrom) for alias in node.names}
    inside = {(module, name) for module, name in imported if module.startswith("fedlab_nb")}
    own = {module for module, _ in inside if module.startswith("fedlab_nb.audit")}
    assert {module for module, _ in inside} - own <= LOWER
    for module, names in NAMES.items():
        assert {name for found, name in inside if found == module} <= names
    plain = {alias.name for _, node in nodes(ast.Import) for alias in node.names}
    assert not any(name.startswith(("fedlab_nb", "torch", "tenseal", "numpy", "pandas")) for name in plain)


def test_nothing_that_holds_rows_keys_or_contents_is_touched():
    # An account is opened, and a file is: neither is one of a federation's doors.
    allowed = {("replay.py", "open"), ("export.py", "open")}
    touched = {(name, node.attr) for name, node in nodes(ast.Attribute) if node.attr in CLOSED}
    assert touched - allowed == set()
    called = {node.func.id for _, node in nodes(ast.Call) if isinstance(node.func, ast.Name)}
    assert called & {"getattr", "vars", "eval", "exec", "__import__"} == set()


def test_a_federation_is_asked_for_its_ledger_books_settings_and_names_only():
    def on(*wanted):
        return {node.attr for _, node in nodes(ast.Attribute) if ast.unparse(node.value) in wanted}

    assert on("federation", "self._federation") <= OF_A_FEDERATION
    assert on("books", "federation.books", "self._federation.books") <= OF_BOOKS


@pytest.mark.parametrize("word", ["_inside", "_ROWS", "secret_key", "KeyHolder", "Sealer"])
def test_words_of_closed_rooms_do_not_occur(word):
    assert [path.name for path in FILES if word in path.read_text()] == []
