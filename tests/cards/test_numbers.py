"""The numbers on cards are those of the objects: each is measured here in another way."""

import math
import re

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.channel import open_channel
from fedlab_nb.crypto import CKKS, KeyHolder
from fedlab_nb.learn.models import build
from fedlab_nb.ledger import Ledger
from fedlab_nb.privacy import Account
from fedlab_nb.records import PrivacyEvent
from tests.cards.things import Reader, page_of
from tests.rounds.common import cells, declared, logistic, play


def words(thing: object) -> str:
    """What a reader sees of a card, without the style sheet."""
    page = re.sub(r"<style>.*?</style>", "", page_of(thing), flags=re.DOTALL)
    return " ".join(" ".join(Reader(page).words).split())


def test_bytes_a_number_are_what_a_full_ciphertext_takes() -> None:
    scheme, ledger = CKKS(), Ledger()
    plan = scheme.plan(bound=1.0, owners=10)
    numbers = np.zeros(plan.held)
    open_channel(scheme, ["A", "B"], ledger, 1).sum("update", {"A": numbers, "B": numbers}, plan, 1)
    sealed = next(message.payload for message in ledger.messages if message.kind == "update")
    inside = sum(map(len, sealed.chunks))
    measured = f"{inside / plan.held:.1f} sealed, 8 in the clear"
    assert measured in words(scheme)
    assert measured in words(plan)
    assert inside < sealed.nbytes < inside * 1.02
    assert f"{sealed.nbytes / 1000:.0f} kB, 4.0× the 16.4 kB in the clear" in words(sealed)


def test_the_rounding_error_is_the_largest_that_the_grid_can_make() -> None:
    plan = CKKS().plan(bound=1.0, owners=10)
    values = np.random.default_rng(0).uniform(-1, 1, 100_000)
    largest = np.abs(plan.grid(values) - values).max()
    told = float(re.search(r"changes it by at most ([\d.e-]+)", words(plan))[1])
    assert largest <= told * 1.01
    assert largest == pytest.approx(told, rel=0.02)
    assert f"at most {told:.1e} a number" in words(CKKS())


def test_the_key_holder_names_its_key_and_shows_none() -> None:
    holder = KeyHolder(CKKS(), session="s")
    page = page_of(holder)
    assert holder.fingerprint in page
    assert holder.public_key[200:216].hex() not in page
    assert f"{len(holder.parameters)} B" in page


@pytest.mark.parametrize(("epsilon", "delta"), [(0.1, 1e-5), (1.0, 1e-3), (8.0, 1e-3)])
def test_the_guess_on_a_budget_is_that_of_the_best_attacker(epsilon: float, delta: float) -> None:
    # Randomised response that fails with probability delta attains the bound.
    truth = math.exp(epsilon) / (1 + math.exp(epsilon))
    best = delta + (1 - delta) * truth
    assert f"right at most {best:.2%} of the time" in words(fl.Budget(epsilon, delta))
    assert f"more than {math.exp(epsilon):,.4g} times as likely" in words(fl.Budget(epsilon, delta))


def filled(*events):
    """An account that has released ``events``."""
    account = Account()
    for event in events:
        account.add(event, 0.2)
    return account


def test_an_account_says_what_it_was_charged_and_what_that_adds_up_to() -> None:
    event = PrivacyEvent(1, "a round's update", "training", "row", "gaussian", 2.0)
    account = filled(*[event] * 5)
    assert repr(account) == "Account(5 releases, 0 of them unprotected)"
    assert f"delta 0.001 {account.spent(1e-3):.2f}" in words(account)
    assert "for every single row" in words(account)
    assert "a round's update 5 training Gaussian noise, multiplier 2" in words(account)
    bare = filled(event, PrivacyEvent(1, "a score", "all", "row", "none"))
    assert "none: something left unprotected" in words(bare)
    assert "Epsilon" not in words(bare)


def test_what_is_clipped_and_how_much_noise_there_is_follow_from_the_settings() -> None:
    assert "to length 3 at most" in words(fl.RowLevelDP(clip=3.0))
    assert "as much as the federation's budget asks for" in words(fl.RowLevelDP())
    assert "standard deviation 2.4 = multiplier 1.2 × 2" in words(fl.OwnerLevelDP(clip=2.0, noise_multiplier=1.2))


def test_the_defaults_on_the_card_of_a_strategy_are_those_it_runs_with() -> None:
    plain = logistic().settings(fl.Federation(cells()), None)
    private = logistic().settings(fl.Federation(cells(), protect=fl.RowLevelDP(noise_multiplier=1.0)), None)
    text = words(logistic())
    assert f"{plain['lr']} ({private['lr']} under fl.RowLevelDP), by default" in text
    assert f"Local epochs {plain['local_epochs']:g}, by default" in text
    assert "Learning rate 0.3, as chosen" in words(logistic(lr=0.3))
    assert repr(logistic(lr=0.3, weighting="equal")) == "FedAvg(logistic(), lr=0.3, weighting='equal')"


def test_the_default_batch_size_on_the_card_is_the_one_it_runs_with() -> None:
    told = int(re.search(r"Batch size (\d+) rows, by default", words(logistic()))[1])
    runs = [play(fl.Federation(cells()), logistic(batch_size=size), num_rounds=1) for size in (None, told)]
    first, second = (history[-1].state.weights["server"] for history in runs)
    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize("model", [fl.models.logistic(), fl.models.mlp((32, 16))])
def test_a_model_counts_its_weights_as_torch_does(model: object) -> None:
    counted = sum(p.numel() for p in build(model, 30, 1).parameters())
    assert model.size(30, 1) == counted
    assert f"{counted:,}" in words(model)


def test_the_history_tells_first_best_and_last_and_what_failed() -> None:
    history = play(fl.Federation(cells()), num_rounds=12)
    numbers, values = history.series("accuracy")
    best = max(values)
    text = words(history)
    assert f"accuracy {values[0]:.3f} {best:.3f} in round {numbers[values.index(best)]} {values[-1]:.3f}" in text
    losses = history.series("loss")[1]
    assert f"loss {losses[0]:.3f} {min(losses):.3f}" in text, "of losses the lowest is best"
    assert "The newest 10 rounds are shown" in text


def test_a_best_score_is_not_told_where_it_would_be_the_luckiest_of_the_noise() -> None:
    history = play(fl.Federation(declared(), budget=fl.Budget(8, 1e-3), noise_seed=0), num_rounds=3)
    assert "not said: each has noise" in words(history)
    assert "(noise ±" in words(history[-1])


def test_the_ledger_and_its_messages_tell_bytes_and_how_they_travelled() -> None:
    federation = fl.Federation(cells(), encrypt=fl.CKKS())
    play(federation, num_rounds=1)
    update = federation.ledger.newest("update", "Owner 1", "server", encrypted=True)
    assert f"{update.nbytes / 1000:.1f} kB sent" in words(update)
    assert update.peek.head in words(update)
    assert "◆ sealed" in words(update)
    assert update.digest[:32] in words(update)
    model = federation.ledger.newest("model", "server", "Owner 1", encrypted=False)
    assert "○ readable" in words(model)
    assert f"{len(federation.ledger)} messages" in words(federation.ledger)
    assert federation.ledger.messages[-1].digest[:32] in words(federation.ledger)
    assert "public key ○ readable 3" in words(federation.ledger)


def test_a_view_shows_its_newest_messages_in_a_table_of_its_own() -> None:
    federation = fl.Federation(cells())
    play(federation, num_rounds=4)
    view = federation.seen_by("server")
    page = page_of(view)
    assert len(view) > 25
    assert page.count("<tr>") == 25 + 1
    assert "dataframe" not in page
    assert f'<td class="fl-num">{view.messages[-1].number}</td>' in page
    assert f'<td class="fl-num">{view.messages[-26].number}</td>' not in page


def test_a_very_long_schema_is_cut_and_says_how_much_is_left_out() -> None:
    from fedlab_nb.records import Column, Schema

    schema = Schema(tuple(Column(f"c{i}", "numeric", "float64") for i in range(500)), Column("y", "category", "bool"))
    assert "and 441 more" in words(schema)
    assert len(page_of(schema)) < 20_000
