"""What guide and settings say of a joint prediction: owners of different columns, each with its part of a model."""

from __future__ import annotations

from fedlab_nb.flower.agreement import Agreement
from fedlab_nb.flower.project.pages.markdown import code, plain
from fedlab_nb.records import Threat
from fedlab_nb.vertical import JointPrediction, SecureBoost, SplitNN, Transfer
from fedlab_nb.vertical.descent.model import LinearModel
from fedlab_nb.vertical.shared import VerticalStrategy

# Trips of a whole prediction as counted over 40 rows and 180: they meet, find their rows, and work out scores. Each
# owner takes two; a masked sum and a sealed one take two more, and each level of trees up to two.
_EACH, _MEETING, _HIDDEN, _LEVEL = 2, 3, 2, 2
_SECONDS = 5

_SETTINGS = """
# Where the rows to predict are: a .csv or .parquet file, relative to this file. For a database leave this line out, see
# [sql]. All of them are predicted that the other owners have as well; labels are not needed and not looked at.
data = "rows.csv"
held_out = 0.0

{finding}
id = {id}

# The file with this owner's part of the model, as its training kept it, relative to this file. It is read here, and
# sent to nobody. All owners' parts must be of the same run, after the same round.
part = "part.safetensors"
{file}
# The file in which this site keeps what its rows have given away so far, relative to this file. Back it up: who loses
# it no longer knows what was spent.
{vault}
"""
_FILE = """
# The .csv or .parquet file to which the predictions go, relative to this file; what was in it before is replaced. No
# other party gets them.
predictions = "predictions.csv"
"""


def settings_of(finding: str, named: str, vault: str, *, labelled: bool) -> str:
    """What an owner's settings say of its rows; the owner of the labels names a file for the predictions."""
    return _SETTINGS.format(finding=finding, id=named, vault=vault, file=_FILE if labelled else "")


def of_prediction(agreement: Agreement) -> dict[str, str]:
    """What the guide says of a joint prediction alone."""
    asked: JointPrediction = agreement.strategy
    return {
        "does": "predict together",
        "work": "- **Predicted:** all rows that the owners have in common, by the parts of a model that each of them "
        f"keeps; it was trained by {code(repr(asked.strategy))}. {plain(asked.labels_at)} gets the predictions, in a "
        "file at its site, and nobody else does\n- **How:** every party runs the protocol itself and takes no orders. "
        "Before anybody looks at a row, owners tell each other of which run and round their parts are, and refuse "
        f"others. {sealing(agreement, ' (section 3)')}\n- **Cost:** each owner's account is "
        "charged with two releases without protection: which rows are in common, and the prediction. Another run over "
        "the same rows is charged again",
        "results": "how many rows are in common; what owners send each other, sealed",
        "keeps": ", its part of the model; where the labels are, the predictions",
        "task": "",
        "trips": f"A message from one party to another takes one of them. {_trips(agreement)}",
        "lost": "a prediction in which a party is missing ends, and nobody has any: nobody else has its columns",
    }


def told_by(agreement: Agreement) -> list[Threat]:
    """What parties learn from a joint prediction itself."""
    asked: JointPrediction = agreement.strategy
    two, holder = len(agreement.names) == 2, len(agreement.parties) > len(agreement.names)
    return [
        Threat(
            "the owner of the labels",
            "the score of each row in common; with its own part of the model, what the others' parts and columns add "
            "to that score",
            None,
        ),
        *_of_strategy(asked.strategy, two=two),
        Threat("another owner" + ", or the key holder" * holder, "no prediction, and no score", True),
        Threat(
            "the owner of the labels, and every other one of it",
            "of which run its part is, and after which round it was kept",
            True,
        ),
    ]


def multiplies(agreement: Agreement) -> bool:
    """Whether one owner multiplies another's sealed numbers: in most trainings, and in few predictions."""
    if isinstance(agreement.strategy, JointPrediction):
        return bool(agreement.strategy.strategy.multiplies_scores)
    return bool(agreement.strategy.multiplies)


def sealing(agreement: Agreement, where: str = "") -> str:
    """How what owners send each other is kept from others; ``where`` says where more stands of fingerprints."""
    return (
        "What owners send each other is sealed from end to end, by keys that hold against the server as far as "
        f"fingerprints were noted{where}{_without_scheme(agreement)}"
    )


def _without_scheme(agreement: Agreement) -> str:
    """Of owners who agreed on a scheme, as their training needs it, and of whose prediction it encrypts nothing."""
    used = multiplies(agreement) or len(agreement.parties) > len(agreement.names)
    return "" if used or agreement.house.encrypt is None else ". The scheme of the settings encrypts nothing of it"


def _of_strategy(strategy: VerticalStrategy, *, two: bool) -> list[Threat]:
    """What scores of rows tell besides, by how they are worked out."""
    leader = "the owner of the labels, by how scores are worked out"
    if isinstance(strategy, LinearModel):
        sums = "the other owner's partial score of each row" if two else "the sum of the others' partial scores of each"
        what = (
            f"{sums}, unmasked; of the same rows by as many models as the others have inputs, these inputs but for an "
            "unknown matrix, and of columns read in bins perhaps the bins"
        )
        return [Threat(leader, what, None)]
    if isinstance(strategy, SplitNN):
        what = (
            "in the clear, each other owner's activations of each row: rows alike there are alike here, and with rows "
            "that it knows it can try to work back to columns"
        )
        return [Threat(leader, what, False)]
    if isinstance(strategy, SecureBoost):
        what = "for nodes that it divides, which rows are together there, and so likelier to be predicted alike"
        return [
            Threat(leader, "which way rows go at each node that another owner divides", None),
            Threat("another owner, by how scores are worked out", what, None),
        ]
    if isinstance(strategy, Transfer):
        return [Threat("another owner, of the direction that labels give", "nothing: it is sealed", True)]
    return [Threat(who, what, None) for who, what in strategy.learns]


def _trips(agreement: Agreement) -> str:
    """How many trips follow each other in all."""
    strategy, owners = agreement.strategy.strategy, len(agreement.names)
    least = most = _MEETING + _EACH * owners
    if isinstance(strategy, Transfer) or (isinstance(strategy, LinearModel) and owners > 2):
        least = most = least + _HIDDEN
    elif isinstance(strategy, SecureBoost):
        most += _LEVEL * strategy.depth
    elif not isinstance(strategy, LinearModel | SplitNN):
        return "How many follow each other depends on the strategy, and the log counts them."
    amount = f"{least}" if least == most else f"{least} to {most}"
    return f"The whole prediction takes {amount} of them, about {most * _SECONDS} seconds, however many rows there are."
