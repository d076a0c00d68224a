"""Every error that the package raises has three clauses, each a sentence: read from the sources themselves."""

import ast
import copy
import pickle
from pathlib import Path

import pytest

import fedlab_nb
from fedlab_nb import errors

CLASSES = [
    value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, errors.FedLabError)
]
NAMES = {cls.__name__ for cls in CLASSES}
WHERE = {"RoundError": 2}
VALUE = "<value>"
CLAUSES = ("It happened.", "It matters.", "Do this.")


def make(cls):
    return cls("Clinic A", "update", *CLAUSES) if cls is errors.RoundError else cls(*CLAUSES)


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_says_what_happened_why_it_matters_and_what_to_do(cls):
    error = make(cls)
    assert (error.what, error.why, error.do) == CLAUSES
    assert str(error) == "It happened. It matters. Do this."


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_survives_copying_and_pickling_because_histories_hold_errors(cls):
    for back in (copy.deepcopy(make(cls)), pickle.loads(pickle.dumps(make(cls)))):
        assert type(back) is cls
        assert str(back) == str(make(cls))
        assert (back.what, back.why, back.do) == CLAUSES
        assert getattr(back, "party", None) == getattr(make(cls), "party", None)


def test_errors_can_be_caught_as_what_python_calls_them():
    assert issubclass(errors.SettingError, ValueError)
    assert issubclass(errors.PrivateDataError, AttributeError), "hasattr(owner, 'rows') must be False, not an error"


def raised():
    """(file and line, class, clauses) of every error that is made anywhere in the package."""
    package = Path(fedlab_nb.__file__).parent
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in NAMES:
                yield (
                    f"{path.relative_to(package)}:{node.lineno}",
                    node.func.id,
                    node.args[WHERE.get(node.func.id, 0) :],
                )


def text_of(clause):
    """The clause with its inserted values left blank; None if it is put together elsewhere."""
    if isinstance(clause, ast.Constant) and isinstance(clause.value, str):
        return clause.value
    if isinstance(clause, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else VALUE for part in clause.values)
    return None


def test_there_are_errors_to_look_at():
    assert len(list(raised())) > 40


@pytest.mark.parametrize(("name", "clauses"), [pytest.param(name, args, id=place) for place, name, args in raised()])
def test_every_error_in_the_package_has_three_full_sentences(name, clauses):
    assert len(clauses) == 3, "what happened, why it matters, what to do"
    texts = [text for text in map(text_of, clauses) if text is not None]
    assert len(set(texts)) == len(texts)
    for text in texts:
        assert text.strip() == text
        assert text.endswith((".", VALUE)), "a sentence, or one that ends with an inserted sentence"
        assert len(text.split()) >= 2
        assert "  " not in text
