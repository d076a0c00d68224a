"""Linkage: rows that are alike are found, nobody reads a name, and everything downstream uses what was found."""

import numpy as np
import pandas as pd
import pytest

import fedlab_nb as fl
from fedlab_nb.crypto.linkage import Partner
from fedlab_nb.errors import EncryptionError, RoundError, RuleError, SchemaError, SettingError
from fedlab_nb.parties.columns.fitting import check_exact
from fedlab_nb.parties.columns.ids import take_fields
from fedlab_nb.parties.columns.road import alignment_of
from fedlab_nb.parties.columns.split import split_columns
from fedlab_nb.vertical import linkage
from fedlab_nb.vertical.linkage import link
from tests.rounds.common import events_of
from tests.vertical.common import people
from tests.vertical.linked import FIELDS, LETTERS, everybody, frames, linked_people, pair


def body(message):
    if isinstance(message.payload, np.ndarray):
        return message.payload.tobytes()
    if isinstance(message.payload, bytes):
        return message.payload
    return message.payload.payload if hasattr(message.payload, "payload") else b"".join(message.payload.parts)


def quality(parts, common, threshold):
    """Precision and recall of the links of two owners who have ``common`` people."""
    fed = fl.Federation(parts)
    found = linked_people(fed, link(fed, threshold=threshold))
    pairs = list(zip(np.concatenate(found["bank"]), np.concatenate(found["shop"]), strict=True))
    right = sum(a == b for a, b in pairs)
    return right / len(pairs), right / common


def test_it_is_as_precise_as_measured_elsewhere_where_exact_ids_find_half():
    first, second = frames()
    merged = first.merge(second, left_on=FIELDS, right_on=["customer", "birthday", "town"])
    assert len(merged) / 500 < 0.6
    parts = pair(1000, 500)
    low, usual, high = (quality(parts, 500, threshold) for threshold in (0.8, 0.85, 0.9))
    assert min(usual) >= 0.98
    assert low[0] >= 0.95
    assert low[1] >= 0.99
    assert high[0] >= 0.99
    assert high[1] >= 0.93
    assert low[1] >= usual[1] >= high[1]


def test_linked_rows_lie_side_by_side_on_the_same_side_at_both_owners():
    fed = fl.Federation(pair(400, 300, held_out=0.3))
    alignment = link(fed)
    found = linked_people(fed, alignment)
    for side in (0, 1):
        first, second = found["bank"][side], found["shop"][side]
        assert len(first) == len(second) > 50
        assert (first == second).mean() > 0.97
        assert not (np.diff(first) > 0).all(), "an order of nobody's frame"
    assert not set(found["bank"][0]) & set(found["bank"][1])
    assert sum(map(len, found["bank"])) == alignment.rows
    assert 0.2 < len(found["bank"][1]) / alignment.rows < 0.4


def test_nothing_is_held_out_if_nothing_is_to_be():
    fed = fl.Federation(pair(held_out=0.0))
    assert [len(side) for side in linked_people(fed, link(fed))["shop"]] == [alignment_of(fed).rows, 0]


def test_the_same_tables_give_the_same_links_and_sides_in_every_run_and_row_order():
    first, second = frames(200, 100)
    found = []
    for turn in (1, -1):
        bank = fl.DataOwner("bank", first.iloc[::turn], id=FIELDS)
        shop = fl.DataOwner("shop", second.iloc[::turn], id=["customer", "birthday", "town"])
        fed = fl.Federation([bank, shop])
        found.append(linked_people(fed, link(fed)))
    for name in ("bank", "shop"):
        for side in (0, 1):
            assert np.array_equal(found[0][name][side], found[1][name][side])


def test_places_in_a_list_tell_nothing_about_rows():
    parts, told = pair(), []
    for _ in range(2):
        fed = fl.Federation(parts)
        link(fed)
        told.append([m.payload for m in fed.ledger.messages if m.kind == "linked rows"])
    assert all(one.size == two.size and not np.array_equal(one, two) for one, two in zip(*told, strict=True))


def test_questions_across_owners_are_about_the_linked_rows():
    first, second = frames(120, 80, share=0.1)
    rng = np.random.default_rng(3)
    noise = dict(zip(everybody(160)["who"], rng.normal(size=160), strict=True))
    bank = fl.DataOwner("bank", first.assign(x=first["who"].map(noise)), id=FIELDS)
    shop = fl.DataOwner(
        "shop",
        second.assign(y=second["number"].map(noise) + rng.normal(size=120)),
        id=["customer", "birthday", "town"],
    )
    fed = fl.Federation([bank, shop], encrypt=fl.CKKS("deep"))
    found = linked_people(fed, link(fed))
    told = fl.PrivateFrame(fed).corr(["x", "y"]).loc["x", "y"]
    who, number = (np.concatenate(found[name]) for name in ("bank", "shop"))
    y = dict(zip(second["number"], second["number"].map(noise), strict=True))
    assert len(who) == alignment_of(fed).rows
    assert fl.PrivateFrame(fed).count() == alignment_of(fed).rows
    assert abs(told) > 0.4, "on rows that do not belong together there would be none"
    assert np.corrcoef([noise[each] for each in who], [y[each] for each in number])[0, 1] > 0.95


def test_owners_link_once_and_are_charged_once():
    fed = fl.Federation(pair())
    first = link(fed)
    count = len(fed.ledger)
    assert link(fed) is first
    assert len(fed.ledger) == count
    assert [event.purpose for event in events_of(fed, "bank")] == ["which rows are in common"]
    assert fed.ledger.verify()
    with pytest.raises(SettingError, match=r"linked by 0\.85 already"):
        link(fed, threshold=0.9)


def test_no_message_holds_a_name_or_another_field_in_clear_and_only_the_server_gets_filters():
    first, second = frames(200, 100)
    fed = fl.Federation(pair())
    link(fed)
    said = set()
    for frame, names in ((first, FIELDS), (second, ["customer", "birthday", "town"])):
        texts, _ = take_fields(frame[names], "x")[1:]
        said |= {str(v) for name in names for v in (*frame[name], *texts[name])}
    said = [text.encode() for text in said if len(text) > 3]
    for message in fed.ledger.messages:
        assert not [text for text in said if text in body(message)], message.kind
    filters = [m for m in fed.ledger.messages if m.kind == "filters of rows"]
    assert [m.receiver for m in filters] == ["server", "server"]
    assert not any(m.encrypted for m in filters), "a pseudonym is not called sealed"
    between = [m for m in fed.ledger.messages if m.sender in fed.names and m.receiver in fed.names]
    assert len(between) == 5
    assert all(m.encrypted or m.kind == "identity" for m in between)
    assert not any(m.plain_nbytes for m in between)


def test_the_server_cannot_make_a_filter_of_a_name_that_it_guesses():
    first, _ = frames(60, 40)
    fed = fl.Federation(pair(60, 40))
    link(fed)
    sent = next(m for m in fed.seen_by("server") if m.kind == "filters of rows" and m.sender == "bank").payload.payload
    held = {sent[at : at + 128] for at in range(0, len(sent), 128)}
    ids = [each for each in take_fields(first[FIELDS], "bank")[2] if each]

    def guessed(contents):
        a, b = Partner("bank"), Partner("shop")
        a.meet("shop", b.public)
        b.meet("bank", a.public)
        b.half(contents[1])
        b.agree(a.half(contents[0]))
        made = b.filters(ids).payload
        return {made[at : at + 128] for at in range(0, len(made), 128)}

    assert not held & guessed((b"guess", b"another"))
    contents = tuple(owner._inside(lambda rows: rows.content, stage="test") for owner in fed.owners)
    assert held == guessed(contents), "an owner can: it has the key"


def test_owners_with_different_keys_find_nothing_and_are_told_nothing(monkeypatch):
    whole = Partner.agree

    def another(self, sealed):
        whole(self, sealed)
        if self.name == "shop":
            self._Partner__key = b"another key"

    monkeypatch.setattr(Partner, "agree", another)
    fed = fl.Federation(pair(share=0.0))
    with pytest.raises(RoundError, match=r"no row alike by 0\.85"):
        link(fed)
    assert alignment_of(fed) is None
    assert not [m for m in fed.ledger.messages if m.kind == "linked rows"]
    assert fed.ledger.verify()


@pytest.mark.parametrize(("common", "words"), [(0, "no row"), (1, "one row"), (4, "4 rows")])
def test_too_few_links_are_refused_and_no_owner_is_told_which(common, words):
    fed = fl.Federation(pair(50, common, share=0.0))
    with pytest.raises(RoundError, match=f"{words} alike"):
        link(fed)
    assert not [m for m in fed.ledger.messages if m.kind == "linked rows"]


def test_an_owner_that_stops_leaves_nothing_half_released(monkeypatch):
    fed = fl.Federation(pair(share=0.0))

    def stop(self, rows):
        raise ConnectionError("Bari Kamon is gone")

    monkeypatch.setattr(Partner, "filters", stop)
    with pytest.raises(RoundError, match="'bank' failed with ConnectionError") as caught:
        link(fed)
    assert "Kamon" not in str(caught.value)
    assert alignment_of(fed) is None
    monkeypatch.undo()
    assert link(fed).rows == 100


def test_an_order_that_is_none_is_refused_and_its_sender_named(monkeypatch):
    fed, seal = fl.Federation(pair()), Partner.seal
    monkeypatch.setattr(
        Partner, "seal", lambda self, data, what: seal(self, data[: -4 * (what == "order") or None], what)
    )
    with pytest.raises(EncryptionError, match="'bank' sent as the order"):
        link(fed)
    assert alignment_of(fed) is None


def test_filters_that_are_too_full_for_the_threshold_are_refused():
    long = "".join(np.random.default_rng(0).choice(list(LETTERS), 150))
    frame = pd.DataFrame({"a": [f"{long}{n}" for n in range(20)], "b": [f"{n}" for n in range(20)], "x": range(20)})
    fed = fl.Federation(
        [fl.DataOwner("A", frame, id=["a", "b"]), fl.DataOwner("B", frame.rename(columns={"x": "y"}), id=["a", "b"])]
    )
    with pytest.raises(RoundError, match=r"'A' have .* bits set"):
        link(fed)


def test_more_rows_than_can_be_compared_are_refused_before_anything_leaves(monkeypatch):
    monkeypatch.setattr(linkage, "MOST_ROWS", 199)
    fed = fl.Federation(pair())
    with pytest.raises(RuleError, match=r"'bank' has more than 199 rows.*blocks"):
        link(fed)
    assert len(fed.ledger) == 0
    assert events_of(fed, "bank") == []


@pytest.mark.parametrize("threshold", [0.5, 1.1, True, "0.9", float("nan")])
def test_thresholds_that_cannot_work_are_refused(threshold):
    with pytest.raises(SettingError, match="threshold="):
        link(fl.Federation(pair()), threshold=threshold)


def test_progress_goes_up_to_one():
    seen = []
    link(fl.Federation(pair(700, 100)), progress=seen.append)
    assert seen == sorted(seen)
    assert len(seen) == 2
    assert seen[-1] == 1.0


def test_the_card_warns_and_counts_doubtful_links():
    fed = fl.Federation(pair(1000, 500))
    alignment = link(fed)
    card = alignment._repr_html_()
    for said in ("pseudonyms, not encryption", "Barely linked", "Barely not linked", "Every owner learns", "guess"):
        assert said in card
    assert f"{alignment.doubts.near} pairs" in card
    assert 0 < alignment.doubts.near < 60
    assert "name + born + town" in fed._repr_html_()


def test_an_owner_without_an_id_shows_facts_and_no_row():
    bank = pair()[0]
    assert bank.id == ("name", "born", "town")
    assert "id ('name', 'born', 'town')" in repr(bank)
    assert [column.name for column in bank.schema.features] == ["who"]
    assert "name + born + town" in bank._repr_html_()
    assert list(bank.mock(2).columns) == ["name", "born", "town", "who"]
    assert bank.mock(2)["name"].tolist() == ["name 1", "name 2"]
    with pytest.raises(fl.errors.PrivateDataError):
        _ = bank.town


def test_dates_numbers_accents_and_missing_values_are_read_alike():
    born = pd.to_datetime(["1970-01-31", "1980-12-01", None, "1990-05-05"])
    one = pd.DataFrame({"n": ["Zoë Müller", "Anna-Lena", "Bo", None], "b": born})
    two = pd.DataFrame({"n": [" zoe muller", "ANNA LENA", "Bo", "Cy"], "b": [19700131.0, 19801201, np.nan, 5]})
    three = pd.DataFrame({"n": ["Zoe\u0308 Mu\u0308ller", "Anna Lena", "--", ""], "b": [d.date() for d in born]})
    forms = [take_fields(frame, "x")[2] for frame in (one, two, three)]
    assert [form[:2] for form in forms] == [[b"zoemuller\x1f19700131", b"annalena\x1f19801201"]] * 3
    assert forms[0][2:] == [None, None] == forms[2][2:]


def test_rows_that_lack_a_column_are_left_out():
    first, second = frames(100, 60, share=0.0)
    first.iloc[:40, first.columns.get_loc("born")] = None
    fed = fl.Federation(
        [fl.DataOwner("bank", first, id=FIELDS), fl.DataOwner("shop", second, id=["customer", "birthday", "town"])]
    )
    link(fed)
    found = set(np.concatenate(linked_people(fed, alignment_of(fed))["bank"]))
    assert found == set(first["who"].iloc[40:]) & set(second["number"])


def frame_of(**columns):
    return pd.DataFrame({"n": ["ab", "cd", "ef"], "x": [1.0, 2.0, 3.5], **columns})


@pytest.mark.parametrize(
    ("columns", "id_", "error", "words"),
    [
        ({"b": [1.5, 2.0, 3.0]}, ["n", "b"], SchemaError, "'b' of 'Shop'.* holds float"),
        ({"b": [True, False, True]}, ["n", "b"], SchemaError, "holds bool"),
        ({"b": [[1], [2], [3]]}, ["n", "b"], SchemaError, "holds list"),
        ({"b": [None, None, None]}, ["n", "b"], SchemaError, "lacks one of the columns 'n', 'b'"),
        ({}, ["n", "b"], SchemaError, "'b' of 'Shop' is not there"),
        ({}, ["n"], SettingError, "One alone"),
        ({}, ["n", "n"], SettingError, "One alone"),
        ({}, [], SettingError, "One alone"),
        ({}, ["n", "x"], SchemaError, "holds float"),
    ],
)
def test_columns_that_cannot_tell_rows_apart_are_refused_with_the_owner_named(columns, id_, error, words):
    with pytest.raises(error, match=words) as caught:
        fl.DataOwner("Shop", frame_of(**columns), id=id_)
    assert "3.5" not in str(caught.value)


def owner(name, column, id_):
    frame = pd.DataFrame({each: [f"{each} {n}" for n in range(9)] for each in ("a", "b", "c")})
    return fl.DataOwner(name, frame.assign(**{column: np.arange(9.0)})[[*np.atleast_1d(id_), column]], id=id_)


@pytest.mark.parametrize(
    ("parts", "error", "words"),
    [
        ([("A", "x", ["a", "b"]), ("B", "y", ["a", "b", "c"])], SchemaError, r"\('a', 'b'\), that of 'B'"),
        ([("A", "x", "a"), ("B", "y", ["a", "b"])], SchemaError, "'A' is 'a', that of 'B' is"),
        ([(name, column, ["a", "b"]) for name, column in ("Ax", "By", "Cz")], RuleError, "3 owners.*Link two"),
    ],
)
def test_owners_that_cannot_be_linked_are_refused(parts, error, words):
    with pytest.raises(error, match=words):
        fl.Federation([owner(*each) for each in parts])


def test_ids_and_columns_to_link_by_are_not_mixed_up():
    exact = fl.Federation([owner("A", "x", "a"), owner("B", "y", "a")])
    with pytest.raises(RuleError, match=r"Use fl\.vertical\.align"):
        link(exact)
    with pytest.raises(RuleError, match="A linkage needs owners of different columns"):
        link(fl.Federation(fl.split_rows(fl.data.breast_cancer(), owners=2)))
    check_exact(exact.schema, "An alignment")
    with pytest.raises(RuleError, match=r"An alignment was asked for.*fl\.vertical\.link"):
        check_exact(fl.Federation(pair()).schema, "An alignment")


def test_one_table_is_split_among_owners_that_are_linked():
    frame = people(120).assign(born=pd.date_range("1950-01-01", periods=120, freq="61D"), name=everybody(120)["name"])
    parts = split_columns(frame, bank=["income", "default"], shop=["visits"], id=["name", "born"], overlap=0.5)
    assert [part.id for part in parts] == [("name", "born")] * 2
    assert [part.target for part in parts] == ["default", ""]
    assert link(fl.Federation(parts)).rows == 60
    with pytest.raises(SettingError, match="'nobody' was named"):
        split_columns(frame, bank=["income"], shop=["visits"], id=["name", "nobody"])
    with pytest.raises(SettingError, match="'born' was given to 'shop'"):
        split_columns(frame, bank=["income"], shop=["born"], id=["name", "born"])
