"""Alignment: the owners find the rows that all of them have, in one order, and nobody learns more than it must."""

import copy

import numpy as np
import pandas as pd
import pytest

import fedlab_nb as fl
from fedlab_nb.crypto.psi import Blind, points_in
from fedlab_nb.errors import EncryptionError, RoundError, RuleError, SchemaError, SettingError
from fedlab_nb.parties.columns.fitting import check_strategy_columns
from fedlab_nb.parties.columns.road import alignment_of
from fedlab_nb.parties.shown.threats import threats
from fedlab_nb.vertical import align
from tests.rounds.common import events_of
from tests.vertical.common import federation, owners, people, pooled


def aligned_tables(fed):
    """Each owner's rows in common, in order; (training, held out)."""
    found = alignment_of(fed)

    def take(rows):
        mine = found.of(rows)
        return [x.assign(**{str(y.name): y}) for x, y in (mine.training, mine.held_out)]

    return {owner.name: owner._inside(take, stage="test") for owner in fed.owners}


def own(ids, name="A", column="x", **settings):
    frame = pd.DataFrame({"who": ids, column: np.arange(len(ids), dtype=float) + 0.25})
    return fl.DataOwner(name, frame, id="who", **settings)


@pytest.mark.parametrize("parties", [2, 3])
def test_rows_in_common_are_those_of_the_pooled_join_and_lie_side_by_side(parties):
    parts = owners(people(200), parties=parties)
    fed, truth = federation(parts), pooled(parts)
    alignment = align(fed)
    assert alignment.rows == len(truth)
    found = aligned_tables(fed)
    for side in (0, 1):
        joined = pd.concat([tables[side] for tables in found.values()], axis=1).drop(columns="", errors="ignore")
        merged = joined.merge(truth, on=list(joined.columns))
        assert len(merged) == len(joined), "each joined row is one person's row"
    assert sum(len(side) for side in found["bank"]) == len(truth)


def test_the_order_is_the_same_in_every_run_and_not_that_of_the_frame():
    parts = owners(people(200))
    first, second = federation(parts), federation(parts)
    align(first), align(second)
    one, two = aligned_tables(first)["bank"][0], aligned_tables(second)["bank"][0]
    pd.testing.assert_frame_equal(one, two)
    turned = federation(owners(people(200).iloc[::-1], seed=0))
    align(turned)
    assert not one["income"].is_monotonic_increasing


def test_owners_look_once_and_are_charged_once():
    fed = federation(owners(people(60)))
    first = align(fed)
    count = len(fed.ledger)
    assert align(fed) is first
    assert len(fed.ledger) == count
    assert [event.purpose for event in events_of(fed, "bank")] == ["which rows are in common"]
    assert fed.ledger.verify()


def test_alignment_works_without_encryption_and_for_whole_numbers():
    fed = fl.Federation([own(range(100)), own(range(93, 200), "B", "y")])
    assert align(fed).rows == 7


def test_spaces_and_unicode_forms_make_no_other_id():
    first = own([f" Zoë {n}" for n in range(6)])
    second = own([f"Zoe\u0308 {n} " for n in range(6)], "B", "y")
    assert align(fl.Federation([first, second])).rows == 6


@pytest.mark.parametrize(("common", "words"), [(0, "no id"), (1, "one id"), (4, "4 ids")])
def test_too_few_rows_in_common_are_refused_and_no_owner_is_told_which(common, words):
    fed = fl.Federation([own(range(50)), own(range(50 - common, 90), "B", "y")])
    with pytest.raises(RoundError, match=f"{words} in common"):
        align(fed)
    assert not [message for message in fed.ledger.messages if message.kind == "ids in common"]
    assert alignment_of(fed) is None
    assert fed.ledger.verify()


def test_an_owner_that_stops_leaves_nothing_half_released(monkeypatch):
    fed = federation(owners(people(60), parties=3))

    def stop(self, *_, **__):
        if self.name == "shop":
            raise ConnectionError("C00017 is gone")
        return []

    monkeypatch.setattr(Blind, "mask", stop)
    with pytest.raises(RoundError, match="'shop' failed with ConnectionError") as caught:
        align(fed)
    assert "C00017" not in str(caught.value)
    assert alignment_of(fed) is None
    assert not [message for message in fed.ledger.messages if message.kind == "ids in common"]
    monkeypatch.undo()
    assert align(fed).rows > 40
    assert fed.ledger.verify()


def test_an_owner_that_sends_no_points_is_named(monkeypatch):
    fed = federation(owners(people(60)))
    monkeypatch.setattr(Blind, "begin", lambda *_: [b"\x02" + b"\x00" * 31])
    with pytest.raises(EncryptionError, match="'bank'"):
        align(fed)


@pytest.mark.parametrize("parties", [2, 3])
def test_no_message_holds_an_id_or_a_point_of_one(parties):
    parts = owners(people(80), parties=parties)
    fed = federation(parts)
    align(fed)
    ids = [f"C{number:05d}".encode() for number in range(800)]
    crossed = [message for message in fed.ledger.messages if message.kind == "masked ids"]
    assert len(crossed) == parties**2
    for message in fed.ledger.messages:
        body = b"".join(getattr(message.payload, "parts", ())) or np.asarray(message.payload).tobytes()
        assert not any(each in body for each in ids)
    # Who guesses ids finds them in no list, whatever secret number it tries.
    guessed = set(Blind("guess", b"session").begin(ids[:100]))
    assert not any(guessed & set(points_in(message.payload.data, sender="x")) for message in crossed)


@pytest.mark.parametrize("parties", [2, 3])
def test_no_owner_can_compare_two_lists_in_their_last_form(parties):
    parts = owners(people(80), parties=parties)
    fed = federation(parts)
    align(fed)
    last = [message for message in fed.ledger.messages if message.receiver == "server" and message.kind == "masked ids"]
    assert len({message.sender for message in last}) == parties
    for name in fed.names:
        lists = [set(points_in(m.payload.data, sender="x")) for m in fed.seen_by(name) if m.kind == "masked ids"]
        assert not any(a & b for place, a in enumerate(lists) for b in lists[:place])
    server = [set(points_in(message.payload.data, sender="x")) for message in last]
    assert len(set.intersection(*server)) == alignment_of(fed).rows, "the server can, and has no ids"


def test_places_in_a_list_tell_nothing_about_rows():
    fed = federation(owners(people(80)))
    align(fed)
    told = next(m for m in fed.ledger.messages if m.kind == "ids in common" and m.receiver == "bank")
    again = federation(fed.owners)
    align(again)
    other = next(m for m in again.ledger.messages if m.kind == "ids in common" and m.receiver == "bank")
    assert told.payload.size == other.payload.size
    assert not np.array_equal(told.payload, other.payload), "another order each time, for the same rows"


def test_progress_goes_up_to_one():
    seen = []
    align(federation(owners(people(60))), progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1.0)


def test_the_card_says_who_learned_what():
    fed = federation(owners(people(60)))
    card = align(fed)._repr_html_()
    for words in ("Every owner learns", "The server learns", "how many ids", "masked"):
        assert words in card
    said = {threat.who for threat in threats(fed)}
    assert {"an owner that invents ids", "the key holder with an owner that multiplies"} <= said
    assert "no owner has a target" not in fed._repr_html_()


def test_an_owner_that_has_not_looked_has_no_rows_in_common():
    first, second = federation(owners(people(60))), federation(owners(people(60), seed=5))
    alignment = align(first)
    with pytest.raises(SettingError, match="not looked for"):
        second.owners[0]._inside(alignment.of, stage="test")


@pytest.mark.parametrize(
    ("second", "error", "words"),
    [
        (lambda: own(["1", "2", "3"], "B", "y"), SchemaError, "whole numbers, those of 'B' .* are text"),
        (lambda: own([1, 2, 3], "B", "x"), SchemaError, "both have a column 'x'"),
        (lambda: own([1, 2, 3], "B", "y", held_out=0.4), SettingError, "holds out"),
        (
            lambda: fl.DataOwner("B", pd.DataFrame({"y": [1.0, 2], "z": [1.5, 2.5]}), target="z"),
            SchemaError,
            "'A' has an id and 'B' has none",
        ),
    ],
)
def test_owners_that_do_not_fit_are_refused_by_name(second, error, words):
    with pytest.raises(error, match=words):
        fl.Federation([own([1, 2, 3]), second()])


def test_two_owners_with_labels_are_refused():
    def labelled(name, column):
        frame = pd.DataFrame({"who": range(9), column: np.arange(9.0), f"{column} label": ["a", "b", "c"] * 3})
        return fl.DataOwner(name, frame, id="who", target=f"{column} label")

    with pytest.raises(SchemaError, match="one owner has the labels"):
        fl.Federation([labelled("A", "x"), labelled("B", "y")])


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"budget": fl.Budget(1.0, 1e-5)}, RuleError),
        ({"protect": fl.RowLevelDP(noise_multiplier=1.0)}, RuleError),
        ({"sample_rate": 0.5}, SettingError),
        ({"dropout": 0.5}, SettingError),
    ],
)
def test_settings_without_meaning_are_refused(settings, error):
    with pytest.raises(error, match="different columns"):
        federation(**settings)


def test_strategies_and_federations_must_go_together():
    class Trees:
        labels_at = "bank"

    same = fl.Federation(fl.split_rows(fl.data.breast_cancer(), owners=2))
    with pytest.raises(RuleError, match="FedAvg needs owners with the same columns"):
        fl.rounds(federation(), fl.FedAvg(fl.models.logistic()), num_rounds=1)
    with pytest.raises(RuleError, match="Trees needs owners of different columns"):
        check_strategy_columns(Trees(), same.schema)
    with pytest.raises(RuleError, match="An alignment needs owners of different columns"):
        align(same)


def test_an_alignment_is_copied_without_its_rows():
    found = align(federation(owners(people(60))))
    assert copy.deepcopy(found) == found
    assert found.key not in repr(found)
