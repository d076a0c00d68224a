"""Sites carry out the questions that were agreed on, each once, in their order; a server gets nothing else of them."""

import pytest

from fedlab_nb.analytics.apart.asked import Asked
from fedlab_nb.errors import EncryptionError, FedLabError, RoundError, SettingError
from fedlab_nb.flower import news
from fedlab_nb.flower.server import _words
from tests.flower.columns.surveyed import Surveyed, notebook, same, undeclared
from tests.vertical.common import owners, people


@pytest.fixture(scope="module")
def few():
    """(what a notebook answers, what it asked for it)."""
    _, answers, agreed = notebook(owners(people(200)), "few")
    return answers, agreed


def surveyed(agreed, tmp_path, name="few"):
    return Surveyed(owners(people(200)), name, agreed, tmp_path)


def refused(apart, words):
    """The run fails with these words; what was answered before is there."""
    error = apart.outcome()
    assert isinstance(error, FedLabError)
    assert words in str(error), str(error)
    assert all((error.what, error.why, error.do))
    return error


class Rogue:
    """A server that asks what it likes: no list binds it."""

    def __init__(self, apart):
        self.apart, self.federation = apart, apart.federation()

    def ask(self, asked):
        self.federation.round_begins(self.federation.names)
        answer = asked.carry_out(self.federation)
        self.federation.round_ends()
        return answer

    def kinds(self):
        return {(m.kind, m.sender) for m in self.federation.ledger.messages if m.sender != "server"}

    def close(self):
        for site in self.apart.sites.values():
            site.close()


@pytest.fixture
def rogue(few, tmp_path):
    made = Rogue(surveyed(few[1], tmp_path))
    yield made
    made.close()


def other(few):
    """A question that nobody agreed on: the same as the second, of another column."""
    (told,) = (each for each in few[1] if each.kind == "statistic")
    return Asked(told.kind, "shop", False, None, (("column", "visits"), *told.given[1:]))


def test_the_agreed_questions_are_answered_by_any_server_that_asks_them(few, rogue):
    for asked, expected in zip(few[1], few[0].values(), strict=True):
        assert same(rogue.ask(asked), expected)


def test_a_question_in_place_of_another_gets_the_agreed_one_and_no_answer(few, rogue):
    """What comes is out of step, or is what was agreed on: a site looks at its own list, and at nothing else."""
    rogue.ask(few[1][0])
    missing = Asked("missing values", "shop", False, None, (("columns", ("visits", "spent")), ("epsilon", None)))
    with pytest.raises(RoundError, match="and 'missing count' of round"):
        rogue.ask(missing)
    assert "missing count" not in {kind for kind, _ in rogue.kinds()}


def test_another_column_asked_in_place_of_the_agreed_one_tells_of_the_agreed_one(few, rogue):
    rogue.ask(few[1][0])
    assert float(rogue.ask(other(few))) == float(few[0]["mean"])


def test_a_question_asked_twice_is_not_answered_twice(few, rogue):
    rogue.ask(few[1][0])
    rogue.ask(few[1][1])
    with pytest.raises((RoundError, EncryptionError)):
        rogue.ask(few[1][1])
    assert [m.kind for m in rogue.federation.ledger.messages].count("column sum") == 1


def test_a_question_before_its_turn_is_not_answered(few, rogue):
    with pytest.raises((RoundError, EncryptionError)):
        rogue.ask(few[1][1])
    assert not {kind for kind, _ in rogue.kinds()} & {"column sum", "pair count"}


def test_after_the_last_question_nothing_more_is_answered(few, rogue):
    for asked in few[1]:
        rogue.ask(asked)
    sent = len(rogue.federation.ledger.messages)
    with pytest.raises(RoundError, match="was to come"):
        rogue.ask(few[1][1])
    assert [m for m in rogue.federation.ledger.messages[sent:] if m.sender != "server"] == []


def test_sites_do_nothing_before_the_server_begins_a_question(few, tmp_path):
    apart = surveyed(few[1], tmp_path)
    federation = apart.federation()
    federation.sites.deliver()
    assert len(federation.ledger) == 0
    for site in apart.sites.values():
        site.close()


def test_what_follows_from_an_answer_is_refused_by_the_server_and_says_what_was_agreed(tmp_path):
    """Agreed on over other rows than those that are there."""
    _, _, agreed = notebook(owners(people(260)), "follows")
    apart = surveyed(agreed, tmp_path, "follows")
    error = refused(apart, "Agreed on was the question: number of rows of 'shop'")
    assert isinstance(error, SettingError)
    assert "After 1 question the function asked: number of rows of 'shop': " in str(error)
    assert "must not depend on what was answered" in error.why
    assert '\'frame.of("shop").query(f"spent > {float(mean)!r}").count()\'' in str(error)
    assert [*apart.answers()] == ["mean"]


def test_another_function_than_was_agreed_on_gets_no_answer(few, tmp_path):
    refused(surveyed(few[1], tmp_path, "own"), "After 0 questions the function asked: description of 'bank'")
    more = surveyed(few[1][:2], tmp_path, "few")
    refused(more, "After 2 questions the function asked: cross table across owners")
    assert [*more.answers()] == ["together", "mean"]


def test_after_a_question_that_failed_none_is_asked_any_more(tmp_path):
    """Nobody declared the values of the column, and no row has this one: the key holder finds out."""
    _, _, agreed = notebook(undeclared(), "stubborn")
    mean = notebook(undeclared(), "few")[2][1]
    apart = Surveyed(undeclared(people(300).assign(sector="state")), "stubborn", (*agreed, mean), tmp_path)
    refused(apart, "After question 2 was not answered, the function asked another one: statistic of 'shop'")
    assert [*apart.answers()] == ["rows"]


def test_a_question_that_fails_says_why_and_ends_the_run(tmp_path):
    _, _, agreed = notebook(undeclared(), "stubborn")
    apart = Surveyed(undeclared(people(300).assign(sector="state")), "plain", agreed, tmp_path)
    refused(apart, "No row that was asked has 'trade' in 'sector'")


def test_a_function_that_asks_less_than_was_agreed_on_ends_well_and_says_what_it_left(few, tmp_path):
    apart = surveyed((*few[1], *few[1][1:]), tmp_path)
    assert apart.outcome() is None
    assert [*apart.answers()] == [*few[0]]
    left = apart.told[-1]
    assert left == news.Unasked(tuple(each.text for each in few[1][1:]))
    assert _words(left) == (
        "Agreed on, and never asked: statistic of 'shop': column 'spent'; which 'mean'; "
        "cross table across owners: names ['sector', 'region']"
    )
    assert [*news.read(news.lines(1, left, apart.agreement.allowed), apart.agreement.allowed)] == [left]


def test_a_function_that_asks_all_leaves_nothing_to_be_told(few, tmp_path):
    apart = surveyed(few[1], tmp_path)
    assert apart.outcome() is None
    assert not [said for said in apart.told if isinstance(said, news.Unasked)]


def test_the_notebook_is_told_of_each_question_once_whatever_it_asks_in_its_turn():
    _, _, agreed = notebook(owners(people(300)), "across")
    kinds = [each.kind for each in agreed]
    assert kinds.count("selection of columns") == 2
    assert kinds.count("weights of evidence across owners") == 2, "a selection asks for them as a part of it"


def test_a_question_says_completely_what_it_asks():
    _, _, agreed = notebook(owners(people(200)), "own")
    texts = [each.text for each in agreed]
    assert len({*texts}) == len(texts)
    frequent = next(text for text in texts if "purpose" in text)
    assert "rows where ('visits' > 6) and ('region' != 'south')" in frequent
    assert any(text.endswith("rows to train on") for text in texts)
