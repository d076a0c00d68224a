"""Which rules and compressors fit which federations; refused before anything leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedlab_nb.aggregate import FLTrust, NormClipping, needs_of
from fedlab_nb.compress import RandomK
from fedlab_nb.errors import RuleError, SchemaError, SettingError
from fedlab_nb.parties import Federation
from fedlab_nb.parties.house import terms_of_sum
from fedlab_nb.parties.rules import is_number
from fedlab_nb.protect import AdaptiveClip, OwnerLevelDP, RowLevelDP

if TYPE_CHECKING:
    from fedlab_nb.horizontal.averaging import Averaging

FEWEST_GROUPS = 5
# The coarsest grid for sums of updates: changes of weights are around 0.01 to 1.
COARSEST = 2.0**-7


def check_parts(strategy: Averaging, federation: Federation) -> None:
    """Refuse a rule or a compressor that cannot work here, or would void what the federation promises.

    Raises:
        SettingError, SchemaError, RuleError.
    """
    _check_grid(strategy, federation)
    if strategy.aggregate is not None:
        _check_rule(strategy, federation)
    elif strategy.groups is not None:
        raise SettingError(
            f"groups={strategy.groups!r} was given without a rule.",
            "Groups are there to be compared with each other; a mean needs no more than one sum.",
            "Pass aggregate=fl.aggregate.Median(), for example, or leave groups out.",
        )
    if strategy.compress is not None:
        _check_compressor(strategy, federation)


def _check_grid(strategy: Averaging, federation: Federation) -> None:
    """Refuse sums on a grid on which most of what owners send would be zero, and no noise hides that."""
    house, n = federation.house, len(federation.names)
    if house.encrypt is None or house.protect is not None:
        return
    step = 2.0 ** -terms_of_sum(house, (n, n, 0), strategy.reach, 0.0, None).plan.grid_bits
    if step > COARSEST:
        raise RuleError(
            f"Under {house.encrypt!r} sums of {n} owners are rounded to multiples of {step:g}, as "
            f"{type(strategy).__name__} may send numbers up to {strategy.reach:g}.",
            "Changes of weights are mostly smaller than that: they would be rounded to zero, and nothing be learned.",
            "Use fl.CKKS(), fl.SecAgg() or fewer owners.",
        )


def _check_rule(strategy: Averaging, federation: Federation) -> None:
    rule, protect = strategy.aggregate, federation.house.protect
    if not callable(rule) or isinstance(rule, type):
        raise SettingError(
            f"aggregate is {rule!r}.",
            "A rule is called with the owners' changes and weights, and gives the aggregate.",
            "Pass fl.aggregate.Median(), with the parentheses, or a function (changes, weights) -> aggregate.",
        )
    if strategy.compress is not None:
        raise RuleError(
            "A rule that compares updates and a compressor were given together.",
            "A rule would compare what packing left of the updates, not the updates.",
            "Leave out aggregate= or compress=.",
        )
    _check_rule_with(rule, protect)
    apart = isinstance(rule, NormClipping) and rule.norm is not None
    if federation.house.encrypt is not None and strategy.groups is None and not apart:
        needs = ", ".join(needs_of(rule)) or "nothing beyond a sum, as it says"
        raise RuleError(
            f"{rule!r} is called with each owner's update, and updates are hidden here; it needs {needs}.",
            "The server is to see sums over owners and nothing of a single one.",
            f"Compare the sums of groups of owners: groups={FEWEST_GROUPS}, or leave encrypt= out.",
        )
    if strategy.groups is not None:
        _check_groups(strategy.groups, len(federation.names))
    if isinstance(rule, FLTrust):
        _check_root(rule, strategy, federation)
    if apart and strategy.groups is not None:
        raise SettingError(
            f"{rule!r} was given together with groups={strategy.groups!r}.",
            "Each owner shortens its own change, and one sum is all that is needed: there is nothing to compare.",
            "Leave groups= out.",
        )


def _check_rule_with(rule: object, protect: RowLevelDP | OwnerLevelDP | None) -> None:
    if isinstance(protect, RowLevelDP):
        raise RuleError(
            f"{rule!r} compares owners' changes, and the privacy is at row level.",
            "There owners send sums over rows whose number is hidden: sums of unlike owners cannot be compared.",
            "Leave aggregate= out, or protect owners with fl.OwnerLevelDP().",
        )
    if isinstance(protect, OwnerLevelDP) and isinstance(rule, NormClipping):
        raise RuleError(
            f"{rule!r} was given, and at owner level each update is clipped already.",
            "Two clips would not be one: the noise is made for the norm of fl.OwnerLevelDP.",
            "Leave aggregate= out, and choose the norm there: fl.OwnerLevelDP(clip=1.0).",
        )
    if isinstance(protect, OwnerLevelDP) and isinstance(protect.clip, AdaptiveClip):
        raise RuleError(
            f"{rule!r} reads updates, and the clip norm of this federation follows them by one sum over all owners.",
            "Where each update is read by itself, that count would have to carry all of the noise at every owner.",
            "Give fl.OwnerLevelDP a fixed clip, such as clip=1.0, or leave aggregate= out.",
        )


def _check_root(rule: FLTrust, strategy: Averaging, federation: Federation) -> None:
    if not strategy.plain_change:
        raise SettingError(
            f"{type(strategy).__name__} was given the rule FLTrust.",
            "The server would compare its own change with updates that hold more than a change.",
            "Use another rule, such as fl.aggregate.Median(), or fl.FedAvg with FLTrust.",
        )
    columns = [column.name for column in (*federation.schema.features, federation.schema.target)]
    missing = [name for name in columns if name not in rule.frame.columns]
    if missing:
        raise SchemaError(
            f"The root rows of FLTrust lack the column {missing[0]!r}.",
            "The server trains on them as owners do on theirs, with the same columns.",
            f"Give a frame with all of them: {', '.join(map(repr, columns[:5]))}, ...",
        )


def _check_groups(groups: object, owners: int) -> None:
    if not is_number(groups, whole=True) or not FEWEST_GROUPS <= int(groups) <= owners // 2:  # type: ignore[call-overload]
        raise SettingError(
            f"groups={groups!r} was given for {owners} owners.",
            f"A rule needs {FEWEST_GROUPS} sums or more to compare, and a group of one owner would show its update.",
            f"Use a whole number from {FEWEST_GROUPS} to half the number of owners; {2 * FEWEST_GROUPS} owners or more "
            "are needed.",
        )


def _check_compressor(strategy: Averaging, federation: Federation) -> None:
    compress, protect = strategy.compress, federation.house.protect
    if not callable(getattr(compress, "compress", None)) or isinstance(compress, type):
        raise SettingError(
            f"compress is {compress!r}.",
            "A compressor packs an owner's change into fewer bytes: it has compress(change, rng).",
            "Pass fl.compress.TopK(0.1), with the parentheses, or one of your own.",
        )
    if isinstance(protect, RowLevelDP) or (protect is not None and not isinstance(compress, RandomK)):
        raise RuleError(
            f"{compress!r} packs what an owner sends, and here noise is to hide {protect.unit}s in it.",
            "What is chosen or rounded by the rows themselves would tell of them past the noise; noise after it would "
            "undo the packing.",
            "Leave compress= out; at owner level fl.compress.RandomK(0.1) works, whose choice follows no rows.",
        )
