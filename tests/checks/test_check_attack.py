"""Right attacks pass, and a broken one is told what is wrong with it, in words."""

import random
from dataclasses import dataclass

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.checks import check_attack
from fedlab_nb.errors import SettingError
from fedlab_nb.rounds import rounds

FEDERATION = fl.Federation(fl.split_rows(fl.data.iris(), owners=3))
SEEN = []


# Right ones.


def longest_update(view):
    """Who moved the model farthest, as far as it could be read."""
    found = {m.sender: np.linalg.norm(m.payload) for m in view if m.kind == "update" and not m.encrypted}
    return max(found, key=found.get) if found else None


def guess(view, rng, tries=3):
    return [str(rng.choice([m.sender for m in view])) for _ in range(tries)] if len(view) else []


@dataclass(frozen=True)
class InvertFirstLayer:
    """x = dW[k] / db[k] for an owner of one row, made for the model that it knows."""

    inputs: int
    hidden: int

    def __call__(self, view):
        d, h = self.inputs, self.hidden
        sent = [m.payload for m in view if m.kind == "update" and not m.encrypted and m.payload.size > d * h + h]
        return [update[: d * h].reshape(h, d) / update[d * h : d * h + h, None] for update in sent]


def refuses(view):
    if not any(m.kind == "update" and not m.encrypted for m in view):
        raise SettingError("The view has no readable update.", "There is nothing to invert.", "Bring another view.")
    return len(view)


@pytest.mark.parametrize(
    "attack",
    [longest_update, guess, InvertFirstLayer(5, 2), refuses, lambda view: view.frame()],
    ids=["longest", "guess", "inversion", "refuses", "lambda"],
)
def test_right_attacks_pass(attack):
    report = check_attack(attack)
    assert str(report.faults) == "()"
    assert len(report.held) == 6
    report.raise_if_wrong()


def test_an_attack_on_another_model_is_tried_on_a_view_of_its_own():
    class NeedsHidden:
        def __call__(self, view):
            for message in view:
                if message.kind == "update" and not message.encrypted and message.sender == "Owner 2":
                    return message.payload[:36].reshape(9, 4)
            return None

    federation = fl.Federation(fl.split_rows(fl.data.iris(), owners=3))
    list(rounds(federation, fl.FedAvg(fl.models.mlp(9)), num_rounds=1))
    assert check_attack(NeedsHidden(), federation.seen_by("server")).right
    assert "cannot reshape" in check_attack(NeedsHidden()).faults[0].what


@pytest.mark.parametrize("view", ["server", FEDERATION])
def test_what_is_no_view_is_refused(view):
    with pytest.raises(SettingError, match="The view is a "):
        check_attack(longest_update, view)


# Broken ones.


def wants_more(view, owners, model):
    return len(owners)


def takes_nothing():
    return 0


def first_message(view):
    return view.messages[0].payload


def reads_sealed(view):
    return [float(m.payload[0]) for m in view if m.kind == "update"]


def writes(view):
    for message in view:
        if message.kind == "update" and not message.encrypted:
            message.payload[:] = 0.0


def edits(view):
    object.__setattr__(view, "messages", view.messages[1:])


def looks_at_owners(view):
    return [owner.name for owner in FEDERATION.owners]


def made_with(ledger):
    def attack(view):
        return len(ledger)

    return attack


@dataclass(frozen=True)
class Knows:
    victim: object

    def __call__(self, view):
        return self.victim.name


class UsesGlobally:
    def __call__(self, view):
        def inner():
            return FEDERATION.names

        return inner()


def draws_globally(view):
    return np.random.normal()  # noqa: NPY002


def seeds_globally(view):
    random.seed(0)


def draws_unseeded(view):
    return np.random.default_rng().normal()


def counts_calls(view):
    SEEN.append(1)
    return len(SEEN)


@pytest.mark.parametrize(
    ("attack", "law", "found", "do"),
    [
        (None, "is called as", "It is a NoneType, which cannot be called.", "__call__"),
        (InvertFirstLayer, "is called as", "InvertFirstLayer is a class.", "Pass an object of it"),
        (wants_more, "is called as", "asks for owners and model beside the view", "when the attack is made"),
        (takes_nothing, "is called as", "It takes no view.", "Take one view"),
        (first_message, "copes with every", "On an empty view it raised IndexError", "nothing was found"),
        (
            reads_sealed,
            "copes with every",
            "On a sealed view of the server it raised TypeError",
            "not message.encrypted",
        ),
        (writes, "is called as", "On an open view of the server it raised ValueError", "np.array(message.payload)"),
        (edits, "leaves the view", "After the call the view of the server was another one", "np.array"),
        (
            looks_at_owners,
            "nothing but the view",
            "By the name 'FEDERATION' it reaches a Federation.",
            "the view alone",
        ),
        (UsesGlobally(), "nothing but the view", "By the name 'FEDERATION' it reaches a Federation.", "view alone"),
        (made_with(FEDERATION.ledger), "nothing but the view", "By what it was made with it reaches a Ledger", "alone"),
        (Knows(FEDERATION.owners[0]), "nothing but the view", "it reaches a DataOwner", "the view alone"),
        (draws_globally, "Chance comes from rng", "the shared generator of np.random", "parameter rng"),
        (seeds_globally, "Chance comes from rng", "the shared generator of random", "parameter rng"),
        (draws_unseeded, "equal random numbers", "something else when it was called again", "parameter rng"),
        (counts_calls, "equal random numbers", "something else when it was called again", "keep nothing"),
    ],
    ids=lambda value: "" if isinstance(value, str) else getattr(value, "__name__", type(value).__name__),
)
def test_a_broken_attack_is_told_what_is_wrong(attack, law, found, do):
    report = check_attack(attack)
    faults = [fault for fault in report.faults if law in fault.law]
    assert len(faults) == 1, str(report)
    assert found in faults[0].what
    assert do in faults[0].do
    with pytest.raises(SettingError):
        report.raise_if_wrong()


def test_checking_draws_nothing_from_the_notebooks_random_numbers():
    def states():
        return np.random.get_state()[1].tobytes(), random.getstate()  # noqa: NPY002

    before = states()
    check_attack(draws_globally)
    check_attack(seeds_globally)
    assert states() == before
