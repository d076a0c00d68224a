"""A strategy in words: a line with what was chosen, and a card with every setting, those left out too."""

from __future__ import annotations

from dataclasses import fields

import pytest

import fedlab_nb as fl
from fedlab_nb.vertical.shared.words import NAMES

STRATEGIES = [
    fl.vertical.LogisticRegression,
    fl.vertical.LinearRegression,
    fl.vertical.PoissonRegression,
    fl.vertical.SecureBoost,
    fl.vertical.SplitNN,
    fl.vertical.Transfer,
]


@pytest.mark.parametrize("made", STRATEGIES)
def test_a_line_says_what_was_chosen_and_gives_the_strategy_back(made):
    plain, chosen = made("bank"), made("bank", lr=0.25)
    assert repr(plain) == f"{made.__name__}(labels_at='bank')"
    assert repr(chosen) == f"{made.__name__}(labels_at='bank', lr=0.25)"
    assert eval(repr(chosen), {made.__name__: made}) == chosen


@pytest.mark.parametrize("made", STRATEGIES)
def test_the_card_has_every_setting_in_words_and_no_none(made):
    card = made("bank")._repr_html_()
    for value in ("None", "True", "False"):
        assert f">{value}<" not in card
    for field in fields(made):
        words = NAMES.get(field.name, field.name.replace("_", " "))
        assert words[:1].upper() + words[1:] in card
    for who, _ in made.learns:
        assert f"What {who} learns" in card


def test_a_card_keeps_what_a_user_called_an_owner_apart_from_its_markup():
    assert "<b>" not in fl.vertical.SecureBoost("<b>bank</b>")._repr_html_()


def test_completion_offers_what_is_public_and_nothing_else():
    assert dir(fl.vertical) == sorted(fl.vertical.__all__)
    assert all(hasattr(fl.vertical, name) for name in dir(fl.vertical))
