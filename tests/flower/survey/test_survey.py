"""Questions past one machine: the notebook's own answers, ledger and epsilons; refusals name their question."""

import asyncio
import itertools

import numpy as np
import pandas as pd
import pytest

import fedlab_nb as fl
from fedlab_nb.analytics import Answer, Number
from fedlab_nb.analytics.answers import Standardiser
from fedlab_nb.errors import BudgetExceededError, FedLabError, PrivateDataError, RoundError, SettingError
from fedlab_nb.flower import news
from fedlab_nb.flower.codec import ASKING, TRAINING, encode
from fedlab_nb.flower.survey.watched import WatchedSurvey
from fedlab_nb.flower.watch import attach, run
from tests.flower.deploy.common import with_flower
from tests.flower.survey.common import ASKED, Asked, Runs, federation

pytestmark = with_flower
ROWS = {"protect": fl.RowLevelDP(), "budget": fl.Budget(8.0, 1e-3)}


_TIMES = itertools.count(1)


def fresh():
    """What makes data nobody's yet: budgets belong to data, and are shared by all that this process does with it."""
    return float(next(_TIMES)) / 16.0


@pytest.fixture
def net(monkeypatch):
    """Makes runs of questions in this process, and clears them away."""
    made = []

    def make(function, **settings):
        settings = {"encrypt": fl.CKKS(), "shift": fresh(), **settings}
        made.append(Asked(federation(**settings), function, monkeypatch))
        return made[-1]

    yield make
    for each in made:
        each.close()


def watched(net):
    return attach(net.rehearsal.project, Runs(net.log()), 7)


def assert_same(one, other):
    assert type(one) is type(other)
    if isinstance(one, Standardiser):
        return assert_same(one.table, other.table)
    if isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
        assert repr(one.attrs) == repr(other.attrs)
        assert one._repr_html_() == other._repr_html_()
    elif isinstance(one, Number):
        assert (repr(one), float(one).hex(), repr(one.attrs)) == (repr(other), float(other).hex(), repr(other.attrs))
        assert one._repr_html_() == other._repr_html_()
    else:
        assert one == other
    return None


def crossings(federation):
    messages = federation.ledger.messages
    return [(m.round, m.sender, m.receiver, m.kind, m.encrypted) for m in messages]


def sizes(federation):
    return [m.nbytes for m in federation.ledger.messages if m.kind not in ("public key", "secret key")]


CASES = {
    "in the clear": ("questions", {"encrypt": None}),
    "encrypted": ("questions", {}),
    "undeclared": ("questions", {"declared": False, "encrypt": None}),
    "masks": ("questions", {"encrypt": fl.SecAgg()}),
    "rehearsed noise": ("private", {**ROWS, "noise_seed": 3}),
    "rehearsed noise in the clear": ("private", {**ROWS, "noise_seed": 3, "encrypt": None}),
}


@pytest.mark.parametrize("case", CASES)
def test_answers_and_ledger_are_those_of_the_notebook(net, case):
    name, settings = CASES[case]
    function = getattr(ASKED, name)
    settings = {"shift": fresh(), "encrypt": fl.CKKS(), **settings}
    here = federation(**settings)
    known = dict(function(fl.PrivateFrame(here)))
    there = watched(net(function, **settings))
    answers = there.wait()
    assert [*answers] == [*known]
    for name, answer in known.items():
        assert_same(answer, answers[name])
    assert crossings(here) == crossings(there.federation)
    assert sizes(here) == sizes(there.federation)
    assert there.federation.ledger.verify()
    assert there.state == "finished"
    if name == "questions":
        assert {type(answer) for answer in answers.values()} == {Answer, Number, Standardiser}


@pytest.mark.parametrize("rows", [ROWS, {**ROWS, "protect": fl.RowLevelDP(row_rate=0.5, frozen=True)}])
def test_what_each_owner_spends_is_debited_at_its_site_and_told(net, rows):
    made = net(ASKED.private, **rows)
    there = watched(made)
    there.wait()
    here = federation(shift=fresh(), encrypt=fl.CKKS(), **rows)
    dict(ASKED.private(fl.PrivateFrame(here)))
    assert there.epsilon == pytest.approx(here.epsilon())
    assert set(there.spent.values()) == {there.epsilon}
    vaults = [fl.Vault(made.settings[node].parent / "budget.vault") for node in (1, 2, 3)]
    sides = [made.parties[node]._site._verbs["introduce"].__self__ for node in (1, 2, 3)]
    books = [side._books for side in sides]
    assert [book.epsilon(made.agreement.house, here.delta) for book in books] == [pytest.approx(here.epsilon())] * 3
    assert all(vault.path.exists() for vault in vaults)
    # The next run finds what this one spent, and pays for the same questions again.
    for node in (1, 2, 3):
        made.begin_anew(node)
    again = watched(made)
    again.wait()
    assert again.epsilon > there.epsilon


def test_a_question_that_is_too_dear_is_named_and_answers_before_it_are_kept(net):
    there = watched(net(ASKED.too_dear, **ROWS))
    with pytest.raises(BudgetExceededError, match=r"frame.groupby\(\"diagnosis\"\).size\(epsilon=30.0\)") as caught:
        there.wait()
    assert "line" in str(caught.value)
    assert "Releasing the size of groups by diagnosis would take" in caught.value.what
    assert [*there.answers] == ["mean area"]
    assert there.state == "failed"
    assert 0.0 < there.epsilon <= 0.5
    assert "mean area" in there._repr_html_()
    assert "1 answer: mean area" in repr(there)


def test_a_site_refuses_beyond_its_own_budget_whatever_the_server_thinks(net):
    made = net(ASKED.private, **ROWS)
    server_side = made.told()
    assert isinstance(next(server_side), news.Began)
    side = made.parties[2]._site._verbs["introduce"].__self__
    side._books.owners["Owner 2"]._facts = (*side._books.owners["Owner 2"]._facts[:4], fl.Budget(0.1, 1e-3))
    *answered, end = server_side
    assert [said.name for said in answered if said.name] == []
    assert isinstance(end.error, BudgetExceededError)
    assert "Owner 2" in str(end.error)


def test_an_error_of_the_function_is_told_with_what_had_crossed(net):
    there = watched(net(ASKED.clumsy))
    with pytest.raises(SettingError, match="failed with ZeroDivisionError") as caught:
        there.wait()
    assert "1 / 0" in str(caught.value)
    assert [*there.answers] == ["rows"]
    counted = [m for m in there.federation.ledger.messages if m.kind.startswith("row count") and m.receiver == "server"]
    assert {m.round for m in counted} == {1, 2}  # the second has no answer, and crossed all the same


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("rows_please", PrivateDataError, r"does not allow \.head"),
        ("a_frame", SettingError, "'mask' is or holds an object of type Mask"),
        ("nameless", SettingError, "yielded an object of type Number"),
        ("twice", SettingError, "'rows' a second time"),
        ("silent", SettingError, "ended without a single answer"),
    ],
)
def test_what_is_no_answer_is_refused_in_words(net, name, kind, said):
    there = watched(net(getattr(ASKED, name)))
    with pytest.raises(kind, match=said):
        there.wait()
    assert [*there.answers] == (["rows"] if name in ("rows_please", "twice") else [])


def test_a_column_that_no_site_declared_is_to_be_declared_there(net):
    there = watched(net(ASKED.short, declared=False, **ROWS))
    with pytest.raises(SettingError, match="Column 'mean_area' has no declared bounds") as caught:
        there.wait()
    assert 'fl.DataOwner(..., bounds={"mean_area": (lowest, highest)})' in caught.value.do
    assert "at a site under [bounds] in site.toml" in caught.value.do
    assert "PrivateFrame" not in str(caught.value)


def test_a_column_without_a_value_in_five_rows_is_named_as_in_the_notebook(net):
    there = watched(net(ASKED.rare, declared=False))
    with pytest.raises(SettingError, match="No value of column 'diagnosis' has 5 rows or more at any owner") as caught:
        there.wait()
    assert "A question was not answered: 'frame[frame[AREA] > 1e6].value_counts" in caught.value.what
    assert [*there.answers] == ["rows"]
    with pytest.raises(SettingError, match="No value of column 'diagnosis'"):
        dict(ASKED.rare(fl.PrivateFrame(federation(declared=False))))


def test_an_owner_that_is_gone_ends_the_questions_in_words(net):
    made = net(ASKED.questions)
    told = made.told()
    assert isinstance(next(told), news.Began)
    assert next(told).name == "rows"
    made.grid.ways[2] = lambda data, ask: []
    *answered, end = told
    assert [said.name for said in answered if said.name] == []
    assert isinstance(end.error, RoundError)
    assert end.error.party == "Owner 2"
    assert "frame[AREA].mean()" in str(end.error)


def test_sites_answer_no_training_in_an_app_of_questions_and_run_none_of_its_code(net, monkeypatch):
    from fedlab_nb.flower import task

    def never(*_):
        raise AssertionError("a site runs the app's own code")

    made = net(ASKED.questions)
    assert made.agreement.allowed.work == ASKING
    assert not ASKING & TRAINING
    assert made.agreement.allowed.modules == frozenset()
    monkeypatch.setattr(task, "loaded", never)
    made.begin_anew(1)
    assert "refused" not in made.parties[1]._facts


def test_another_task_than_was_agreed_on_is_refused_at_a_site(net):
    made = net(ASKED.questions)
    path = made.app / "task.py"
    path.write_bytes(path.read_bytes() + b"\n# more\n")
    made.begin_anew(1)
    assert "not the one that was agreed on" in made.parties[1]._facts["refused"][0]
    path.unlink()
    made.begin_anew(1)
    assert "not there" in made.parties[1]._facts["refused"][0]


def test_it_can_be_waited_for_stopped_left_and_taken_up_again(net):
    made = net(ASKED.questions, encrypt=None)
    lines = made.log()
    started = run(made.rehearsal.project, Runs(lines))
    assert isinstance(started, WatchedSurvey)
    assert [*asyncio.run(_awaited(started))] == [*attach(made.rehearsal.project, Runs(lines), 7).wait()]
    control = Runs(lines)
    attach(made.rehearsal.project, control, 7).leave()
    assert control.stopped == []
    stopped = attach(made.rehearsal.project, Runs(lines[:3]), 7)
    stopped.stop()
    assert stopped.control.stopped == [7]
    with pytest.raises(SettingError, match="is watched, not asked"):
        fl.PrivateFrame(started.federation).count()


async def _awaited(survey):
    return await survey


def test_a_log_that_ends_early_leaves_the_answers_that_came(net):
    made = net(ASKED.questions, encrypt=None)
    lines = made.log()
    third = max(i for i, line in enumerate(lines) if line.startswith("FEDLAB 3 "))
    there = attach(made.rehearsal.project, Runs(lines[: third + 1]), 7)
    with pytest.raises(RoundError, match="ended after 2 answers without a word"):
        there.wait()
    assert [*there.answers] == ["rows", "mean area"]


def test_who_did_not_come_is_told_at_once(net):
    made = net(ASKED.questions)
    made.grid.parties.pop(1)
    with pytest.raises(FedLabError, match="did not come within"):
        watched(made)
    with pytest.raises(FedLabError, match="before its owners had met"):
        attach(made.rehearsal.project, Runs([]), 7)


def test_no_row_is_in_anything_that_crosses_or_is_told(net):
    made, crossed = net(ASKED.questions), []

    def noted(data, ask):
        crossed.extend([data, reply := ask(data)])
        return [reply]

    made.grid.ways = dict.fromkeys(made.parties, noted)
    everything = b"".join(encode(said, made.agreement.allowed) for said in made.told())
    rows = np.concatenate(
        [
            owner._inside(lambda rows: rows.training[0][["mean_area", "mean_texture"]].to_numpy(), stage="test")
            for owner in federation().owners
        ]
    )
    assert len(rows) > 100
    everything += b"".join(crossed)
    assert b"row count" in everything  # the search finds what is there
    assert not any(row.tobytes() in everything for row in rows)


def test_the_same_question_in_one_run_is_answered_with_what_was_released(net):
    there = watched(net(ASKED.again, **ROWS))
    answers = there.wait()
    here = federation(shift=fresh(), encrypt=fl.CKKS(), **ROWS)
    known = dict(ASKED.again(fl.PrivateFrame(here)))
    for each in (answers, known):
        assert each["mean area 0"] == each["mean area 1"]
        pd.testing.assert_frame_equal(each["missing 0"], each["missing 1"], check_exact=True)
    assert there.epsilon == pytest.approx(here.epsilon())
    assert crossings(here) == crossings(there.federation)


@pytest.mark.parametrize(
    ("declared", "instead", "said"),
    [
        (True, lambda answer: answer[:-1], "finite numbers"),
        (True, lambda answer: np.full_like(answer, np.nan), "finite numbers"),
        (True, lambda answer: "a text", "finite numbers"),
        (False, lambda answer: answer.replace("benign", "malign") + "}", "the values of some columns"),
        (False, lambda answer: '{"diagnosis": [["a", "list"]]}', "the values of some columns"),
        (False, lambda answer: np.zeros(3), "the values of some columns"),
    ],
)
def test_a_site_that_answers_something_else_is_named(net, declared, instead, said):
    made = net(ASKED.own if declared else ASKED.values, declared=declared)
    verbs = made.parties[2]._site._verbs
    inner = verbs["answer"]

    def lied(*given):
        answer, kept = inner(*given)
        return instead(answer), kept

    verbs["answer"] = lied
    there = watched(made)
    with pytest.raises(RoundError, match=said) as caught:
        there.wait()
    assert caught.value.party == "Owner 2"
    assert there.answers == {}
