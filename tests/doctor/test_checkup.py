"""The checkup as text and as a card: the same findings, every name escaped, nothing private."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

import fedlab_nb as fl
from fedlab_nb.checkup import Checkup
from fedlab_nb.checkup.machine import Machine
from fedlab_nb.checkup.plan import Cost, Outlook, Planned
from fedlab_nb.checkup.twin import Amount
from fedlab_nb.checkup.versions import Version
from fedlab_nb.errors import RuleError, SettingError
from fedlab_nb.view.frontend import FrontEnd
from tests.rounds.common import SECRETS, assert_teaches, cells, logistic
from tests.view.fake import EVIL

MACHINE = Machine(16 * 10**9, 8 * 10**9, None, 300 * 10**6, 8, None, None)
COST = Cost(20, Amount(1.5, 3e6, 3e5, 1e5), Amount(0.5, 8e5, 5e4, 2e4), Amount(0.5, 4e5, 5e4, 2e4), 30e6)
OUTLOOK = Outlook("A claim.", 8.0, 1e-3, "row", 7.98, 8.0, "", 20)
RUN = Planned("The planned run: FedAvg over 5 owners, 20 rounds", 200, encrypted=True, cost=COST, outlook=OUTLOOK)
FRONT = FrontEnd("Jupyter", True, True, True, "The dashboard is live and its buttons work.")
VERSIONS = (Version("Python", "3.11.7", ">=3.11"), Version("ipykernel", "7.4.0", ">=7.4"))


def checkup(**changes):
    return Checkup(FRONT, VERSIONS, MACHINE, replace(RUN, **changes))


def words(html):
    """The text of a card, spaces as they come."""
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]*>", " ", html).split())


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.seen = [], set()

    def handle_starttag(self, tag, attributes):
        self.seen.add(tag)
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_a_planned_run_says_what_it_takes_in_units_a_reader_knows():
    said = " ".join(str(checkup()).split())
    assert "About 11 s: 1 s to begin, then 0.5 s a round" in said
    assert "17.8 MB will be sent, 800 kB a round; all in the clear it would be 1.2 MB." in said
    assert "About 30 MB more than now; 8 GB are available" in said
    assert "Epsilon 7.98 of the agreed 8 will be spent at the end (delta 0.001, per row); 8 of 8 is left now." in said
    assert "200 invented rows an owner" in said
    assert "rows=" in said
    assert checkup().to_do == ()


def test_the_card_says_what_the_text_says():
    text, card = str(checkup(guessed=("ward",))), words(checkup(guessed=("ward",))._repr_html_())
    for line in ("Front end", "Buttons", "Versions", "Memory", "Cores", "Time", "Traffic", "Privacy", "'ward'"):
        assert line in text
        assert line.replace("'", "&#x27;") in card
    assert "800 kB a round; all in the clear it would be 1.2 MB." in card


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"outlook": replace(OUTLOOK, epsilon=9.5, rounds=14)}, "Only 14 of 20 rounds fit"),
        ({"outlook": replace(OUTLOOK, epsilon=9.5, rounds=14), "sampled": True}, "At least 14 of 20 rounds fit"),
        ({"cost": replace(COST, memory=9e9)}, "Plan fewer rounds or a smaller model"),
        ({"refused": RuleError("What.", "Why.", "Do.")}, "What. Why. Do."),
        ({"cost": None, "broken": "In round 1: it broke."}, "In round 1: it broke."),
    ],
)
def test_what_would_not_work_is_to_be_done_about(changes, said):
    assert len(checkup(**changes).to_do) == 1
    assert said in checkup(**changes).to_do[0]
    assert "✕ to do" in str(checkup(**changes))
    assert said in words(checkup(**changes)._repr_html_())


def test_a_run_without_a_mechanism_says_that_nothing_is_guaranteed():
    assert "No guarantee: there is none" in str(
        checkup(outlook=Outlook("No guarantee: there is none."), encrypted=False)
    )
    assert "all of it in the clear" in " ".join(str(checkup(encrypted=False)).split())


def test_a_budget_without_a_limit_says_what_will_be_spent():
    outlook = Outlook("A claim.", None, 1e-5, "owner", 3.2)
    assert "Epsilon 3.20 will be spent at the end (delta 10⁻⁵, per owner); no limit is agreed." in " ".join(
        str(checkup(outlook=outlook)).split()
    )


def test_every_name_is_escaped_and_nothing_runs():
    evil = Checkup(
        replace(FRONT, name=EVIL, note=EVIL),
        (*VERSIONS, Version(EVIL, None, ">=1")),
        MACHINE,
        replace(RUN, title=EVIL, guessed=(EVIL,), outlook=replace(OUTLOOK, where=EVIL)),
    )
    tags = Tags()
    tags.feed(evil._repr_html_())
    assert tags.open == []
    assert not tags.seen & {"img", "script"}
    broken = checkup(cost=None, broken=EVIL)._repr_html_() + checkup(refused=RuleError(EVIL, EVIL, EVIL))._repr_html_()
    assert "<img" not in broken


def test_nothing_private_is_in_what_the_doctor_says():
    frame = fl.data.clinics().drop(columns="clinic")
    frame["cholesterol"] = [float(SECRETS[0])] * 300 + [float(SECRETS[2])] * 300
    frame.loc[::2, "chest_pain"] = SECRETS[1]
    owners = [
        fl.DataOwner(f"Clinic {i}", frame[i::3], target="diagnosis", categories={"diagnosis": ["healthy", "ill"]})
        for i in range(3)
    ]
    found = fl.doctor(fl.Federation(owners), logistic(), num_rounds=3, rows=40)
    said = str(found) + found._repr_html_()
    assert "'chest_pain'" in str(found)
    assert found.planned.cost is not None
    assert not any(secret in said for secret in SECRETS)


def test_half_a_question_is_refused():
    for question in ((fl.Federation(cells()),), (None, logistic())):
        with pytest.raises(SettingError) as caught:
            fl.doctor(*question)
        assert_teaches(caught, "fl.doctor(federation, strategy")


def test_what_is_no_federation_is_told_and_not_raised():
    found = fl.doctor("my data", logistic())
    assert "The federation is str" in found.to_do[0]
