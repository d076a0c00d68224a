"""A joint prediction whose parties are apart, each with its own part of a model; a test may put something between."""

from types import SimpleNamespace

import pandas as pd

import fedlab_nb as fl
from fedlab_nb.errors import FedLabError
from fedlab_nb.flower.predicting.serving import predicted
from fedlab_nb.flower.predicting.site import predicting
from fedlab_nb.parties.house import House
from fedlab_nb.vertical import JointPrediction
from tests.flower.columns.attacked import Attacked
from tests.vertical.model.common import model, owners_of_new


def house_of(strategy):
    return House(fl.CKKS("deep") if strategy.multiplies else None)


class Foretelling(Attacked):
    """The parts of ``model(name)`` at sites of their own; the owner of the labels writes to ``file``.

    ``told`` is what the server tells of it.
    """

    def __init__(self, file, name="logistic", parts=None, owners=None, house=None):
        known = model(name)
        self.model_parts, self.file, self.labels_at = {**known.parts, **(parts or {})}, file, known.labels_at
        facts = {"house": house or house_of(known.strategy), "num_rounds": 0}
        super().__init__(JointPrediction(known.strategy), owners or owners_of_new(name), **facts)
        self.told = []

    def steps(self, name, kept):
        part = self.model_parts.get(name)
        return predicting(self.agreement, part, self.file if name == self.labels_at else None)

    def played(self):
        failed = None
        federation = self.federation()
        try:
            for said in predicted(federation, self.agreement.strategy):
                self.told.append(said)  # also where it fails afterwards
        except FedLabError as error:
            failed = SimpleNamespace(error=error)
        finally:
            for site in self.sites.values():
                site.close()
        return federation, [SimpleNamespace(failed=failed)]

    def table(self):
        """What the owner of the labels has, once it is done."""
        error, federation, _ = self.outcome()
        assert error is None, error
        return read(self.file), federation


def read(file):
    """The table in a file of predictions, bit for bit."""
    return pd.read_parquet(file)
