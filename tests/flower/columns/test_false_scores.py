"""The owner of the labels tells a score that is none: it is named, and nothing is shown as a score."""

import numpy as np
import pytest

from fedlab_nb.crypto.seal import SERVER
from fedlab_nb.errors import RoundError
from tests.flower.columns.attacked import FIRST, Attacked, lying

__all__ = ["lying"]

LIES = {
    "a number that is none": ([0.9, 0.3, np.nan], "not all of it finite"),
    "no end": ([np.inf, 0.3, 0.5], "not all of it finite"),
    "one number": ([0.9], "of shape (1,)"),
    "none": ([], "of shape (0,)"),
    "one too many": ([0.9, 0.3, 0.5, 0.5], "of shape (4,)"),
    "a table": ([[0.9, 0.3, 0.5]], "of shape (1, 3)"),
    "a single one": (0.9, "of shape ()"),
}
KINDS = {"whole numbers": np.array([1, 0, 1]), "text": np.array(["a", "b", "c"]), "truth": np.array([True, False])}


def played(lying, told):
    sent = lying(FIRST, "score", lambda number, to, kind, _: [(number, to, kind, told)], to=SERVER)
    error, _, found = Attacked().outcome()
    assert sent
    return error, found


@pytest.mark.parametrize("what", LIES)
def test_who_tells_what_is_no_score_is_named(what, lying):
    told, words = LIES[what]
    error, found = played(lying, np.array(told, dtype=np.float64))
    assert isinstance(error, RoundError)
    assert error.party == FIRST
    assert f"The score that {FIRST!r} told of its held-out rows is" in error.what
    assert words in error.what
    assert all("accuracy" not in record.metrics for record in found)


@pytest.mark.parametrize("what", KINDS)
def test_who_tells_another_kind_of_numbers_is_named(what, lying):
    error, _ = played(lying, KINDS[what])
    assert error.party == FIRST


def test_where_only_one_class_was_held_out_there_is_no_area_and_the_round_goes_well(lying):
    error, found = played(lying, np.array([0.9, 0.3]))
    assert error is None
    first, second = (record.metrics for record in found[-2:])
    assert first == {"accuracy": 0.9, "loss": 0.3}
    assert {*second} == {"accuracy", "loss", "auc"}
