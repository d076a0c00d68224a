"""No message of a linear model holds a column, a label, a residual or a partial score of a row that is trained on."""

import numpy as np
import pytest
from scipy.stats import kstest

from fedlab_nb.channel import Opaque
from fedlab_nb.crypto.ciphertexts.native import wire_of
from fedlab_nb.crypto.products.polynomials import modulus
from fedlab_nb.vertical import LinearRegression, LogisticRegression, PoissonRegression
from fedlab_nb.vertical.descent.links import REACHES
from tests.vertical.descent.pooled import columns, federation, labels, played, residual, table
from tests.vertical.test_scan import leaks, private

ODDS = 1e-9
ROUNDS = 2

RUNS = {
    "two owners": ("binary", LogisticRegression("bank"), {}),
    "two owners without a key holder, in batches": (
        "binary",
        LogisticRegression("bank", batch_size=40, lr=0.5, key_holder=False),
        {},
    ),
    "three owners": ("number", LinearRegression("bank"), {"parties": 3}),
    "counts": ("count", PoissonRegression("bank", lr=0.5), {}),
}


@pytest.fixture(scope="module", params=RUNS)
def run(request):
    kind, strategy, settings = RUNS[request.param]
    fed = federation(kind, gaps=True, **settings)
    history = played(fed, strategy, ROUNDS)
    assert not any(m.payload is None for m in fed.ledger.messages), "all of it is kept, and scanned"
    return fed, strategy, history


def secrets_of_rows(fed, history, side):
    """By owner what nobody else may have of each row: inputs, labels, partial scores and residuals, each (n,)."""
    X, y, found = columns(fed, side), labels(fed, side)[:, 0], {}
    target = next(owner.target for owner in fed.owners if owner.target)
    weights = [{name: w.reshape(-1, 1) for name, w in r.state.weights.items()} for r in history]
    for name, x in X.items():
        found[name] = {f"input {place}": column for place, column in enumerate(x.T) if column.std() > 0}
        found[name] |= {f"partial score {k}": (x @ w[name])[:, 0] for k, w in enumerate(weights, 1)}
    found["bank"]["labels"] = y
    for k, w in enumerate(weights, 1):
        u = sum(X[name] @ w[name] for name in X)[:, 0]
        found["bank"][f"residual {k}"] = residual(target, u, y, straight=len(X) > 2)
    return found


def likeness(numbers, secret):
    """The largest |correlation| of any stretch of the numbers with the secret, as it is ordered, or both sorted."""
    n = len(secret)
    starts = range(0, len(numbers) - n + 1, 1 if len(numbers) < 2 * n else n)
    parts = [p for p in (numbers[start : start + n] for start in starts) if p.std() > 0]
    ordered = [np.corrcoef(p, secret)[0, 1] for p in parts]
    sorts = [np.corrcoef(np.sort(p), np.sort(sign * secret))[0, 1] for p in parts for sign in (1, -1)]
    return np.abs(ordered).max(initial=0.0), np.max(sorts, initial=0.0)


def numbers_in(message, fed):
    """All numbers that a message could be read as without a key: its own, or its bytes as words and as floats."""
    if isinstance(message.payload, np.ndarray):
        return [message.payload.astype(float).ravel()]
    if isinstance(message.payload, Opaque) and message.kind != "masked ids":
        data, size = message.payload.data, width(fed)
        found = [np.frombuffer(data[: len(data) // 8 * 8], dtype="<u8").astype(float)]
        if len(data) % size == 0:
            found.append(as_shares(data, fed))
        return found
    return []


def width(fed):
    return -(-modulus(fed.house.encrypt).bit_length() // 8)


def as_shares(data, fed):
    """Numbers modulo the modulus as parts of it, in [0, 1)."""
    size, whole = width(fed), modulus(fed.house.encrypt)
    return np.array([int.from_bytes(data[at : at + size], "little") / whole for at in range(0, len(data), size)])


def seen(fed, party):
    return [m for m in fed.seen_by(party) if m.sender != party]


def parties(fed):
    return [*fed.names, "server", "key holder"]


def test_only_these_kinds_of_message_cross_and_only_few_of_them_can_be_read(run):
    fed, strategy, _ = run
    readable = {m.kind for m in fed.ledger.messages if isinstance(m.payload, np.ndarray)}
    told = {"ids in common", "number of inputs", "numbers of inputs", "score"}
    told |= (
        {"reach of partial scores", "reach of all"} if isinstance(strategy, LogisticRegression) else {"scale of pieces"}
    )
    assert readable == told | ({"partial score"} if len(fed.names) == 2 else set())
    sizes = {m.kind: m.payload.size for m in fed.ledger.messages if isinstance(m.payload, np.ndarray)}
    assert sizes["number of inputs"] == 1
    assert sizes["numbers of inputs"] == len(fed.names)
    assert sizes.get("reach of partial scores", 1) == sizes.get("scale of pieces", 1) == 1


def test_what_owners_tell_of_how_far_scores_reach_is_one_of_few_numbers(run):
    fed, *_ = run
    for message in fed.ledger.messages:
        if message.kind in ("reach of partial scores", "reach of all"):
            assert message.payload[0] in REACHES
        if message.kind == "scale of pieces":
            assert np.log2(message.payload[0]) % 1 == 0


def test_no_message_that_a_party_sees_holds_values_of_any_column(run):
    fed, *_ = run
    whole = {f"{owner}: {name}": values for owner, mine in private(fed.owners).items() for name, values in mine.items()}
    assert len(whole) >= 2
    assert leaks(fed.ledger.messages, whole) == []


def test_no_message_is_like_anything_that_others_have_of_a_row_to_train_on(run):
    fed, _, history = run
    hidden = secrets_of_rows(fed, history, "training")
    looked_at = set()
    for party in parties(fed):
        for message in seen(fed, party):
            for numbers in numbers_in(message, fed):
                for owner in set(hidden) - {party}:
                    for name, secret in hidden[owner].items():
                        looked_at.add(message.kind)
                        as_is, sorted_ = likeness(numbers, secret)
                        assert as_is < 0.9, (party, message.kind, owner, name)
                        if not message.kind.startswith("ids") and len(np.unique(secret)) > 5:
                            assert sorted_ < 0.9999, (party, message.kind, owner, name)
    assert {"padded gradient, opened", "score"} <= looked_at


def test_of_held_out_rows_only_the_owner_of_the_labels_gets_partial_scores_and_is_said_to(run):
    fed, strategy, history = run
    hidden, found = secrets_of_rows(fed, history, "held_out"), set()
    for party in parties(fed):
        for message in seen(fed, party):
            for numbers in numbers_in(message, fed):
                for owner in set(hidden) - {party}:
                    for name, secret in hidden[owner].items():
                        as_is, _ = likeness(numbers, secret)
                        if as_is > 0.999:
                            found.add((party, message.kind, owner, name.split()[0]))
    alone = {("bank", "partial score", "shop", "partial")}
    assert found - {("bank", "partial score", "shop", "input")} == (alone if len(fed.names) == 2 else set())
    assert any(who == "the owner of the labels" and "partial scores" in what for who, what in strategy.learns)


def test_what_is_opened_is_uniformly_random_to_all_but_the_owner_whose_gradient_it_is(run):
    fed, *_ = run
    opened = [m for m in fed.ledger.messages if m.kind == "padded gradient, opened"]
    shares = np.concatenate([as_shares(m.payload.data, fed) for m in opened])
    assert len(shares) > 20
    assert kstest(shares, "uniform").pvalue > ODDS
    assert {m.receiver for m in opened} == set(fed.names)


def test_what_an_owner_multiplies_and_what_is_opened_cannot_be_told_from_random_words(run):
    fed, *_ = run
    wire = wire_of(fed.house.encrypt)
    for kind in ("residual pieces", "padded gradient"):
        sealed = [m.payload for m in fed.ledger.messages if m.kind == kind]
        assert len({len(chunk) for each in sealed for chunk in each.chunks}) == 1
        for chunk in [each.chunks[0] for each in sealed][:6]:
            for place, prime in enumerate(wire.primes):
                assert kstest(wire.unpack(chunk)[:, place].ravel() / prime, "uniform").pvalue > ODDS


def shape(fed):
    """What crossed, as it looks from outside; keys are made before anybody has looked at a row, and compressed."""
    return [(m.round, m.sender, m.receiver, m.kind, m.nbytes * (m.kind != "public key")) for m in fed.ledger.messages]


@pytest.mark.parametrize("case", RUNS)
def test_sizes_and_order_of_messages_do_not_depend_on_values(case):
    kind, strategy, settings = RUNS[case]
    frame, rng = table(gaps=True), np.random.default_rng(5)
    other = frame.assign(**{name: rng.permutation(frame[name]) for name in frame.columns.drop("customer")})
    other[["income", "spent"]] *= 1e6
    first, second = (federation(kind, frame=each, **settings) for each in (frame, other))
    for fed in (first, second):
        played(fed, strategy, 1)
    assert shape(first) == shape(second)
