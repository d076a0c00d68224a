"""Questions to owners of different columns: what is asked, how, how long it takes, and who learns what."""

from __future__ import annotations

from fedlab_nb.analytics.apart.asked import Asked
from fedlab_nb.flower.agreement import Agreement
from fedlab_nb.flower.project.pages.markdown import code
from fedlab_nb.flower.survey.questions import ACROSS, SELECTION, Questions
from fedlab_nb.records import Threat

# Trips of each question, as counted over owners of 300 rows without missing values: of one owner, or across owners.
_ALONE, _TOGETHER, _CHOSEN = 1, {"cross table across owners": 5}, 4
# To meet and to find the rows in common, besides one for each owner; and to hand out keys.
_MEETING, _KEYS = 2, 2
_SECONDS = 5


def of_questions(agreement: Agreement) -> dict[str, str]:
    """What the guide says of such questions alone."""
    questions: Questions = agreement.strategy
    listed = "".join(f"\n  {number}. {code(asked.text)}" for number, asked in enumerate(questions.agreed, 1))
    return {
        "does": "answer questions",
        "work": f"- **Asked:** these questions, each once, in this order, and no others:{listed}\n"
        "- **How:** every party runs the protocol itself and takes no orders: it carries out its own lines of a "
        "question when the server begins it. What owners send each other is sealed from end to end, by keys that hold "
        "against the server as far as fingerprints were noted (section 3)\n"
        "- **Cost:** answers have no noise and count as not protected. Each owner's account is charged for every "
        "question about its columns, and once for which rows are in common",
        "results": "the answers, and what owners tell for them; what they send each other, sealed",
        "keeps": "",
        "task": f" The function `{questions.name}` in `fedlab_app/task.py` asks the questions: the server runs it, no "
        "site does. If it asks anything but the next question of the list, the run ends.",
        "trips": f"A message from one party to another takes one of them. {_trips(agreement)}",
        "lost": "a question in which a party is missing ends the run, and the answers before it are kept",
    }


def told_by_answers(agreement: Agreement) -> list[Threat]:
    """What parties learn from the questions themselves."""
    asked = agreement.strategy.agreed
    told = ["exactly what each owner answers about its own columns"] * any(each.owner is not None for each in asked)
    kinds = {each.kind for each in asked}
    if agreement.strategy.multiplies:
        told.append("what the key holder shows of sums across owners, and how owners cut their columns into cells")
        told += ["the correlations within each owner's columns"] * bool(kinds & {_CORRELATIONS, SELECTION})
    told.append("how many rows the owners have in common")
    return [
        Threat("the server, of the questions above", f"{'; '.join(told)}. Counts from 1 to 4 are kept back", None),
        *_of_others(kinds),
        *[_OTHERS_LEFT] * any(map(_is_inflated, asked)),
        Threat("a server that asks something else", "nothing: a site carries out the questions above, each once", True),
    ]


_CORRELATIONS = "correlations across owners"
# Owners cannot check what it says: the counts behind it are known to the key holder and the server alone.
_OTHERS_LEFT = Threat(
    "a server that says in a selection that other columns have enough evidence",
    "the correlations of these, which are numeric columns named in its question",
    False,
)


def _of_others(kinds: set[str]) -> list[Threat]:
    """What owners learn of each other in questions across them."""
    told = []
    if kinds & {"cross table across owners", "weights of evidence across owners", SELECTION}:
        told.append("into how many cells another's columns are cut")
    if kinds & {_CORRELATIONS, SELECTION}:
        told.append("whether another's columns lack values")
    if SELECTION in kinds:
        told.append("which numeric columns have enough evidence, of all owners, where inflation is asked for")
    return [Threat("another owner, of questions across owners", "; ".join(told), None)] if told else []


def _trips(agreement: Agreement) -> str:
    """How many trips follow each other in all."""
    questions: Questions = agreement.strategy
    amount = _MEETING + len(agreement.names) + _KEYS * questions.multiplies + sum(map(_trips_of, questions.agreed))
    minutes = max(round(amount * _SECONDS / 60), 1)
    return (
        f"All questions together take about {amount} of them, {minutes} minute{'s' * (minutes > 1)}; some more where "
        "values are missing."
    )


def _trips_of(asked: Asked) -> int:
    if asked.kind not in ACROSS:
        return _ALONE
    return _TOGETHER.get(asked.kind, _CHOSEN) * (2 if _is_inflated(asked) else 1)


def _is_inflated(asked: Asked) -> bool:
    """Whether it is a selection in which correlations may be asked, of columns that the server names."""
    return asked.kind == SELECTION and dict(asked.given)["vif"] is not None
