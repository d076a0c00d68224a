"""No secret key is in anything that crosses, whoever has it: every byte is looked at."""

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.crypto.keys import KeyHolder
from tests.flower.deploy.common import with_flower
from tests.flower.net import net, rounds_of
from tests.flower.real.memory import Needles

__all__ = ["net"]
pytestmark = with_flower


@pytest.mark.parametrize("scheme", [fl.CKKS(), fl.CKKS(keys="owners"), fl.BFV()], ids=["CKKS", "owners' key", "BFV"])
def test_what_crosses_holds_public_keys_and_no_secret_one(net, monkeypatch, scheme):
    made, crossed, inner = [], [], KeyHolder._begin

    def begin(self, scheme, session, seed, context, *more):
        inner(self, scheme, session, seed, context, *more)
        key = context.secret_key().data.data()
        words = np.array([key[i] for i in range(key.coeff_count())], dtype=np.uint64)
        made.append((seed, words, context.serialize(save_secret_key=True), self.public_key))

    monkeypatch.setattr(KeyHolder, "_begin", begin)
    run = net(encrypt=scheme, num_rounds=1)

    def noted(data, ask):
        crossed.extend([data, reply := ask(data)])
        return [reply]

    run.grid.ways = dict.fromkeys(run.parties, noted)
    rounds_of([*run.told()])
    everything = b"".join(crossed)
    assert made
    for seed, words, whole, public in made:
        assert public in everything  # the search finds what is there
        # Small words are like counts and sizes; those of 30 bits and more, two at a time, are like nothing else.
        secret = Needles([words[words > 1 << 50].tobytes()], [seed, *pairs(words), whole[-64:], whole[-4096:-4032]])
        assert secret.found_in(everything, step=1) == 0


def pairs(words):
    """Some neighbours of a key, as they lie in memory."""
    return [words[at : at + 2].tobytes() for at in range(0, words.size, words.size // 16)]
