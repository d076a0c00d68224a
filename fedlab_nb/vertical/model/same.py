"""Whether the parts of a model belong together, as owners who never show each other their parts find out.

Each of the others tells the owner of the labels of which run its part is, and after which round it was kept; the owner
of the labels compares, and tells them its own. Nobody else learns it, and nothing of it follows from rows. An owner
that says what is not true gets the others no wrong weights, but makes predictions that mean nothing: as with columns,
nobody can check that an owner uses what it says.
"""

from __future__ import annotations

import re
from functools import partial

from fedlab_nb.errors import RoundError, SettingError
from fedlab_nb.parties import Federation
from fedlab_nb.parties.columns.road import own, send
from fedlab_nb.records import State
from fedlab_nb.vertical.shared.meeting import Setup
from fedlab_nb.vertical.shared.strategy import COURSE

ORIGIN = "where a part is from"
_SAID = re.compile(r"run ([0-9a-f]{16}), round (\d{1,16}), course (\d{1,16})")


def check_same(federation: Federation, state: State) -> None:
    """Refuse parts of different runs or rounds, before anything is worked out from rows.

    Raises:
        SettingError: naming whose parts differ, and in what.
        RoundError: an owner says something else.
    """
    setup: Setup = state.context  # type: ignore[assignment]
    leader, number = setup.labels_at, federation.turn()
    told = {
        name: send(federation, ORIGIN, partial(_said, state), number=number, sender=name, to=leader)
        for name in setup.others
    }
    for name, words in told.items():
        own(federation, ORIGIN, partial(_check, state, words, leader, name), at=leader)
    for name in setup.others:
        words = send(federation, ORIGIN, partial(_said, state), number=number, sender=leader, to=name)
        own(federation, ORIGIN, partial(_check, state, words, name, leader), at=name)


def _facts(state: State) -> tuple[str, str, str]:
    """Of which run the part is, after which round it was kept, and what tells its course from another one."""
    setup: Setup = state.context  # type: ignore[assignment]
    number, course = (str(int(each)) for each in state.memory[COURSE])
    return setup.run, number, course


def _said(state: State, _: object) -> str:
    return "run {}, round {}, course {}".format(*_facts(state))


def _check(state: State, words: object, mine: str, other: str, _: object) -> None:
    """At ``mine``: what ``other`` says is what it would say itself."""
    found = _SAID.fullmatch(words) if isinstance(words, str) else None
    if found is None:
        raise RoundError(
            other,
            ORIGIN,
            f"{other!r} did not say of which run and round its part of the model is.",
            "Parts that were not trained together make predictions that mean nothing.",
            "Use the same version everywhere; if it is the same, ask who runs that site which code it runs.",
        )
    true = _facts(state)
    if found.groups() != true:
        apart = "runs" if found[1] != true[0] else "rounds"
        raise SettingError(
            f"The part of {mine!r} and that of {other!r} are of different {apart}.",
            "Weights that were not trained together make predictions that mean nothing.",
            "No row was looked at. Let every owner take the part that it kept after the same round of the same run; a "
            "site keeps its newest alone, so where a run ended in the middle of a round, train anew.",
        )
