"""Predictions of new rows, which all owners make together: no owner's part of the model leaves it.

Each owner first tells the owner of the labels, and is told by it, after which round of which run its part was kept:
parts that do not belong together are refused before anybody looks at a row (same.py).

Who learns what, if all follow the protocol:
    every owner, the server    what an alignment of these rows tells (align.py): which of its own ids all have.
    the owner of the labels    the score of each row in common; with its own part of the model, what the others' parts
        and columns add to that row's score.
    anybody else    what the strategy's scores tell: see what its card says of them. Nobody is sent a prediction.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.crypto import CKKS
from fedlab_nb.crypto.linkage import texts_in
from fedlab_nb.errors import SchemaError, SettingError
from fedlab_nb.parties import DataOwner, Federation, Rows
from fedlab_nb.parties.columns.alignment import Alignment
from fedlab_nb.parties.columns.fitting import check_masks, check_products, check_vertical
from fedlab_nb.parties.columns.road import charge, own
from fedlab_nb.parties.rows import Part
from fedlab_nb.records import Schema, State
from fedlab_nb.units import counted, listed
from fedlab_nb.vertical.align import align
from fedlab_nb.vertical.model.same import check_same
from fedlab_nb.vertical.shared.meeting import Meeting, Mine, Setup
from fedlab_nb.vertical.shared.strategy import SCORES, VerticalStrategy

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Asked = Federation | Sequence[DataOwner] | None

PREDICTION = "joint prediction"


class Joint(NamedTuple):
    """What the owner of the labels has in the end, in the order of its own rows: scores (n, outputs), targets, ids."""

    scores: Floats
    target: pd.Series
    ids: pd.Index


def joint_scores(strategy: VerticalStrategy, state: State, federation: Federation) -> Joint:
    """The scores of all rows that the owners have in common, the held-out ones too.

    They are there for the owner of the labels alone: in a process of its own every other party gets ``NotHere``.

    Raises:
        SettingError, SchemaError, RuleError: other owners or columns than the model was trained with, or parts of the
            model that are of different runs or rounds.
        RoundError, EncryptionError: naming who failed; there is no prediction then.
    """
    setup: Setup = state.context  # type: ignore[assignment]
    check_fits(strategy, setup, federation)
    with federation.in_use():
        check_same(federation, state)
        found = align(federation)
        number = federation.turn()
        charge(federation, PREDICTION, federation.names, number=number)
        whole = Alignment(found.owners, found.rows, secrets.token_hex(8))
        asked = replace(setup, held_out=found.rows, run=secrets.token_hex(8))
        at = Meeting(federation, whole, asked, number, "held_out")
        try:
            with federation.ledger.stage("predict"):
                for name in federation.names:
                    own(federation, PREDICTION, partial(_gather, found=found, whole=whole), at=name)
                strategy.foretell(at, replace(state, context=asked))
            return _result(at, federation)
        finally:
            for name in federation.names:
                own(federation, PREDICTION, lambda rows: _forget(rows, whole), at=name)


def _gather(rows: Rows, *, found: Alignment, whole: Alignment) -> None:
    """One owner has all its rows in common on the side that is scored, in the order that all owners agree on."""
    mine = found.of(rows)
    none: Part = mine.training[0].iloc[:0], mine.training[1].iloc[:0]
    trained, held_out = mine.ids or ([], [])
    rows.cache[whole.key] = Rows(none, _joined(mine.training, mine.held_out), mine.content, ([], [*trained, *held_out]))


def _joined(one: Part, other: Part) -> Part:
    import pandas as pd

    if not len(one[0]) or not len(other[0]):
        return one if len(one[0]) else other
    return pd.concat([one[0], other[0]], ignore_index=True), pd.concat([one[1], other[1]], ignore_index=True)


def _forget(rows: Rows, whole: Alignment) -> None:
    rows.cache.pop(whole.key, None)


def _result(at: Meeting, federation: Federation) -> Joint:
    """At the owner of the labels: its scores, in the order of its own rows."""
    schema = next(owner.schema for owner in federation.owners if owner.name == at.labels_at)

    def score(mine: Mine) -> Floats:
        found: Floats = mine.memory.pop(SCORES)
        return found

    def order(rows: Rows) -> Joint:
        ids, target = (at.alignment.of(rows).ids or ([], []))[1], at.alignment.of(rows).held_out[1]
        place = {each: number for number, each in enumerate(one for side in rows.ids or () for one in side)}
        ordered = np.argsort(np.array([place[each] for each in ids], dtype=np.int64), kind="stable")
        index = _index([ids[number] for number in ordered], schema)
        return Joint(scores[ordered], target.iloc[ordered].set_axis(index), index)

    scores = at.own(PREDICTION, score, at=at.labels_at)
    return own(federation, PREDICTION, order, at=at.labels_at)


def _index(ids: Sequence[bytes], schema: Schema) -> pd.Index:
    """The ids as the owner has them; where rows were linked, the fields by which they were, as they were compared."""
    import pandas as pd

    if schema.linked_by:
        return pd.MultiIndex.from_tuples(map(texts_in, ids), names=[column.name for column in schema.linked_by])
    column = schema.id
    assert column is not None
    values: list[object] = [int(each) if column.kind == "numeric" else each.decode() for each in ids]
    return pd.Index(values, name=column.name)


def check_fits(strategy: VerticalStrategy, setup: Setup, federation: Federation) -> None:
    """Refuse a federation whose owners cannot use this model.

    Raises:
        SettingError: other owners; SchemaError: a column is missing; RuleError: what the encryption lacks.
    """
    check_vertical(federation.schema, "A joint prediction")
    if set(federation.names) != set(setup.owners):
        raise SettingError(
            f"A joint prediction was asked of {listed(federation.names)}, and the model is that of "
            f"{listed(setup.owners)}.",
            "Each owner has a part of the model for its own columns, and nobody else can use it.",
            "Bring together the same owners, under the same names.",
        )
    there = {column.name for column in federation.schema.features}
    missing = [column.name for column in setup.schema.features if column.name not in there]
    if missing:
        raise SchemaError(
            f"No owner has the {counted(len(missing), 'column')} {listed(map(repr, missing))}.",
            "The model reads the same columns that it was trained on.",
            "Add them at the owner that had them then (missing values are allowed).",
        )
    check_encryption(strategy, federation.house.encrypt, len(federation.names))


def check_encryption(strategy: VerticalStrategy, encrypt: object, owners: int) -> None:
    """Refuse an encryption under which scores cannot be worked out as this strategy does among so many owners.

    Raises:
        RuleError: naming the strategy, and what it needs.
    """
    what = f"A joint prediction of {type(strategy).__name__}"
    if strategy.multiplies_scores:
        check_products(encrypt, what)
    elif _has_masks(strategy, owners):
        check_masks(encrypt, what)


def _has_masks(strategy: VerticalStrategy, owners: int) -> bool:
    """Whether scores are added up under masks: the score of one other owner hides in no sum."""
    return strategy.masks_scores and owners > 2


def federation_of(
    strategy: VerticalStrategy, setup: Setup, given: Asked, frames: Mapping[str, pd.DataFrame], *, labelled: bool
) -> Federation:
    """The federation that is asked: as it is given, or made from owners, or from a frame for each of them.

    Raises:
        SettingError: neither or both, or something else.
    """
    if isinstance(given, Federation) and not frames:
        return given
    fits = given is None or (isinstance(given, Sequence) and all(isinstance(owner, DataOwner) for owner in given))
    if (given is None) == (not frames) or not fits:
        both = "owners and frames by name" if frames else f"something of type {type(given).__name__}"
        raise SettingError(
            f"A joint prediction was asked of {'nobody' if given is None else both}.",
            "It is about rows that owners of different columns have in common.",
            "Give a federation or a list of DataOwners; or, by the owners' names, frames with the id: "
            f"{', '.join(f'{name}=...' for name in setup.owners)}.",
        )
    owners = list(given) if isinstance(given, Sequence) else [_owner(n, f, setup, labelled) for n, f in frames.items()]
    keys = strategy.multiplies_scores or _has_masks(strategy, len(owners))
    return Federation(owners, encrypt=CKKS("deep") if keys else None)


def _owner(name: str, frame: pd.DataFrame, setup: Setup, labelled: bool) -> DataOwner:
    """An owner of these rows; its id is called as it was in training."""
    linked, column = setup.schema.linked_by, setup.schema.id
    named = [each.name for each in linked] if linked else column.name if column else None
    target = setup.target.name if labelled and name == setup.labels_at else None
    if target is None and name == setup.labels_at:
        frame = frame.drop(columns=setup.target.name, errors="ignore")  # rows without a label are predicted too
    return DataOwner(name, frame, target=target, id=named, held_out=0.0)
