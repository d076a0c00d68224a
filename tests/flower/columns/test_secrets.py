"""Every byte that crosses, and all that the server writes down: nothing of a row, and no word of a secret key."""

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.crypto import identity
from fedlab_nb.crypto.keys import KeyHolder
from fedlab_nb.crypto.seal import KEY_HOLDER, SERVER
from fedlab_nb.flower.columns.talk import read_delivery, read_return
from tests.flower.columns.apart import ColumnsApart, together
from tests.flower.real.memory import Needles
from tests.vertical.common import owners, tables, with_gaps

ROUNDS = 2
STRATEGIES = {
    "a key holder": fl.vertical.LogisticRegression("bank"),
    "none": fl.vertical.LogisticRegression("bank", key_holder=False),
    "batches": fl.vertical.LogisticRegression("bank", batch_size=50),
}


class Seen:
    """One run apart and the same in one process; all bytes that crossed, all that was made of secret keys."""

    def __init__(self, strategy, monkeypatch):
        self.keys, self.shared, begin, derived = [], [], KeyHolder._begin, identity._derived

        def noted(holder, scheme, session, seed, context, *more):
            begin(holder, scheme, session, seed, context, *more)
            key = context.secret_key().data.data()
            words = np.array([key[i] for i in range(key.coeff_count())], dtype=np.uint64)
            self.keys.append((seed, words, context.serialize(save_secret_key=True), holder.public_key))

        def kept(secret, purpose):
            found = derived(secret, purpose)
            self.shared += [secret, found]
            return found

        self.owners = owners(with_gaps(160))
        with monkeypatch.context() as patch:
            patch.setattr(KeyHolder, "_begin", noted)
            patch.setattr(identity, "_derived", kept)
            self.apart = ColumnsApart(self.owners, strategy, num_rounds=ROUNDS)
            self.federation, self.rounds = self.apart.played()
        assert self.rounds[-1].failed is None
        self.notebook, self.here = together(self.owners, strategy, ROUNDS)
        self.everything = b"".join(data for _, data in self.apart.crossed)


@pytest.fixture(scope="module", params=STRATEGIES)
def seen(request):
    patch = pytest.MonkeyPatch()
    yield Seen(STRATEGIES[request.param], patch)
    patch.undo()


def words_of(values):
    """Numbers that are like no others, each as it lies in memory."""
    numbers = np.unique(np.asarray(values, dtype=np.float64).ravel())
    return numbers[np.isfinite(numbers) & (np.abs(numbers * 64 - np.rint(numbers * 64)) > 1e-9)]


def inputs_of(seen, side):
    """Each owner's inputs (n, d) of the rows in common, as it reads them itself."""
    from fedlab_nb.parties.columns.road import alignment_of

    setup, found = seen.here[-1].state.context, alignment_of(seen.notebook)

    def read(rows, name):
        mine = found.of(rows)
        frame, target = mine.training if side == "training" else mine.held_out
        return setup.readings[name].read(frame), target

    return {o.name: o._inside(lambda rows, n=o.name: read(rows, n), stage="test") for o in seen.owners}


def of_rows(seen):
    """By what they are: columns, inputs, partial scores, residuals and weights, as numbers that can be looked for."""
    found = {f"{n}: {c}": t[c] for n, t in tables(seen.owners).items() for c in t if t[c].dtype.kind == "f"}
    for side in ("training", "held_out"):
        inputs = inputs_of(seen, side)
        y = (inputs["bank"][1] == seen.here[-1].state.context.classes[1]).to_numpy(dtype=float)
        for record in seen.here:
            weights = record.state.weights
            scores = {n: with_one(x, weights[n]) @ weights[n].reshape(-1, 1) for n, (x, _) in inputs.items()}
            whole = sum(scores.values())[:, 0]
            found |= {f"{side} {record.number}: partial score of {n}": u for n, u in scores.items()}
            found[f"{side} {record.number}: residual"] = 1 / (1 + np.exp(-whole)) - y
        found |= {f"{side}: inputs of {n}": x for n, (x, _) in inputs.items()}
    weights = {f"weights of {n} in {r.number}": w for r in seen.here for n, w in r.state.weights.items()}
    words = {name: words_of(values) for name, values in (found | weights).items()}
    return {name: values for name, values in words.items() if len(values) > 4}  # others hold whole numbers


def with_one(inputs, weights):
    return np.hstack([inputs, np.ones((len(inputs), 1))]) if len(weights) > inputs.shape[1] else inputs


def of_numbers(values):
    """Where numbers of 8 bytes begin at any byte; of 4 bytes only many at once are like nothing else."""
    return Needles([values.tobytes()], [values[:8].astype(np.float32).tobytes()])


def test_no_number_of_a_row_and_no_weight_is_in_what_crosses(seen):
    looked_for = of_rows(seen)
    assert len(looked_for) > 20
    assert sum(map(len, looked_for.values())) > 1000
    found = {name: of_numbers(values).found_in(seen.everything, step=1) for name, values in looked_for.items()}
    assert {name: times for name, times in found.items() if times} == {}


def test_the_search_finds_what_is_there(seen):
    """The scores that the server is told; and, in the notebook's ledger, the partial scores that are sealed apart."""
    told = words_of([m.payload for m in seen.federation.ledger.messages if m.kind == "score"])
    assert of_numbers(told).found_in(seen.everything, step=1) >= len(told) > 2
    sent = [m.payload for m in seen.notebook.ledger.messages if m.kind == "partial score"]
    looked_for = of_rows(seen)
    mine = np.concatenate(
        [v for name, v in looked_for.items() if "held_out" in name and "partial score of shop" in name]
    )
    assert of_numbers(mine).found_in(b"".join(each.tobytes() for each in sent), step=8) > len(mine) // 2


def test_no_id_and_no_label_of_a_row_is_in_what_crosses(seen):
    names = [i.encode() for t in tables(seen.owners).values() for i in t["customer"]]
    assert len(names) > 200
    assert not [name for name in names if name in seen.everything]
    assert Needles([], names).found_in(b" ".join(names), step=1) == len(names)
    for side in ("training", "held_out"):
        labels = inputs_of(seen, side)["bank"][1]
        y = (labels == "yes").to_numpy()
        assert 0 < y.sum() < len(y)
        forms = {kind: y.astype(kind).tobytes() for kind in ("u1", "f4", "f8", "i4", "i8")}
        forms["text"] = str(labels.tolist())[1:-1].encode()
        for kind, whole in forms.items():
            part = whole[: len(whole) // 2]
            assert len(set(part)) > 1
            assert part not in seen.everything, kind


def test_no_secret_key_and_nothing_that_follows_from_one_is_in_what_crosses(seen):
    assert seen.keys
    for seed, words, whole, public in seen.keys:
        inside = words[words > 1 << 50]
        pairs = [words[at : at + 2].tobytes() for at in range(0, words.size, words.size // 16)]
        secret = Needles([inside.tobytes()], [seed, *pairs, whole[-64:], whole[-4096:-4032]])
        assert secret.found_in(seen.everything, step=1) == 0
        assert public not in seen.everything, "it goes from party to party, sealed"
    assert len(seen.shared) > 20
    assert Needles([], seen.shared).found_in(seen.everything, step=1) == 0
    shown = {trust.public for trust in seen.apart.trusts.values()}
    assert all(public in seen.everything for public in shown), "so it would be found"


def between(federation):
    return [m for m in federation.ledger.messages if SERVER not in (m.sender, m.receiver)]


def test_the_server_writes_down_kinds_and_sizes_of_what_owners_send_each_other_and_no_more(seen):
    theirs, mine = between(seen.federation), between(seen.notebook)
    assert len(theirs) > 10
    for message in theirs:
        assert message.payload is None
        assert message.peek.head == ""
    sizes = [[(m.kind, m.nbytes * (m.kind != "public key"), m.plain_nbytes) for m in side] for side in (theirs, mine)]
    assert sizes[0] == sizes[1]
    assert any(m.peek.head for m in mine), "so it would be found"
    assert any(m.peek.head for m in seen.federation.ledger.messages)


def test_what_is_sealed_looks_like_nothing(seen):
    """Bytes of all kinds, as often as each other; what the server sends is not sealed, and does not look so."""
    sealed, clear = [], []
    for _, data in seen.apart.crossed:
        said = read_delivery(data).parcels if data in seen.apart.asked else read_return(data).parcels
        for parcel in said:
            ends = SERVER in (parcel.facts.sender, parcel.facts.to)
            (clear if ends else sealed).append(parcel.body)
    for bodies, random in ((sealed, True), (clear, False)):
        counts = np.bincount(np.frombuffer(b"".join(bodies), dtype=np.uint8), minlength=256)
        spread = counts.std() / np.sqrt(counts.mean())
        assert (spread < 2) == random, spread
    assert not any(body[:8] == b"FEDLAB1\n" for body in sealed)
    assert all(body[:8] == b"FEDLAB1\n" for body in clear)


def test_what_is_sealed_for_one_party_is_equal_at_no_two_times(seen):
    bodies = [p.body for _, data in seen.apart.crossed if data in seen.apart.asked for p in read_delivery(data).parcels]
    sealed = [body for body in bodies if body[:8] != b"FEDLAB1\n"]
    assert len(sealed) > 10
    assert len({*sealed}) == len(sealed)
    assert KEY_HOLDER not in seen.apart.agreement.names
