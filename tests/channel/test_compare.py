"""The comparison tells what its runs did: each figure is taken here from the ledger of that run, or worked out anew."""

import re
from fractions import Fraction

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.channel.compare import ChannelComparison, compare_channels, measure, readers
from fedlab_nb.channel.compare.readers import LIAR
from fedlab_nb.errors import SettingError
from fedlab_nb.ledger import Ledger
from fedlab_nb.units import bytes_text
from tests.cards.things import Reader, page_of, pictures_of

SCHEMES = (
    None,
    fl.SecAgg(),
    fl.CKKS(),
    fl.CKKS(keys="threshold"),
    fl.CKKS("compact", complex_slots=True),
    fl.CKKS(keys="owners"),
    fl.BFV(),
)
NUMBERS = 2100
NAMES = ("no protection", "masks (SecAgg)", "CKKS, preset default", "CKKS, threshold")


@pytest.fixture(scope="module")
def compared() -> ChannelComparison:
    return compare_channels(owners=4, numbers=NUMBERS, schemes=SCHEMES)


def numbers_of(compared):
    """The vectors of all owners, as they are said to be drawn."""
    return np.random.default_rng(compared.seed).uniform(-1, 1, (compared.owners, compared.numbers))


def words(thing):
    page = re.sub(r"<style>.*?</style>", "", page_of(thing), flags=re.DOTALL)
    return " ".join(" ".join(Reader(page).words).split())


def test_by_default_a_class_sees_no_protection_masks_one_key_and_a_key_that_nobody_holds():
    made = fl.compare_channels(owners=3, numbers=4)
    assert tuple(column.name for column in made.columns) == NAMES
    assert fl.compare_channels is compare_channels


def test_every_channel_gives_the_exact_sum_of_the_numbers_on_its_grid(compared):
    assert [column.grid_error for column in compared.columns] == [0.0] * len(SCHEMES)


def test_the_error_is_that_against_the_sum_in_fractions_and_no_more_than_half_a_step_an_owner(compared):
    exact = [sum(map(Fraction, column)) for column in numbers_of(compared).T.tolist()]
    for column in compared.columns:
        steps = 2**column.grid_bits
        rounded = [sum(Fraction(round(v * steps), steps) for v in c) for c in numbers_of(compared).T.tolist()]
        largest = max(abs(a - b) for a, b in zip(exact, rounded, strict=True))
        assert column.error == pytest.approx(float(largest), rel=1e-5, abs=1e-15), column.name
        assert column.error <= compared.owners * 0.5 / steps


def test_every_figure_is_read_off_the_ledger_of_the_run_that_counts(monkeypatch):
    ledgers = []

    class Kept(Ledger):
        def __init__(self):
            super().__init__()
            ledgers.append(self)

    monkeypatch.setattr(measure, "Ledger", Kept)
    made = compare_channels(owners=3, numbers=NUMBERS, schemes=SCHEMES)
    assert len(ledgers) == 2 * len(SCHEMES), "a ledger for each sum: one that owners drop out of, one that counts"
    for column, ledger in zip(made.columns, ledgers[1::2], strict=True):
        assert ledger.verify()
        sent = next(m for m in ledger.messages if m.kind == "update" and m.sender == "Owner 1")
        assert (column.message_bytes, column.found) == (sent.nbytes, sent.peek)
        assert column.bytes_per_number == sent.nbytes / NUMBERS
        assert column.all_bytes == sum(m.nbytes for m in ledger.messages)
        assert 3 * column.owner_bytes == pytest.approx(sum(m.nbytes for m in ledger.messages if "Owner" in m.sender))
        assert column.stages == ledger.seconds
        assert sum(column.stages.values()) <= column.seconds
        assert column.messages == len(ledger) == sum(step.messages for step in column.steps)
        assert column.all_bytes == sum(step.nbytes for step in column.steps)


def test_a_step_is_what_several_parties_send_at_once(compared):
    plain = compared.columns[0]
    assert plain.trips == 1
    assert plain.messages == compared.owners
    holder = next(column for column in compared.columns if column.name == "CKKS, preset default")
    assert ("update", "owner", "server", 1) in [step[:4] for step in holder.steps]
    assert holder.trips == len(holder.steps) == len({step[:3] for step in holder.steps})


def test_the_same_numbers_go_through_every_channel_and_only_the_first_is_readable(compared):
    first = numbers_of(compared)[0]
    assert compared.own == tuple(first[:8])
    assert np.allclose(compared.columns[0].found.head, first[:8], atol=2**-30)
    for column in compared.columns[1:]:
        assert not column.found.readable, column.name
        assert re.fullmatch("[0-9a-f]{48}", column.found.head), column.name
    assert len({column.found.head for column in compared.columns}) == len(SCHEMES)


def test_another_seed_gives_other_numbers_and_the_same_seed_the_same():
    made = [compare_channels(owners=2, numbers=3, seed=seed, schemes=[None]) for seed in (1, 1, 2)]
    assert made[0].own == made[1].own != made[2].own


def test_masks_and_ciphertexts_get_over_owners_that_drop_out_and_threshold_keys_are_made_anew():
    made = compare_channels(owners=8, numbers=50, dropouts=2)
    for column in made.columns:
        assert column.refused is None
        assert column.grid_error == 0.0
        assert (column.dropped.owners, column.dropped.left, column.dropped.error) == (2, 6, 0.0)
    again = {column.name: column.dropped.again for column in made.columns}
    assert [again[name] for name in NAMES[:3]] == [0, 0, 0]
    assert again["CKKS, threshold"] > 6, "a new key of the six who are left, and six updates sealed again"
    assert f"{again['CKKS, threshold']} more messages" in words(made)
    assert "If 2 owners drop out" in words(made)


def test_a_refusal_stands_in_its_column_with_its_reason_and_fails_no_other():
    made = compare_channels(owners=6, numbers=50, dropouts=3)
    masks = made.columns[1]
    assert masks.error is masks.grid_error is None
    assert [column.refused is None for column in made.columns] == [True, False, True, True]
    assert masks.refused.what in words(made)
    assert masks.refused.why in words(made)
    assert "5 owners are needed, and 3 sent" in made.frame().loc["refused", masks.name]
    assert "masks (SecAgg) refused" in repr(made)


def test_a_scheme_that_cannot_plan_such_a_sum_says_so_and_sends_nothing():
    made = compare_channels(owners=513, numbers=1, schemes=[None, fl.BFV()])
    plain, exact = made.columns
    assert plain.refused is None
    assert (exact.messages, exact.message_bytes, exact.found) == (0, 0, None)
    assert exact.refused.what in words(made)
    assert "nothing was sent" in words(made)


def test_of_two_owners_none_may_drop_out_as_the_other_would_be_read():
    made = compare_channels(owners=2, numbers=5)
    assert [column.dropped.refused is None for column in made.columns] == [True, False, False, False]
    assert all(column.grid_error == 0.0 for column in made.columns)


def test_the_frame_has_a_column_a_scheme_and_every_figure(compared):
    frame = compared.frame()
    assert list(frame.columns) == [column.name for column in compared.columns]
    for column in compared.columns:
        assert frame.loc["bytes of one update", column.name] == column.message_bytes
        assert frame.loc["largest error on the grid", column.name] == 0.0
        assert frame.loc["steps", column.name] == column.trips
        for stage, seconds in column.stages.items():
            assert frame.loc[f"seconds: {stage}", column.name] == seconds
    rows = list(frame.index)
    stages = [i for i, name in enumerate(rows) if name.startswith("seconds: ")]
    assert stages == list(range(rows.index("seconds") + 1, rows.index("seconds") + 1 + len(stages)))


def test_the_card_shows_the_figures_and_its_pictures_are_told_in_words(compared):
    page, text = page_of(compared), words(compared)
    for column in compared.columns:
        assert bytes_text(column.message_bytes) in text
        assert bytes_text(column.owner_bytes) in text
        assert f"{column.messages} messages in all" in text
        for reader in column.readers:
            assert reader.who in text
    assert ", ".join(f"{value:.3f}" for value in compared.own[:4]) in text
    assert Reader(page).faults == []
    assert page.count("<style>") == 1
    assert len(pictures_of(page)) == len(SCHEMES)
    assert page.count('alt="4 owners, each with ') == len(SCHEMES)
    assert page.count('<th scope="col"') >= len(SCHEMES)


def test_a_cell_names_its_column_for_pages_too_narrow_for_a_table(compared):
    page = page_of(compared)
    named = re.findall(r'data-of="([^"]+)"', page)
    assert len(named) == 8 * len(SCHEMES)
    assert len(set(named)) == len(SCHEMES), "no two columns have one name"


def test_the_cells_of_what_is_hidden_hold_bytes_and_none_of_the_numbers(compared):
    cells = re.findall(r'<code class="fl-found">([^<]+)</code>', page_of(compared))
    assert len(cells) == len(SCHEMES) - 1
    assert all(re.fullmatch("[0-9a-f ]+ …", cell) for cell in cells)
    clear = re.findall(r'<code class="fl-found fl-clear">([^<]+)</code>', page_of(compared))
    assert clear == [", ".join(f"{value:.3f}" for value in compared.own[:4]) + " …"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"owners": 1}, "owners is 1"),
        ({"owners": 2.5}, "owners is 2.5"),
        ({"numbers": 0}, "numbers is 0"),
        ({"numbers": True}, "numbers is True"),
        ({"dropouts": -1}, "dropouts is -1"),
        ({"owners": 3, "dropouts": 3}, "3 of 3 owners"),
        ({"schemes": []}, "There is no scheme"),
        ({"schemes": ["CKKS"]}, "'CKKS'"),
        ({"schemes": [fl.CKKS(), None, fl.CKKS()]}, "CKKS, preset default is there twice"),
    ],
)
def test_settings_that_make_no_comparison_are_refused_and_named(settings, told):
    with pytest.raises(SettingError) as caught:
        compare_channels(**settings)
    assert told in caught.value.what
    assert caught.value.do


@pytest.mark.parametrize(
    ("scheme", "owners", "who"),
    [
        (None, 10, ["the server"]),
        (fl.CKKS(), 10, ["the key holder with the server", LIAR.who]),
        (fl.BFV(), 10, ["the key holder with the server", LIAR.who]),
        (fl.CKKS(keys="owners"), 10, ["any owner with the server"]),
        (fl.BFV(keys="owners"), 10, ["any owner with the server"]),
        (fl.CKKS(keys="threshold"), 10, ["the server with all 9 other owners", LIAR.who]),
        (fl.CKKS(keys="threshold"), 2, ["the server with the other owner"]),
        (fl.SecAgg(), 10, ["the server with 7 owners", "a server that lies, with 4 owners"]),
        (fl.SecAgg(), 5, ["the server with 4 owners", "a server that lies, with 3 owners"]),
        (fl.SecAgg(threshold=8), 10, ["the server with 8 owners", "a server that lies, with 6 owners"]),
        (fl.SecAgg(threshold=10), 10, ["the server with all 9 other owners"]),
        (fl.SecAgg(), 2, ["the server with the other owner"]),
    ],
)
def test_who_could_read_one_update_follows_from_the_settings(scheme, owners, who):
    found = readers(scheme, owners)
    assert [reader.who for reader in found] == who
    assert [reader.alone for reader in found] == [scheme is None] * len(who)
