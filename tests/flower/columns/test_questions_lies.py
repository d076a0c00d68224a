"""What can go wrong in questions to owners of different columns: lost parties, and those that say something untrue."""

import json
from dataclasses import replace

import numpy as np
import pytest

from fedlab_nb.analytics.vertical import selection
from fedlab_nb.crypto.seal import KEY_HOLDER, SERVER
from fedlab_nb.errors import FedLabError, RoundError
from fedlab_nb.flower.codec import Allowed, encode
from fedlab_nb.flower.project.pages.asked import told_by_answers
from tests.flower.columns.attacked import Once, in_place, lying
from tests.flower.columns.surveyed import Surveyed, notebook, undeclared
from tests.vertical.common import owners, people, with_gaps

__all__ = ["lying"]
DATA = Allowed(work=frozenset(), helpers=frozenset())


@pytest.fixture(scope="module")
def agreed():
    """What each function asks, by its name."""
    made = {"few": owners(people(200)), "learned": undeclared()}
    return {name: notebook(parts, name)[2] for name, parts in made.items()}


@pytest.fixture(scope="module")
def chosen():
    """What a selection is asked with."""
    return notebook(owners(people(200)), "chosen")[2]


def surveyed(agreed, tmp_path, name="few", frame=None):
    parts = undeclared() if name == "learned" else owners(people(200) if frame is None else frame)
    return Surveyed(parts, name, agreed[name], tmp_path)


def named(apart, party, words=""):
    """The run ends with an error of this party."""
    error = apart.outcome()
    assert isinstance(error, RoundError), error
    assert error.party == party, str(error)
    assert words in str(error), str(error)
    return error


@pytest.mark.parametrize("serial", [1, 2, 4, 6, 8, 11])
@pytest.mark.parametrize("name", ["bank", "shop", KEY_HOLDER])
def test_whoever_is_lost_on_whichever_trip_is_named_and_answers_before_are_kept(name, serial, agreed, tmp_path):
    apart = surveyed(agreed, tmp_path)
    apart.to_site = lambda who, said: None if who == name and said.serial >= serial else said
    error = apart.outcome()
    if error is None:
        assert serial > 6, "it makes fewer trips"
        return
    assert error.party == name
    assert "sent nothing back in time" in str(error)
    answers = [*apart.answers()]
    assert answers == ["together", "mean", "cross"][: len(answers)]
    assert len(answers) < 3


LIES = {
    "own correlations of another length": ("shop", "own correlation", SERVER, lambda p: p[:-1], "shop"),
    "own correlations that are no numbers": ("shop", "own correlation", SERVER, lambda p: p * np.inf, "shop"),
    "own correlations as text": ("shop", "own correlation", SERVER, lambda p: "a text", "shop"),
    "own sums of another length": ("shop", "column sum", SERVER, lambda p: np.append(p, 0.0), "shop"),
    "opened sums of another shape": (KEY_HOLDER, "sum of pair counts, opened", SERVER, np.ravel, KEY_HOLDER),
    "opened sums of another kind": (KEY_HOLDER, "sum of correlations, opened", SERVER, lambda p: b"sums", KEY_HOLDER),
}


@pytest.mark.parametrize("case", LIES)
def test_who_tells_the_server_something_else_than_an_answer_is_named(case, agreed, tmp_path, lying):
    who, kind, to, change, blamed = LIES[case]
    told = lying(who, kind, lambda number, to, said, payload: [(number, to, said, change(payload))], to)
    apart = surveyed(agreed, tmp_path)
    named(apart, blamed, "answered with something else than")
    assert told


@pytest.mark.parametrize(
    "lie",
    [
        lambda said: said + "}",
        lambda said: json.dumps({"regions": []}),
        lambda said: json.dumps({"region": [["a", "list"]]}),
        lambda said: json.dumps({"region": [*map(str, range(60))]}),
        lambda said: np.zeros(3),
    ],
)
def test_an_owner_that_names_no_values_is_named(lie, agreed, tmp_path, lying):
    lying("shop", "value list", lambda number, to, said, payload: [(number, to, said, lie(payload))])
    named(surveyed(agreed, tmp_path, "learned"), "shop", "something else than the values of some columns")


CELLS = {
    "more than there are": lambda sizes: sizes + 1,
    "no number": lambda sizes: sizes * np.nan,
    "fewer than one": lambda sizes: sizes * 0,
    "half a cell": lambda sizes: sizes + 0.5,
    "of more columns": lambda sizes: np.append(sizes, 3.0),
}


@pytest.mark.parametrize("case", CELLS)
@pytest.mark.parametrize("to", ["bank", KEY_HOLDER])
def test_an_owner_that_tells_another_number_of_cells_gets_no_sum_opened(case, to, agreed, tmp_path, lying):
    told = lying("shop", "number of cells", lambda n, t, said, sizes: [(n, t, said, CELLS[case](sizes))], to)
    apart = surveyed(agreed, tmp_path)
    assert isinstance(apart.outcome(), FedLabError)
    assert told
    assert [*apart.answers()] == ["together", "mean"]


@pytest.mark.parametrize("rows", [[0.0], [3.5], [np.nan], [1e9], [10.0, 20.0], [77.0]])
def test_a_key_holder_that_is_told_of_other_rows_opens_nothing(rows, agreed, tmp_path, lying):
    lying("bank", "number of rows in common", lambda n, t, said, _: [(n, t, said, np.array(rows))])
    apart = surveyed(agreed, tmp_path)
    assert isinstance(apart.outcome(), FedLabError)
    assert apart.answers() == {}


def from_server(kind, to, payload):
    """The server says something else of this kind to one party."""
    return Once(in_place(lambda parcel: replace(parcel, body=encode(payload, DATA))), kind=kind, to=to)


@pytest.mark.parametrize(("frame", "flags"), [(people(200), [1.0, 0.0]), (with_gaps(200), [0.0, 1.0])])
def test_a_server_that_says_another_thing_of_an_owners_columns_is_found_out_by_it(frame, flags, agreed, tmp_path):
    apart = surveyed(agreed, tmp_path, frame=frame)
    apart.to_site = lie = from_server("which columns are complete", "shop", np.array(flags))
    named(apart, "shop", "The server told 'shop' that its columns are ")
    assert lie.told
    assert not {m.kind for m in apart.ledger.messages} & {"sum of correlations, opened"}


@pytest.mark.parametrize("to", ["bank", KEY_HOLDER])
def test_a_server_that_tells_parties_different_things_gets_nothing_opened(to, agreed, tmp_path):
    flags = [0.0, 1.0] if to == KEY_HOLDER else [1.0, 0.0]
    apart = surveyed(agreed, tmp_path)
    apart.to_site = lie = from_server("which columns are complete", to, np.array(flags))
    assert isinstance(apart.outcome(), FedLabError)
    assert lie.told
    assert apart.answers() == {}


@pytest.mark.parametrize("places", [[1.0, 0.0], [0.0, 0.0], [0.0, 2.0], [-1.0, 0.0], [0.0, 0.5], [0.0, np.nan]])
@pytest.mark.parametrize("to", ["shop", KEY_HOLDER])
def test_a_server_that_names_other_columns_than_were_agreed_on_is_refused(places, to, chosen, tmp_path):
    apart = Surveyed(owners(people(200)), "chosen", chosen, tmp_path)
    apart.to_site = from_server("which columns are left", to, np.array(places))
    named(apart, to, "'server' answered with something else than places of 2 columns")
    assert apart.answers() == {}


@pytest.mark.parametrize("lies", [False, True])
def test_a_server_can_say_that_other_columns_of_a_selection_are_left_as_the_guide_tells(lies, tmp_path, monkeypatch):
    asked = notebook(owners(people(200)), "strict")[2]
    if lies:  # only the server works this out
        monkeypatch.setattr(selection, "_by_value", lambda *_: dict.fromkeys(["visits", "income"], selection.KEPT))
    apart = Surveyed(owners(people(200)), "strict", asked, tmp_path)
    assert apart.outcome() is None
    told = {message.kind for message in apart.ledger.messages if message.receiver == SERVER}
    assert ("own correlation" in told) == lies
    guide = {threat.who: threat for threat in told_by_answers(apart.agreement)}
    lied_to = guide["a server that says in a selection that other columns have enough evidence"]
    assert lied_to.could_read == "the correlations of these, which are numeric columns named in its question"
    assert lied_to.safe is False


def test_the_guide_speaks_of_no_such_lie_where_no_server_can_tell_it(agreed, tmp_path):
    apart = surveyed(agreed, tmp_path)
    assert not any("in a selection" in threat.who for threat in told_by_answers(apart.agreement))


def test_a_failure_beside_rows_names_its_owner_and_quotes_none(agreed, tmp_path, monkeypatch):
    def quote(*_):
        raise ValueError("income 918273")

    monkeypatch.setattr("fedlab_nb.analytics.vertical.relations._numbers", quote)
    apart = surveyed(agreed, tmp_path)
    error = named(apart, "bank", "own correlation at 'bank' failed with ValueError; its text is withheld")
    assert "918273" not in str(error)
    assert not any(b"918273" in data for _, data in apart.crossed)
