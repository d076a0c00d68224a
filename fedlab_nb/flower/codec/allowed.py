"""What a message may name: which classes may be made from it as data, and which functions it may hand over.

Nothing else is looked for, so that a message cannot reach other code, whatever it says.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from types import FunctionType, MethodType

from fedlab_nb.flower.codec.words import in_a_notebook, kept_apart, not_allowed, unknown_module

Name = tuple[str, str]
"""(module, qualified name)."""

_OURS = "fedlab_nb."

# Rooms and files whose objects are data: settings, records, questions, what was agreed on, and work beside rows.
ROOMS = (
    "aggregate", "analytics", "channel.opening", "channel.traffic", "comparing.references", "compress", "crypto",
    "data", "errors", "flower.columns.parcel", "flower.columns.talk", "flower.news", "flower.orders.line",
    "flower.orders.owner",
    "flower.survey.answers", "flower.survey.questions", "horizontal",
    "learn.engine.choose", "learn.engine.job", "learn.metrics", "learn.models", "learn.split", "learn.zoo",
    "parties.columns.alignment", "parties.house", "places", "privacy", "protect", "records", "vertical",
)  # fmt: skip

# Inside these rooms: whatever holds rows, keys, budgets, the ledger, or the numbers of one owner.
DENIED = frozenset(
    {
        ("fedlab_nb.analytics.answers", "Answer"),
        ("fedlab_nb.analytics.column", "GroupedColumn"),
        ("fedlab_nb.analytics.column", "Groups"),
        ("fedlab_nb.analytics.column", "Mask"),
        ("fedlab_nb.analytics.column", "PrivateColumn"),
        ("fedlab_nb.analytics.frame", "PrivateFrame"),
        ("fedlab_nb.crypto.apart", "ServerProcess"),
        ("fedlab_nb.crypto.envelope", "Mailbox"),
        ("fedlab_nb.crypto.identity", "Identity"),
        ("fedlab_nb.crypto.keys", "KeyHolder"),
        ("fedlab_nb.crypto.lesson.recover", "_KeyHolder"),
        ("fedlab_nb.crypto.linkage.partner", "Partner"),
        ("fedlab_nb.crypto.masks.owner", "MaskingOwner"),
        ("fedlab_nb.crypto.products.sides", "Factors"),
        ("fedlab_nb.crypto.products.sides", "Products"),
        ("fedlab_nb.crypto.psi.blind", "Blind"),
        ("fedlab_nb.crypto.seal", "Adder"),
        ("fedlab_nb.crypto.seal", "Sealer"),
        ("fedlab_nb.crypto.threshold.joint", "JointOwner"),
        ("fedlab_nb.data.table", "Table"),
        ("fedlab_nb.flower.columns.parcel", "Seals"),
        ("fedlab_nb.flower.orders.owner", "Computed"),
        ("fedlab_nb.flower.orders.owner", "Near"),
        ("fedlab_nb.flower.orders.owner", "OwnersSide"),
        ("fedlab_nb.horizontal.side.local", "LocalRound"),
        ("fedlab_nb.learn.engine.job", "Job"),
        ("fedlab_nb.ledger", "Ledger"),
        ("fedlab_nb.ledger", "View"),
        ("fedlab_nb.learn.local", "Learner"),
        ("fedlab_nb.parties.books", "Books"),
        ("fedlab_nb.parties.federation", "Federation"),
        ("fedlab_nb.parties.owner", "DataOwner"),
        ("fedlab_nb.parties.rows", "Rows"),
        ("fedlab_nb.privacy.account", "Account"),
        ("fedlab_nb.privacy.account", "Tally"),
        ("fedlab_nb.privacy.vault.file", "File"),
        ("fedlab_nb.privacy.vault.vault", "Vault"),
        ("fedlab_nb.vertical.linkage", "_Side"),
        ("fedlab_nb.vertical.overlap.sides", "Labelled"),
        ("fedlab_nb.vertical.overlap.sides", "Side"),
        ("fedlab_nb.vertical.products", "Factor"),
        ("fedlab_nb.vertical.shared.meeting", "Meeting"),
        ("fedlab_nb.vertical.shared.meeting", "Mine"),
        ("fedlab_nb.vertical.trees.labels.gradients", "Gradients"),
        ("fedlab_nb.vertical.trees.labels.growing", "Desk"),
        ("fedlab_nb.vertical.trees.walking", "Walk"),
    }
)

_ASKING, _CELLS = "fedlab_nb.analytics.asking", "fedlab_nb.analytics.questions.cells"
_MOMENTS, _QUANTILES = "fedlab_nb.analytics.questions.moments", "fedlab_nb.analytics.questions.quantiles"
_EVALUATE, _PREPARE = "fedlab_nb.horizontal.evaluate", "fedlab_nb.horizontal.prepare"
_SIDE = "fedlab_nb.horizontal.side"

# What the federation calls beside an owner's rows; a class stands for its objects that are called.
WORK = frozenset(
    {
        (_ASKING, "Inquiry._named.<locals>.name_values"),
        (_ASKING, "Inquiry.each.<locals>.work"),
        (_ASKING, "Inquiry.sum.<locals>.work"),
        ("fedlab_nb.comparing.references", "alone.<locals>.work"),
        (_EVALUATE, "_own_verdicts.<locals>.count"),
        ("fedlab_nb.horizontal.fairness.afl", "AFL.step.<locals>.loss"),
        ("fedlab_nb.horizontal.personal.perfedavg", "PerFedAvg._adapted.<locals>.ahead"),
        (_PREPARE, "_ask_lists.<locals>.name_categories"),
        (_PREPARE, "_sum.<locals>.<lambda>"),
        (f"{_SIDE}.counting", "Counting"),
        (f"{_SIDE}.counting", "OwnScores"),
        (f"{_SIDE}.local", "Side"),
        (f"{_SIDE}.rows", "Clipped"),
    }
)

# Of these, what an owner answers by itself; all others are made for sums.
ANSWERS = frozenset(
    {
        (_ASKING, "Inquiry._named.<locals>.name_values"),
        (_ASKING, "Inquiry.each.<locals>.work"),
        ("fedlab_nb.comparing.references", "alone.<locals>.work"),
        (_EVALUATE, "_own_verdicts.<locals>.count"),
        ("fedlab_nb.horizontal.fairness.afl", "AFL.step.<locals>.loss"),
        ("fedlab_nb.horizontal.personal.perfedavg", "PerFedAvg._adapted.<locals>.ahead"),
        (_PREPARE, "_ask_lists.<locals>.name_categories"),
        (f"{_SIDE}.counting", "OwnScores"),
    }
)

# What such work calls in its turn, where it was handed over with it.
HELPERS = frozenset(
    {
        ("fedlab_nb.aggregate.clipping", "NormClipping.clip"),
        (_CELLS, "count_cells.<locals>.guard"),
        (_CELLS, "count_cells.<locals>.vector"),
        (_CELLS, "count_missing.<locals>.guard"),
        (_CELLS, "count_missing.<locals>.vector"),
        (_CELLS, "count_rows.<locals>.vector"),
        (_CELLS, "hide_cells"),
        (_MOMENTS, "sum_powers.<locals>.guard"),
        (_MOMENTS, "sum_powers.<locals>.vector"),
        (_MOMENTS, "sum_products.<locals>.guard"),
        (_MOMENTS, "sum_products.<locals>.vector"),
        (_QUANTILES, "count_below.<locals>.<lambda>"),
        (_QUANTILES, "count_below.<locals>.vector"),
        (_QUANTILES, "own_quantiles.<locals>.<lambda>"),
        (_QUANTILES, "own_quantiles.<locals>.vector"),
        ("fedlab_nb.analytics.questions.question", "joined.<locals>.guard"),
        ("fedlab_nb.analytics.questions.question", "joined.<locals>.vector"),
        ("fedlab_nb.analytics.questions.small", "hide"),
        ("fedlab_nb.analytics.questions.survival", "count_survival.<locals>.hidden"),
        ("fedlab_nb.analytics.replies.evidence", "drift.<locals>.<lambda>"),
        ("fedlab_nb.analytics.replies.evidence", "together"),
        (_EVALUATE, "_as_it_is"),
        (_EVALUATE, "_of_one_owner"),
        ("fedlab_nb.horizontal.owner_level", "owners_step.<locals>.<lambda>"),
        ("fedlab_nb.horizontal.personal.kept", "PartAtHome.personal"),
        ("fedlab_nb.horizontal.personal.kept", "Personal.personal"),
        (_PREPARE, "_ask_held_out.<locals>.held_out"),
        (_PREPARE, "_ask_ranges.<locals>.<lambda>"),
        (_PREPARE, "prepare.<locals>.<lambda>"),
        (f"{_SIDE}.combining", "_compressed.<locals>.<lambda>"),
        (f"{_SIDE}.counting", "Counting.<lambda>"),
        (f"{_SIDE}.local", "Side.payload"),
        (f"{_SIDE}.local", "Side.shaped.<locals>.<lambda>"),
        (f"{_SIDE}.local", "_as_it_is"),
    }
)


# What trainings need of these: an app that trains answers no questions.
TRAINING = frozenset(name for name in WORK if name[0].startswith("fedlab_nb.horizontal."))
TRAINING_HELPERS = frozenset(name for name in HELPERS if not name[0].startswith("fedlab_nb.analytics."))

# What questions need of them: an app that asks trains nothing.
ASKING = frozenset(name for name in WORK if name[0].startswith("fedlab_nb.analytics."))
ASKING_HELPERS = frozenset(name for name in HELPERS if name[0].startswith("fedlab_nb.analytics."))


def called(value: object) -> Name:
    """Module and name of what is run when ``value`` is called: of a function, or of the class of an object."""
    while isinstance(value, partial):
        value = value.func
    if isinstance(value, MethodType):
        value = value.__func__
    if isinstance(value, FunctionType | type):
        return value.__module__, value.__qualname__
    return type(value).__module__, type(value).__qualname__


@dataclass(frozen=True)
class Allowed:
    """What messages may name at one side.

    Args:
        modules: the app's own modules, besides this package.
        work: functions and classes of objects that may be called beside rows.
        helpers: other functions and classes that may be handed over inside a value.
    """

    modules: frozenset[str] = frozenset()
    work: frozenset[Name] = WORK
    helpers: frozenset[Name] = HELPERS

    def check_module(self, module: str, name: str, what: str) -> None:
        """Refuse a name of a module that is neither this package's nor the app's.

        Raises:
            SettingError.
        """
        if module == "__main__" and module not in self.modules:
            raise in_a_notebook(name, what)
        if not module.startswith(_OURS) and module not in self.modules:
            raise unknown_module(module, name, what)

    def check_class(self, module: str, name: str) -> None:
        """Refuse a class whose objects are no data.

        Raises:
            SettingError.
        """
        self.check_module(module, name, "class")
        if module.startswith(_OURS):
            room = module.removeprefix(_OURS)
            if (module, name) in DENIED or not any(room == r or room.startswith(r + ".") for r in ROOMS):
                raise kept_apart(name)

    def check_function(self, module: str, name: str, what: str = "function") -> None:
        """Refuse a function, or a class to be called, that is not on the list.

        Raises:
            SettingError.
        """
        self.check_module(module, name, what)
        if (module, name) not in self.work and (module, name) not in self.helpers:
            raise not_allowed(module, name, what)

    def check_work(self, value: object) -> None:
        """Refuse anything but work that may be called beside rows.

        Raises:
            SettingError.
        """
        module, name = called(value)
        if (module, name) not in self.work:
            raise not_allowed(module, name, "work")
