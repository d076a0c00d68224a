"""Which strategies fit which protections: what a strategy needs beyond a sum, under each protection in turn.

A strategy that needs no more than sums over the owners of a round says nothing, and works under all protections. Any
other states what it needs by name, ``needs = ("single updates",)``, and ``rules.check_strategy`` looks it up here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from fedlab_nb.parties.house import House
from fedlab_nb.protect import OwnerLevelDP

Protection = Literal["CKKS", "masks", "owner-level DP", "row-level DP"]
PROTECTIONS: tuple[Protection, ...] = get_args(Protection)
IN_FORCE: dict[Protection, str] = {
    "CKKS": "updates are encrypted",
    "masks": "updates are masked",
    "owner-level DP": "privacy is at owner level",
    "row-level DP": "privacy is at row level",
}


def columns(house: House) -> tuple[Protection, ...]:
    """The protections in force in a house: at most one that hides single updates, and one unit of privacy."""
    hiding: tuple[Protection, ...] = (house.encrypt.column,) if house.encrypt else ()
    if house.protect is None:
        return hiding
    return (*hiding, "owner-level DP" if isinstance(house.protect, OwnerLevelDP) else "row-level DP")


@dataclass(frozen=True)
class Cell:
    """One need under one protection: whether it works, why not, and what the strategy or its user has to do."""

    works: bool = True
    why: str = ""
    do: str = ""

    @property
    def verdict(self) -> Literal["works", "works with care", "refused"]:
        """In a word; "with care" means that it is let through, and that the strategy has to do as ``do`` says."""
        if not self.works:
            return "refused"
        return "works with care" if self.do else "works"


@dataclass(frozen=True)
class Need:
    """What strategies need beyond a sum, who needs it, and a cell for each protection; what is left out works."""

    name: str
    meaning: str
    strategies: str
    ckks: Cell = Cell()
    masks: Cell = Cell()
    owner: Cell = Cell()
    row: Cell = Cell()

    def under(self, protection: Protection) -> Cell:
        """The cell of one protection."""
        cells = (self.ckks, self.masks, self.owner, self.row)
        return dict(zip(PROTECTIONS, cells, strict=True))[protection]


def _care(do: str) -> Cell:
    return Cell(do=do)


def _refuse(why: str, do: str) -> Cell:
    return Cell(works=False, why=why, do=do)


_READABLE = "leave encrypt= out, so that the server may read what each owner sends."
_SUMS_ONLY = "The server is to see sums over owners and nothing of a single one:"
_RAND_K = "Send coordinates drawn from a seed that all owners share (rand-k), which needs no more than a sum."
_NO_UPDATES = _refuse(
    f"{_SUMS_ONLY} it could not compare one update with another.",
    "Divide the owners at random into five groups or more, add up each and compare the sums "
    f'(needs=("group sums",)), or {_READABLE}',
)
_NO_LOSSES = _refuse(
    f"{_SUMS_ONLY} it could not tell whose loss is largest.",
    f'Let each owner weigh its own update by its own loss (needs=("loss weights",)), or {_READABLE}',
)
_NO_STATISTICS = _refuse(
    f"{_SUMS_ONLY} it could not mix models for each owner.",
    f"Share what can be added up (such as class centroids) and leave the mixing out, or {_READABLE}",
)
_NOISE_ALONE = _care("Let each owner clip its update and add all of the noise to it before it is read by itself.")
_TELL_ALONE = _care("Treat what an owner tells of itself as a release: it adds noise to it and is charged every time.")
_GROUPS = _care("Form five groups or more, with two owners or more in each: a group of one is a single update.")
_ONE_GROUP = _care("Let an owner be in one group a round, and let each group's sum carry all of the noise.")
_TWO_SUMS = _care("Add up the weighted updates and their weights, and divide after the sums are opened.")
_OWN_DISTANCE = _care("Let each owner compute its own distance and weight; add up both, anew at each iteration.")
_OWN_CLIP = _care("Rely on it for honest owners only: they clip their own updates, and nobody can check it.")
_AT_HOME = _care("Keep personal parts with their owners: not sent, not shown, and not scored in the open.")

MATRIX: tuple[Need, ...] = (
    Need(
        "sum of updates",
        "one sum over the owners of a round, and whatever the server does with it",
        "FedSGD, FedAvg, FedAvgM, FedAdagrad, FedAdam, FedYogi, rand-k",
    ),
    Need(
        "row weights",
        "each owner counts by its number of rows",
        'FedAvg(weighting="rows")',
        owner=_refuse(
            "An owner with many rows would move the sum by more than the clip norm: epsilon would be understated.",
            'Use weighting="equal" (what FedAvg does at owner level by itself), or protect rows with fl.RowLevelDP().',
        ),
    ),
    Need(
        "control variates",
        "a second vector from each owner, which corrects its next steps",
        "SCAFFOLD",
        owner=_care("Clip and noise the update and the control variate as one vector, or charge two releases."),
        row=_care("Clip and noise the row gradients first and correct them afterwards, never inside the clip."),
    ),
    Need(
        "owner state",
        "something that an owner keeps from round to round and learns with",
        "FedDyn",
        row=_care("Build what is kept from updates after their noise, never from the rows' own gradients."),
    ),
    Need(
        "local step counts",
        "updates divided by how many local steps each owner made",
        "FedNova",
        owner=_care("Clip the divided update, and choose the steps in the open: a count that follows rows tells them."),
    ),
    Need(
        "batch statistics",
        "means and variances over the rows of a batch, inside the model",
        "models with BatchNorm, FedBN",
        row=_refuse(
            "In BatchNorm each row moves what all rows of its batch give, so that no clip of single rows bounds it.",
            "Use GroupNorm or LayerNorm in the model, or protect owners with fl.OwnerLevelDP().",
        ),
    ),
    Need(
        "personal models",
        "a model, or a part of it, of each owner's own",
        "FedPer, FedRep, Ditto, pFedMe",
        owner=_AT_HOME,
        row=_AT_HOME,
    ),
    Need(
        "second-order row gradients",
        "the gradient of a gradient step",
        "Per-FedAvg (MAML)",
        row=_refuse(
            "The gradient of a step mixes the rows of two batches, and clipping row by row does not bound it.",
            "Take the first-order form, with the row gradients of both steps clipped and noised, or protect owners "
            "with fl.OwnerLevelDP().",
        ),
    ),
    Need(
        "loss weights",
        "each owner counts by its own loss, which nobody else has to know",
        "q-FFL",
        ckks=_TWO_SUMS,
        masks=_TWO_SUMS,
        owner=_care("Clip the weighted update and its weight together: both grow with the owner's loss."),
        row=_TELL_ALONE,
    ),
    Need(
        "owner losses",
        "the loss of each owner by itself, at the server",
        "AFL",
        ckks=_NO_LOSSES,
        masks=_NO_LOSSES,
        owner=_TELL_ALONE,
        row=_TELL_ALONE,
    ),
    Need(
        "late arrivals",
        "updates that are added whenever they come, whoever sends them",
        "FedBuff",
        masks=_refuse(
            "Masks cancel only where all owners who agreed on them are in one sum, and who comes late is in another.",
            "Let an agreed group of owners fill each buffer, which needs no more than a sum, or use encrypt=fl.CKKS().",
        ),
        owner=_care("Charge each update in full when it comes: who comes when it is ready was not drawn by chance."),
    ),
    Need(
        "single updates",
        "each owner's update by itself, at the server",
        "Krum, multi-Krum, median, trimmed mean, FLTrust, centred clipping",
        ckks=_NO_UPDATES,
        masks=_NO_UPDATES,
        owner=_NOISE_ALONE,
        row=_NOISE_ALONE,
    ),
    Need(
        "group sums",
        "a sum for each of several groups of owners",
        "robust rules over groups of owners",
        ckks=_GROUPS,
        masks=_GROUPS,
        owner=_ONE_GROUP,
        row=_ONE_GROUP,
    ),
    Need(
        "update norms",
        "how far each owner's update lies from a centre, over several iterations",
        "RFA (geometric median)",
        ckks=_OWN_DISTANCE,
        masks=_OWN_DISTANCE,
        owner=_refuse(
            "An owner counts by one over its distance, which no clip norm bounds: epsilon would be understated.",
            "Leave the rule out (the clip at owner level bounds every owner), or protect rows with fl.RowLevelDP().",
        ),
        row=_care("Take distances from updates after their noise."),
    ),
    Need(
        "norm clipping",
        "a bound on each owner's update, against owners who cheat",
        "norm-clipping defences",
        ckks=_OWN_CLIP,
        masks=_OWN_CLIP,
    ),
    Need(
        "chosen coordinates",
        "each owner sends the numbers that it finds most important",
        "top-k, with or without error feedback",
        ckks=_refuse("Which numbers an owner chose is readable, and a ciphertext is as long with fewer.", _RAND_K),
        masks=_refuse("Masks cancel only where all owners send the same numbers, and a choice is readable.", _RAND_K),
        owner=_refuse("The choice follows from the owner's rows and has no noise: epsilon is understated.", _RAND_K),
        row=_care("Choose among the numbers after their noise, never before it."),
    ),
    Need(
        "quantised updates",
        "numbers rounded to a few levels, to save bytes",
        "QSGD, FedPAQ",
        ckks=_care("Expect to save no bytes: a ciphertext has one length, however few levels there are."),
        owner=_care("Use discrete noise to save bytes: other noise undoes the rounding to a few levels."),
    ),
    Need(
        "signs",
        "the sign of each number, for a majority vote",
        "signSGD with majority vote",
        owner=_care("Clip to the norm of the signs, √d for d numbers: the noise grows with it, and the vote is poor."),
        row=_care("Take signs after the noise."),
    ),
    Need(
        "owner statistics",
        "statistics of each owner by itself, at the server",
        "FedPAC",
        ckks=_NO_STATISTICS,
        masks=_NO_STATISTICS,
        owner=_TELL_ALONE,
        row=_TELL_ALONE,
    ),
    Need(
        "exact splits",
        "splits or gradients that one owner learns exactly from another's rows",
        "SecureBoost, hetero-LR",
        ckks=_care("Send row gradients encrypted to the owners of the columns, and open sums of them only."),
        masks=_refuse(
            "Masks cancel in one sum over all owners; here an owner adds up another one's numbers, row by row.",
            "Use encrypt=fl.CKKS().",
        ),
        owner=_refuse(
            "Owners of columns share their rows, so that noise on a sum over owners would hide none of them.",
            "Leave protect= and budget= out, or take a variant with noise at row level: a protocol of its own.",
        ),
        row=_refuse(
            "The standard protocols release the best split, or the gradient, without noise: epsilon would be false.",
            "Leave protect= and budget= out, or take a variant that noises them: a protocol of its own.",
        ),
    ),
)

NEEDS = {need.name: need for need in MATRIX}
