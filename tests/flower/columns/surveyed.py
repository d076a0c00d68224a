"""A survey of owners of different columns, each at a site of its own; and the same in one process."""

import importlib.util
import sys
import threading
from pathlib import Path

import pandas as pd

import fedlab_nb as fl
from fedlab_nb.analytics.answers import Standardiser
from fedlab_nb.analytics.apart.asked import listen
from fedlab_nb.errors import FedLabError
from fedlab_nb.flower import news
from fedlab_nb.flower.survey.agreed import Noted, answering
from fedlab_nb.flower.survey.answers import together
from fedlab_nb.flower.survey.asking import asked
from fedlab_nb.flower.survey.questions import Questions
from fedlab_nb.parties.house import House
from tests.flower.columns.apart import DEEP
from tests.flower.columns.attacked import PATIENCE, Attacked
from tests.vertical.common import people

FILE = Path(__file__).parent / "asked_across.py"


def module():
    """The file with the questions, imported as a notebook would."""
    if "asked_across_of_tests" not in sys.modules:
        spec = importlib.util.spec_from_file_location("asked_across_of_tests", FILE)
        sys.modules["asked_across_of_tests"] = made = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(made)
    return sys.modules["asked_across_of_tests"]


ASKED = module()


def undeclared(truth=None):
    """Two owners that declare nothing of their columns."""
    truth = people(300) if truth is None else truth
    bank, shop = ["income", "sector", "default"], ["visits", "spent", "region"]
    return [
        fl.DataOwner("bank", truth[["customer", *bank]], id="customer", target="default"),
        fl.DataOwner("shop", truth[["customer", *shop]], id="customer"),
    ]


def same(one, other):
    """Whether two answers are equal to the last bit, and say the same of how they were made."""
    if isinstance(one, Standardiser):
        return same(one.table, other.table)
    if isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    alike = type(one) is type(other) and repr(one) == repr(other)
    return alike and getattr(one, "attrs", None) == getattr(other, "attrs", None)


def spent_at(federation):
    """By owner what its account counts."""
    return {name: dict(federation.account(name).counts) for name in federation.names}


def notebook(owners, name, encrypt=DEEP, linkage=None):
    """The federation, all answers, and the questions that were asked for them."""
    federation, noted = fl.Federation(owners, encrypt=encrypt), Noted()
    if linkage is not None:
        fl.vertical.link(federation, threshold=linkage)
    listen(federation, noted)
    answers = dict(getattr(ASKED, name)(fl.PrivateFrame(federation)))
    return federation, answers, tuple(noted.asked)


class Surveyed(Attacked):
    """The sites of a survey; ``app`` is a folder with the file of the function."""

    def __init__(self, owners, name, agreed, app, encrypt=DEEP, linkage=None):
        (app / "task.py").write_bytes(FILE.read_bytes())
        self.app, self.agreed = app, tuple(agreed)
        questions = Questions.of(name, FILE.read_bytes(), self.agreed)
        super().__init__(questions, owners, house=House(encrypt), num_rounds=0, linkage=linkage)
        self.told = []

    def steps(self, name, kept):
        return answering(self.agreed)

    def played(self):
        """The federation as the server knows it, and what it told of the answers."""
        federation = self.federation()
        self.ledger = federation.ledger
        try:
            self.told += asked(federation, self.agreement.strategy, self.app)
        finally:
            for site in self.sites.values():
                site.close()
        return federation, self.told

    def outcome(self):
        """Why the run failed, None if it did not; nobody is left waiting."""
        done, before = [], {*threading.enumerate()}

        def play():
            try:
                self.played()
            except FedLabError as error:
                done.append(error)
            else:
                done.append(None)

        player = threading.Thread(target=play, daemon=True)
        player.start()
        player.join(PATIENCE)
        assert done, "the run hangs, or broke with an error that names nobody"
        for thread in {*threading.enumerate()} - before:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a party is left waiting"
        return done[0]

    def answers(self):
        """By name what a notebook that watches has of it."""
        answered = [item for item in self.told if isinstance(item, news.Answered)]
        return {item.name: together(item.answer) for item in answered if item.name is not None}


__all__ = ["ASKED", "FILE", "Surveyed", "module", "notebook", "same", "spent_at", "undeclared"]
