"""The budget panel says whose budget ends first."""

import re
from dataclasses import replace

from fedlab_nb.view.panels.budget import budget_panel
from tests.view.fake import EVIL, fake, spending


def words(page):
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


def test_who_stops_first_is_said_in_place_of_the_rounds_that_fit_for_all():
    snapshot = replace(fake(), spending=replace(spending(7.24, left=4), first=("Clinic B", 4)))
    page = words(budget_panel(snapshot))
    assert "Clinic B stops first: 4 more rounds fit. The budget ends the run at round 18 of 20." in page
    assert "would fit" not in page


def test_enough_for_all_rounds_still_names_who_would_stop_first():
    snapshot = replace(fake(), spending=replace(spending(7.24, left=9), first=("Clinic B", 9)))
    assert "After round 20: ε 6.10. Clinic B stops first: 9 more rounds fit." in words(budget_panel(snapshot))


def test_a_name_of_an_owner_is_escaped():
    snapshot = replace(fake(), spending=replace(spending(7.24, left=4), first=(EVIL, 4)))
    page = budget_panel(snapshot)
    assert "<img" not in page
    assert "&lt;img" in page
