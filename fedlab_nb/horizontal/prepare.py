"""Before the first round: how much noise each release gets, and how every owner reads its columns.

Nothing is computed on pooled rows. Owners answer two questions with sums (which octaves do your values lie in; what are
your moments inside those ranges) and one with a list (which categories do you have); each answer is charged.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.data import encoding as enc
from fedlab_nb.data import sums
from fedlab_nb.data.declared import declared_encoding, describe
from fedlab_nb.data.learned import make_encoding
from fedlab_nb.errors import SchemaError
from fedlab_nb.horizontal.noise import event, keep_plan, noise_in_sum, noise_plan
from fedlab_nb.parties import Federation, Rows
from fedlab_nb.privacy import NoisePlan
from fedlab_nb.records import PrivacyEvent, Schema, Update

# Counts and sums of values in [-1, 1] stay below this: an owner may have up to a million rows.
MOST_ROWS = 2.0**20
# How fine a grid sums of counts, and of numbers between -1 and 1 over all rows, need.
COUNT_STEP = 2.0**-4
# A column without a declared list of categories may have this many.
MOST_CATEGORIES = 50

Floats = NDArray[np.float64]
Encoded = tuple[NDArray[np.float32], NDArray[np.float32] | NDArray[np.int64]]


@dataclass(frozen=True)
class Setup:
    """What is fixed before the first round and never changes: it travels with every state, so that runs can resume.

    ``rows`` is the number of training rows over all owners: exact, or as released with noise. ``held_out`` is the
    number of held-out rows as released with noise, 0 if it was not.
    """

    encoding: enc.Encoding
    schema: Schema
    owners: tuple[str, ...]
    plan: NoisePlan | None
    rows: float
    seed: int
    held_out: float = 0.0


def prepare(federation: Federation, num_rounds: int, seed: int, asked: str = "") -> Setup:
    """Ask the owners what is needed to read all columns alike; tell them the resulting encoding.

    ``asked`` says what run this is for, so that the same run finds its noise plan again.
    """
    schema, (plan, known) = federation.schema, noise_plan(federation, num_rounds, asked)
    if plan is not None:
        plan = keep_plan(federation, asked, plan, num_rounds, known=known)
    if plan is not None and plan.unit == "owner":
        encoding = declared_encoding(schema)
        return Setup(encoding, schema, federation.names, plan, 0.0, seed)
    lists = _ask_lists(federation, schema, plan)
    ranges, missing = _ask_ranges(federation, schema, plan)
    sensitivity = sums.moments_sensitivity(schema)
    noise_sd = plan.moments * sensitivity if plan else 0.0
    in_all = noise_in_sum(federation, noise_sd)
    release = event(federation, 0, "the moments of the columns", "training", plan.moments if plan else 0.0)
    moments = sums.Moments(schema, ranges)
    totals = _sum(
        federation,
        "moment",
        lambda rows: moments(*rows.training),
        release,
        noise_sd,
        asked=f"moments of training rows within {sorted(ranges.items())}",
    )
    encoding = make_encoding(schema, ranges, missing, totals, lists, noise_sd=in_all)
    federation.tell("encoding", describe(encoding), number=0, to=federation.names)
    # A count below its own noise would make every step longer than what was learned of the rows can justify.
    rows = max(float(totals[-1]), in_all, 1.0)
    held_out = _ask_held_out(federation, encoding, plan)
    return Setup(encoding, schema, federation.names, plan, rows, seed, held_out)


def _sum(
    federation: Federation,
    kind: str,
    ask: Callable[[Rows], Floats],
    release: PrivacyEvent,
    noise_sd: float,
    *,
    asked: str,
) -> Floats:
    """The sum over all owners of what ``ask`` gives beside their rows; ``release`` is charged to each of them."""
    return federation.gather(
        kind,
        lambda _, rows: Update(ask(rows), 1.0),
        number=0,
        cohort=federation.names,
        bound=MOST_ROWS,
        step=COUNT_STEP,
        noise_sd=noise_sd,
        debits={name: [release] for name in federation.names},
        asked=asked,
    ).value


def some_hold_out(federation: Federation) -> bool:
    """True if some owner holds rows out; how large a share it holds out is public."""
    return any(owner.held_out > 0.0 for owner in federation.owners)


def _ask_held_out(federation: Federation, encoding: enc.Encoding, plan: NoisePlan | None) -> float:
    """How many rows are held out over all owners, with noise; 0 where exact scores bring their own count."""
    if plan is None or not some_hold_out(federation):
        return 0.0
    release = event(federation, 0, "the number of held-out rows", "held-out", plan.count)

    def held_out(rows: Rows) -> Floats:
        return np.array([float(len(encoded(rows, encoding, "held_out")[0]))])

    asked = f"held-out rows with a known target, read as {describe(encoding)}"
    count = _sum(federation, "held-out count", held_out, release, plan.count, asked=asked)
    return max(float(count[0]), noise_in_sum(federation, plan.count), 1.0)


def _ask_ranges(
    federation: Federation, schema: Schema, plan: NoisePlan | None
) -> tuple[dict[str, sums.Range], dict[str, bool]]:
    """Which octaves each numeric column without declared bounds lies in, from sums of counts."""
    if not sums.octave_columns(schema):
        return {}, {}
    noise_sd = plan.ranges * sums.octave_sensitivity(schema) if plan else 0.0
    release = event(federation, 0, "the ranges of the columns", "training", plan.ranges if plan else 0.0)
    counts = _sum(
        federation,
        "range count",
        lambda rows: sums.octave_counts(*rows.training, schema),
        release,
        noise_sd,
        asked="octaves of training rows",
    )
    return sums.ranges_from_counts(counts, schema, noise_sd=noise_in_sum(federation, noise_sd))


def _ask_lists(federation: Federation, schema: Schema, plan: NoisePlan | None) -> dict[str, list[object]]:
    """The categories of every column without a declared list: each owner names its own, the server joins them."""
    columns = sums.open_lists(schema)
    if not columns:
        return {}
    noise, delta = (plan.lists, plan.list_delta) if plan else (0.0, 0.0)
    release = event(federation, 0, "the categories of the columns", "training", noise, delta=delta)

    def name_categories(name: str, rows: Rows) -> str:
        counts = sums.category_counts(*rows.training, schema)
        if plan is None:
            _refuse_names(name, counts)  # under a budget the threshold leaves such names out, and says nothing of them
        else:
            counts = _above_threshold(counts, release, federation.noise(0, name, "category list"))
        # In a fixed order: the order of the rows would tell which of them comes first.
        return json.dumps({column: sorted(values, key=str) for column, values in counts.items()})

    answers = federation.hear(
        "category list",
        name_categories,
        number=0,
        debits={name: [release] for name in federation.names},
        asked="category lists of training rows",
    )
    found = {name: json.loads(str(answer)) for name, answer in answers.items()}
    if plan is None:
        _refuse_lonely_class(schema, found)
    joined = {c.name: list(dict.fromkeys(v for lists in found.values() for v in lists[c.name])) for c in columns}
    if plan is not None and len(joined.get(schema.target.name, "two")) < 2:
        raise SchemaError(
            f"The target {schema.target.name!r} shows {len(joined[schema.target.name])} of its classes.",
            f"Under this budget a class is named only by owners who hold about {_threshold(release, len(columns)):.0f} "
            "rows of it or more, and two classes are needed.",
            f"Declare the classes at every owner, categories={{{schema.target.name!r}: [...]}}, or agree on more "
            "epsilon.",
        )
    return joined


def _refuse_names(owner: str, counts: Mapping[str, Mapping[object, int]]) -> None:
    """A column with very many categories rather names rows (an identity number, an address) than groups them."""
    for column, values in counts.items():
        if len(values) > MOST_CATEGORIES:
            raise SchemaError(
                f"Column {column!r} of {owner!r} has more than {MOST_CATEGORIES} different categories.",
                "Their names would have to leave the owner, and so many of them often name single rows.",
                f"Leave the column out or group it; a public list can be declared: categories={{{column!r}: [...]}}.",
            )


def _above_threshold(
    counts: Mapping[str, Mapping[object, int]], release: PrivacyEvent, rng: np.random.Generator
) -> dict[str, dict[object, int]]:
    """The categories whose noisy count is so high that a single row would name one with the release's delta.

    Source: Korolova et al. 2009, "Releasing search queries and clicks privately", section 4.
    """
    sd = release.amount * math.sqrt(len(counts))
    threshold = _threshold(release, len(counts))
    return {
        column: {value: 0 for value, count in values.items() if count + rng.normal(0.0, sd) > threshold}
        for column, values in counts.items()
    }


def _threshold(release: PrivacyEvent, columns: int) -> float:
    return 1.0 - release.amount * math.sqrt(columns) * NormalDist().inv_cdf(release.delta / columns)


def _refuse_lonely_class(schema: Schema, found: Mapping[str, Mapping[str, Sequence[object]]]) -> None:
    """A class that one owner alone has is more often a spelling than a finding."""
    target = schema.target.name
    if schema.target.kind != "category" or schema.target.categories is not None:
        return
    owners = Counter(value for lists in found.values() for value in lists[target])
    for name, lists in found.items():
        lonely = sum(owners[value] == 1 for value in lists[target])
        if lonely:
            raise SchemaError(
                f"The target {target!r} of {name!r} has {lonely} class(es) that no other owner has.",
                "Most often that is a different spelling, and the model would learn to tell owners apart.",
                f"Spell the classes alike at all owners, or declare them: categories={{{target!r}: [...]}}.",
            )


def encoded(rows: Rows, encoding: enc.Encoding, part: Literal["training", "held_out"]) -> Encoded:
    """Inputs and targets of an owner's "training" or "held_out" rows, converted once and kept beside the rows."""
    key = (encoding, part)
    if key not in rows.cache:
        features, target = rows.training if part == "training" else rows.held_out
        rows.cache[key] = enc.encode_rows(features, target, encoding)
    return cast("Encoded", rows.cache[key])
