"""Strategies and works of the tests: here, where workers can import them."""

from dataclasses import dataclass, field
from importlib.util import find_spec

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.errors import SettingError
from fedlab_nb.records import Update

HOW = "the package distributed is not installed: pip install fedlab_nb[pool]"
needs_distributed = pytest.mark.skipif(find_spec("distributed") is None, reason=HOW)


@dataclass(frozen=True, repr=False)
class Breaking(fl.FedAvg):
    """Federated averaging at whose side owners fail in a round: with an error, or by numbers that are none."""

    errors: tuple[str, ...] = ()
    none: tuple[str, ...] = ()
    in_round: int = 1

    def local(self, at):
        sent = super().local(at)
        if at.number == self.in_round:
            if set(self.errors) & set(at.names):
                raise ValueError("Zanzibar")
            for name in set(self.none) & set(at.names):
                sent[name] = np.full_like(sent[name], np.nan)
        return sent


@dataclass(frozen=True, repr=False)
class Holding(fl.FedAvg):
    """Federated averaging that holds something which is nowhere but here."""

    held: object = field(default=None, compare=False)


def rows_of(_, rows):
    """How many training rows an owner has."""
    return Update(np.array([float(len(rows.training[0]))]), 1.0)


def refusing(name, _):
    """Two owners give no answer."""
    if name in ("Owner 2", "Owner 5"):
        raise SettingError(f"{name} was asked.", "It gives no answer to that.", "Ask for something else.")
    return "yes"


def facts(federation):
    """All that a ledger says, payloads apart: the last digest chains over every field of every message."""
    messages = federation.ledger.messages
    return [(m.round, m.sender, m.receiver, m.kind, m.nbytes, m.content) for m in messages], messages[-1].digest


def kept(history):
    """What the strategy and the owners remember at the end, by name, to the bit."""
    return {key: value.tobytes() for key, value in history[-1].state.memory.items()}
