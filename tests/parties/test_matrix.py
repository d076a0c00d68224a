"""Each cell of the matrix: a small strategy with that need runs a round, or is refused before anything left."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.cards import marked, shown
from fedlab_nb.channel import HANDSHAKE
from fedlab_nb.errors import RuleError, SettingError
from fedlab_nb.parties.matrix import MATRIX, NEEDS, PROTECTIONS, columns
from fedlab_nb.parties.rules import settings
from fedlab_nb.parties.shown.compatibility import compatibility
from fedlab_nb.protect import OwnerLevelDP, clip_norm
from fedlab_nb.records import PrivacyEvent, Scores, State, Update
from fedlab_nb.rounds import rounds
from tests.rounds.common import assert_teaches, declared, ledgers_of, logistic, play

# By hand: CKKS, masks, owner level, row level. A changed cell is a changed promise, and has to be changed here too.
BY_HAND = {
    "sum of updates": "✔ ✔ ✔ ✔",
    "row weights": "✔ ✔ ✖ ✔",
    "control variates": "✔ ✔ ◐ ◐",
    "owner state": "✔ ✔ ✔ ◐",
    "local step counts": "✔ ✔ ◐ ✔",
    "batch statistics": "✔ ✔ ✔ ✖",
    "personal models": "✔ ✔ ◐ ◐",
    "second-order row gradients": "✔ ✔ ✔ ✖",
    "loss weights": "◐ ◐ ◐ ◐",
    "owner losses": "✖ ✖ ◐ ◐",
    "late arrivals": "✔ ✖ ◐ ✔",
    "single updates": "✖ ✖ ◐ ◐",
    "group sums": "◐ ◐ ◐ ◐",
    "update norms": "◐ ◐ ✖ ◐",
    "norm clipping": "◐ ◐ ✔ ✔",
    "chosen coordinates": "✖ ✖ ✖ ◐",
    "quantised updates": "◐ ✔ ◐ ✔",
    "signs": "✔ ✔ ◐ ◐",
    "owner statistics": "✖ ✖ ◐ ◐",
    "exact splits": "◐ ✖ ✖ ✖",
}
SIGNS = {"works": "✔", "works with care": "◐", "refused": "✖"}

ENCRYPTIONS = {"open": {}, "CKKS": {"encrypt": fl.CKKS()}, "masks": {"encrypt": fl.SecAgg()}}
UNITS = {
    "none": {},
    "owner": {"protect": fl.OwnerLevelDP(noise_multiplier=20.0), "budget": fl.Budget(8, 0.01)},
    "row": {"protect": fl.RowLevelDP(noise_multiplier=20.0), "budget": fl.Budget(8, 0.01)},
}


def part(federation, rows):
    """What an owner works out: the sum of its rows, each clipped, at row level; else the mean of them."""
    numbers = rows.training[0].to_numpy(dtype=float)
    protect = federation.house.protect
    if protect is None or isinstance(protect, OwnerLevelDP):
        return numbers.mean(0)
    return sum(clip_norm(row, protect.clip) for row in numbers)


def debits(federation, number, names):
    protect = federation.house.protect
    cost = PrivacyEvent(number, "a round's update", "all", "row", "none")
    if protect is not None:
        cost = replace(cost, unit=protect.unit, mechanism="gaussian", amount=protect.noise_multiplier)
    return {name: [cost] if name in names else [] for name in federation.names}


def add_up(federation, number, cohort, make):
    """One sum over ``cohort`` of what ``make`` gives of an owner's part."""
    protect = federation.house.protect
    return federation.gather(
        "update",
        lambda _, rows: Update(make(part(federation, rows)), 1.0),
        number=number,
        cohort=cohort,
        bound=200.0,
        noise_sd=protect.clip * protect.noise_multiplier if protect else 0.0,
        clip=protect.clip if isinstance(protect, OwnerLevelDP) else None,
        debits=debits(federation, number, cohort),
    ).mean


def one_sum(federation, number, cohort):
    return add_up(federation, number, cohort, lambda own: own)


def joint_sum(federation, number, cohort):
    """Two vectors of each owner as one: a control variate beside an update, a weight beside what it weighs."""
    return add_up(federation, number, cohort, lambda own: np.concatenate([own, own / 2]) / 2)


def group_sums(federation, number, cohort):
    """The median over the sums of five groups."""
    groups = np.array_split(np.array(cohort), 5)
    return np.median([add_up(federation, number, tuple(group), lambda own: own) for group in groups], axis=0)


def two_buffers(federation, number, cohort):
    """Those who came early, and those who came late."""
    early, late = cohort[::2], cohort[1::2]
    return one_sum(federation, number, early) + one_sum(federation, number, late)


def one_by_one(federation, number, cohort):
    """The median over owners of what each sent by itself, clipped and with noise of its own."""
    protect = federation.house.protect

    def alone(name, rows):
        own = part(federation, rows)
        if protect is None:
            return own
        own = clip_norm(own, protect.clip) if isinstance(protect, OwnerLevelDP) else own
        noise = federation.noise(number, name, "own update")
        return own + noise.normal(0.0, protect.clip * protect.noise_multiplier, own.size)

    answers = federation.hear("own update", alone, number=number, debits=debits(federation, number, cohort))
    return np.median(list(answers.values()), axis=0)


# The trip between parties that each need comes down to.
TRIPS = dict.fromkeys(NEEDS, one_sum) | {
    "control variates": joint_sum,
    "loss weights": joint_sum,
    "update norms": joint_sum,
    "group sums": group_sums,
    "late arrivals": two_buffers,
    "single updates": one_by_one,
    "owner losses": one_by_one,
    "owner statistics": one_by_one,
    "chosen coordinates": one_by_one,
}


@dataclass(frozen=True)
class Toy:
    """A strategy that needs one thing, and makes the trip that goes with it."""

    needs: tuple[str, ...]

    def check(self, federation, num_rounds, *, seed=0, after=None):
        pass

    def start(self, federation, *, num_rounds, seed):
        return State({"server": np.zeros(2)})

    def step(self, state, federation, number, cohort, *, last):
        return State({"server": TRIPS[self.needs[0]](federation, number, cohort)})

    def settings(self, federation, state):
        return {}

    def evaluate(self, state, federation, number, *, last):
        return Scores()


@cache
def phones():
    return declared(12)


def house(encryption, unit):
    return fl.Federation(phones(), **ENCRYPTIONS[encryption], **UNITS[unit])


def refusal(need, federation):
    cells = [NEEDS[need].under(protection) for protection in columns(federation.house)]
    return next((cell for cell in cells if not cell.works), None)


def refuse(federation, strategy, **settings):
    before = len(federation.ledger), ledgers_of(federation)
    with pytest.raises(RuleError) as caught:
        rounds(federation, strategy, **settings)
    assert (len(federation.ledger), ledgers_of(federation)) == before
    return caught


@pytest.mark.parametrize("encryption", ENCRYPTIONS)
@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("need", NEEDS)
def test_each_cell_runs_a_round_or_is_refused_with_its_reason_before_anything_left(need, unit, encryption):
    federation = house(encryption, unit)
    cell = refusal(need, federation)
    if cell is not None:
        caught = refuse(federation, Toy((need,)))
        assert_teaches(caught, "Toy", need, cell.why, cell.do)
        assert len(federation.ledger) == 0
        assert not any(ledgers_of(federation))
        return
    (record,) = play(federation, Toy((need,)), num_rounds=1)
    assert record.failed is None
    assert np.isfinite(record.state.weights["server"]).all()
    sent = [m for m in federation.ledger.messages if m.sender in federation.names and m.kind not in HANDSHAKE]
    assert {m.sender for m in sent} == set(federation.names)
    assert all(m.encrypted == (encryption != "open") for m in sent)
    assert {len(entries) for entries in ledgers_of(federation)} == {1}
    assert (federation.epsilon() is not None) == (unit != "none")


@pytest.mark.parametrize("need", [need.name for need in MATRIX if need.ckks.works])
def test_what_works_under_encryption_gives_the_bits_that_it_gives_without(need):
    plain, sealed = (play(house(e, "none"), Toy((need,)), num_rounds=1)[0].state for e in ("open", "CKKS"))
    assert plain.weights["server"].any()
    assert plain.weights["server"].tobytes() == sealed.weights["server"].tobytes()


def test_the_matrix_is_the_one_that_was_written_down_by_hand():
    assert {n.name: " ".join(SIGNS[n.under(p).verdict] for p in PROTECTIONS) for n in MATRIX} == BY_HAND
    assert len(NEEDS) == len(MATRIX)


@pytest.mark.parametrize("need", MATRIX, ids=lambda need: need.name)
def test_what_is_refused_says_why_and_what_to_do_and_what_needs_care_says_which(need):
    for protection in PROTECTIONS:
        cell = need.under(protection)
        assert bool(cell.why) == (cell.verdict == "refused")
        assert bool(cell.do) == (cell.verdict != "works")
        assert all(text[0].isupper() and text.endswith(".") for text in (cell.why, cell.do) if text)


@pytest.mark.parametrize("protection", PROTECTIONS)
def test_every_protection_refuses_just_what_its_column_says(protection, monkeypatch):
    monkeypatch.setattr(settings, "columns", lambda house: (protection,))
    federation = house("open", "none")
    refused = set()
    for need in NEEDS:
        try:
            rounds(federation, Toy((need,)))
        except RuleError as error:
            assert_teaches(error, need, NEEDS[need].under(protection).why)
            refused.add(need)
    assert refused == {need.name for need in MATRIX if not need.under(protection).works}
    assert len(federation.ledger) == 0


def test_of_several_needs_one_that_cannot_be_met_is_enough():
    caught = refuse(house("CKKS", "none"), Toy(("sum of updates", "row weights", "single updates")))
    assert_teaches(caught, "single updates", "updates are encrypted")


def test_without_protection_nothing_is_refused():
    federation = house("open", "none")
    for need in NEEDS:
        rounds(federation, Toy((need,)))
    assert columns(federation.house) == ()


@pytest.mark.parametrize("needs", ["single updates", ["single updates"], ("mind reading",), (3,), ([],), None], ids=str)
def test_needs_that_nobody_knows_are_refused_with_those_that_there_are(needs):
    federation = house("open", "none")
    with pytest.raises(SettingError) as caught:
        rounds(federation, Toy(needs))
    assert_teaches(caught, "Toy", "needs=", *NEEDS)
    assert len(federation.ledger) == 0


def test_one_line_states_the_need_of_a_strategy_that_builds_on_another():
    class Median(fl.FedAvg):
        needs = ("single updates",)

    caught = refuse(house("CKKS", "none"), Median(fl.models.logistic()))
    assert_teaches(caught, "Median", "single updates", "group sums", "encrypt=")


def test_a_run_that_goes_on_is_looked_at_again():
    federation = fl.Federation(phones(), **UNITS["owner"])
    last = play(federation, num_rounds=1)[-1]
    assert last.failed is None
    caught = refuse(federation, logistic(weighting="rows"), num_rounds=2, after=last)
    assert_teaches(caught, "FedAvg", "row weights", "privacy is at owner level", "epsilon would be understated")


def test_fedavg_states_row_weights_only_where_they_were_asked_for():
    assert logistic(weighting="rows").needs == ("row weights",)
    assert logistic().needs == logistic(weighting="equal").needs == ()


def test_the_table_for_readers_has_every_cell_with_its_reason():
    table = compatibility()
    frame, html, text = table.frame(), table._repr_html_(), repr(table)
    assert list(frame.index) == [(need, protection) for need in NEEDS for protection in PROTECTIONS]
    for (need, protection), line in frame.iterrows():
        cell = NEEDS[need].under(protection)
        assert tuple(line[["verdict", "why", "what to do"]]) == (cell.verdict, cell.why, cell.do)
        assert all(shown(words) in html for words in (need, line["strategies"], cell.why, cell.do))
        assert need in text
    refused = [(n.name, n.under(p)) for n in MATRIX for p in PROTECTIONS if not n.under(p).works]
    assert text.count("refused") == len(refused)
    assert html.count(marked("✕", "refused", "fl-bad")) == len(refused) + len(set(refused))
    assert "<script" not in html
