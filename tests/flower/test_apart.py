"""Owners elsewhere: the same loop, and nothing of it differs from the notebook but where it is computed."""

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.crypto import Identity, KeyHolder
from fedlab_nb.errors import BudgetExceededError, EncryptionError, RoundError, RuleError
from fedlab_nb.flower.orders.line import Order, Ref, Request
from fedlab_nb.flower.orders.owner import Cover, Look
from tests.flower.common import Apart, House, owners, played

ONE_BY_ONE = {"executor": "sequential"}
LOGISTIC, MLP = fl.models.logistic(), fl.models.mlp(hidden=(8,))
H = fl.horizontal
STRATEGIES = {
    "FedAvg": fl.FedAvg(LOGISTIC, **ONE_BY_ONE),
    "FedSGD": fl.FedSGD(LOGISTIC, **ONE_BY_ONE),
    "FedAvgM": fl.FedAvgM(LOGISTIC, **ONE_BY_ONE),
    "FedProx": fl.FedProx(LOGISTIC, **ONE_BY_ONE),
    "FedNova": fl.FedNova(LOGISTIC, **ONE_BY_ONE),
    "FedAdam": fl.FedAdam(LOGISTIC, **ONE_BY_ONE),
    "SCAFFOLD": fl.SCAFFOLD(LOGISTIC, **ONE_BY_ONE),
    "FedDyn": H.FedDyn(LOGISTIC, **ONE_BY_ONE),
    "Ditto": H.Ditto(LOGISTIC, **ONE_BY_ONE),
    "pFedMe": H.PFedMe(LOGISTIC, **ONE_BY_ONE),
    "Per-FedAvg": H.PerFedAvg(LOGISTIC, **ONE_BY_ONE),
    "AFL": H.AFL(LOGISTIC, **ONE_BY_ONE),
    "q-FFL": H.QFFL(LOGISTIC, **ONE_BY_ONE),
    "FedPer": H.FedPer(MLP, **ONE_BY_ONE),
    "FedRep": H.FedRep(MLP, **ONE_BY_ONE),
    "MOON": H.MOON(MLP, **ONE_BY_ONE),
    "median": fl.FedAvg(LOGISTIC, aggregate=fl.aggregate.Median(), **ONE_BY_ONE),
    "norm clipping": fl.FedAvg(LOGISTIC, aggregate=fl.aggregate.NormClipping(1.0), **ONE_BY_ONE),
    "top-k": fl.FedAvg(LOGISTIC, compress=fl.compress.TopK(0.3), **ONE_BY_ONE),
    "QSGD": fl.FedAvg(LOGISTIC, compress=fl.compress.QSGD(4), **ONE_BY_ONE),
    "signSGD": fl.FedAvg(LOGISTIC, compress=fl.compress.SignSGD(0.01), **ONE_BY_ONE),
}
SCHEMES = {
    "key holder": fl.CKKS(),
    "owners' key": fl.CKKS(keys="owners"),
    "threshold": fl.CKKS(keys="threshold"),
    "BFV": fl.BFV(),
    "masks": fl.SecAgg(),
}
BOUNDS = {name: (-1000.0, 5000.0) for name in fl.data.breast_cancer().columns if name != "diagnosis"}


def messages(federation):
    return getattr(federation, "told", federation.ledger).messages


def crossings(federation):
    return [(m.round, m.sender, m.receiver, m.kind, m.encrypted) for m in messages(federation)]


def assert_the_same(strategy, house, num_rounds=3, **settings):
    here = fl.Federation(owners(**settings), **{f: getattr(house, f) for f in House.__dataclass_fields__})
    far = Apart(owners(**settings), house).federation(strategy)
    expected, got = played(here, strategy, num_rounds), played(far, strategy, num_rounds)
    for one, other in zip(expected, got, strict=True):
        assert one.failed is None
        assert other.failed is None
        assert np.array_equal(one.state.weights["server"], other.state.weights["server"])
        assert (one.metrics, one.owner_metrics, one.cohort) == (other.metrics, other.owner_metrics, other.cohort)
        assert one.epsilon == other.epsilon
        assert one.traffic.keys() == other.traffic.keys()
        assert [t.messages for t in one.traffic.values()] == [t.messages for t in other.traffic.values()]
    assert crossings(here) == crossings(far)
    assert far.ledger.verify()
    assert far.told.verify()
    return here, far


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_gives_the_same_bits_and_the_same_ledger(name):
    here, far = assert_the_same(STRATEGIES[name], House())
    assert [m.nbytes for m in messages(here)] == [m.nbytes for m in messages(far)]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_scheme_gives_the_same_bits_and_the_same_ledger(scheme):
    here, far = assert_the_same(STRATEGIES["FedAvg"], House(encrypt=SCHEMES[scheme]))
    sizes = [[m.nbytes for m in messages(f) if m.kind not in ("public key", "secret key")] for f in (here, far)]
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize("name", ["SCAFFOLD", "Ditto", "FedPer"])
def test_what_owners_keep_is_there_again_under_encryption(name):
    assert_the_same(STRATEGIES[name], House(encrypt=fl.CKKS()), num_rounds=3)


def test_rehearsed_noise_at_row_level_is_the_same():
    protect = fl.RowLevelDP(noise_multiplier=1.0)
    for encrypt in (None, fl.CKKS()):
        assert_the_same(STRATEGIES["FedAvg"], House(encrypt=encrypt, protect=protect, noise_seed=3))


def test_rehearsed_noise_at_owner_level_is_the_same():
    protect = fl.OwnerLevelDP(noise_multiplier=1.0, clip=fl.AdaptiveClip(initial=0.5))
    house = House(encrypt=fl.CKKS(), protect=protect, noise_seed=3)
    assert_the_same(STRATEGIES["FedAvg"], house, n=24, bounds=BOUNDS)


def test_owners_that_are_not_called_or_drop_out_are_the_same():
    for encrypt in (fl.SecAgg(), fl.CKKS(keys="threshold")):
        assert_the_same(STRATEGIES["FedAvg"], House(encrypt=encrypt, dropout=0.3, sample_rate=0.9), 3, n=5)


def test_questions_are_answered_the_same():
    here, far = fl.Federation(owners(), encrypt=fl.CKKS()), Apart(owners(), House(encrypt=fl.CKKS())).federation()
    said = [
        (
            frame.describe().to_csv(),
            frame["mean_radius"].histogram(bins=5).to_csv(),
            frame["mean_radius"].quantile(0.25),
        )
        for frame in map(fl.PrivateFrame, (here, far))
    ]
    assert said[0] == said[1]


def test_each_owner_debits_its_own_vault(tmp_path):
    vaults = {name: fl.Vault(tmp_path / f"{name}.vault") for name in ("Owner 1", "Owner 2", "Owner 3")}
    house = House(encrypt=fl.CKKS(), protect=fl.RowLevelDP(), budget=fl.Budget(8.0, 1e-3))
    apart = Apart(owners(first=300), house, vaults)
    far = apart.federation(STRATEGIES["FedAvg"])
    last = played(far, STRATEGIES["FedAvg"], 3)[-1]
    assert last.failed is None
    spent = [side._books.epsilon(house, 1e-3) for side in apart.sides.values()]
    assert spent == [pytest.approx(far.epsilon())] * 3
    again = Apart(owners(first=300), house, vaults).federation(STRATEGIES["FedAvg"])
    assert again.epsilon() == pytest.approx(last.epsilon)
    with pytest.raises(BudgetExceededError):
        played(again, STRATEGIES["FedAvg"], 3)


def private_bytes(owner):
    """Rows of an owner as they would stand in memory, in text, or in a file."""
    rows = owner._inside(lambda rows: rows.training[0].to_numpy(dtype=np.float64), stage="test")
    as_numbers = [part.tobytes() for row in rows[:40] for part in (row[:2], row[:2].astype(np.float32))]
    return as_numbers + [f"{row[0]!r}, {row[1]!r}".encode() for row in rows[:40].tolist()]


def crossed_and_held(encrypt):
    """All bytes that crossed in a run, and what owners held for its sums."""
    everyone, held = owners(), []
    apart = Apart(everyone, House(encrypt=encrypt))
    for name, site in apart.sites.items():
        if "protect" in site._verbs:
            inner = apart.sides[name].protect
            site._verbs["protect"] = lambda *given, inner=inner: held.append(inner(*given)) or held[-1]
    played(apart.federation(STRATEGIES["FedAvg"]), STRATEGIES["FedAvg"])
    crossed = b"".join(data for _, data in apart.crossed)
    assert not any(row in crossed for owner in everyone for row in private_bytes(owner))
    return crossed, [one.vector[:-1].tobytes() for one in held]


def test_nothing_that_crosses_is_a_row_or_under_encryption_a_single_owners_numbers():
    crossed, held = crossed_and_held(None)
    assert len(held) == 3 * 6  # ranges and moments, and two updates and scores of each
    assert all(vector in crossed for vector in held)  # the search finds what is there
    for encrypt in SCHEMES.values():
        crossed, held = crossed_and_held(encrypt)
        parts = [vector[at : at + 64] for vector in held for at in (0, len(vector) // 16 * 8)]
        assert not any(part in crossed for part in parts if len(set(part)) > 16)


def ask(apart, name, orders, wanted=()):
    """A server of one's own making sends orders."""
    far = apart.federation()
    writing, site = far._writing, apart.sites[name]
    made = [
        Order(i, what, writing.brought(name, args, named[0] if named else {}))
        for i, (what, args, *named) in enumerate(orders, 10_001)
    ]
    request = Request(0, "", tuple(made), tuple(wanted))
    return writing.reply(site.answer(writing.request(request), apart.readings[name]))


def test_a_server_cannot_have_what_is_held_for_a_sum():
    apart = Apart(owners(), House(encrypt=fl.CKKS()))
    far = apart.federation(STRATEGIES["FedAvg"])
    played(far, STRATEGIES["FedAvg"])
    work = _captured(apart)
    orders = [("compute", ["score count", work, Look(7, 2.0**20), None])]
    orders.append(("protect", [Ref(10_001), Cover(3, debits=_debits(far))]))
    for wanted in (Ref(10_001), Ref(10_002), Ref(10_002, ("vector",)), Ref(10_001, ("update",))):
        reply = ask(apart, "Owner 1", orders, [wanted])
        assert isinstance(reply.error, EncryptionError), reply
    reply = ask(apart, "Owner 1", [*orders, ("show", [Ref(10_002), Ref(10_001)])], [Ref(10_003)])
    assert isinstance(reply.error, (RuleError, EncryptionError))


def _captured(apart):
    """The work of a real round's score."""
    seen = []
    far = apart.federation(STRATEGIES["FedAvg"])
    original = type(far).gather

    def gather(self, kind, work, **terms):
        seen.append((kind, work))
        return original(self, kind, work, **terms)

    type(far).gather = gather
    try:
        played(far, STRATEGIES["FedAvg"], 1)
    finally:
        type(far).gather = original
    return next(work for kind, work in seen if kind == "score count")


def _debits(federation):
    from fedlab_nb.records import PrivacyEvent

    return (PrivacyEvent(7, "a round's score", "held-out", "row", "none"),)


def test_what_is_made_for_sums_is_never_answered_by_itself():
    apart = Apart(owners(), House())
    work = _captured(apart)
    reply = ask(apart, "Owner 1", [("answer", ["own score", work, _debits(None)])], [Ref(10_001)])
    assert isinstance(reply.error, RuleError)
    assert "asked for an answer of its own" in str(reply.error)


@pytest.mark.parametrize(
    "what", ["eval", "os.system", "__class__", "_owner", "verbs", Ref(99_999), Ref(10_001, ("__class__",))], ids=str
)
def test_a_party_takes_the_steps_of_the_protocols_and_no_others(what):
    reply = ask(Apart(owners(), House()), "Owner 1", [("introduce", []), (what, [])])
    assert isinstance(reply.error, EncryptionError)


def test_an_order_that_comes_twice_is_done_once():
    apart = Apart(owners(), House(encrypt=fl.CKKS()))
    strategy, calls = STRATEGIES["FedAvg"], []
    far = apart.federation(strategy)
    site, inner = apart.sites["Owner 1"], apart.sites["Owner 1"]._carried_out
    site._carried_out = lambda *given: calls.append(given[0].serial) or inner(*given)
    exchange = far.sites._exchange
    far.sites._exchange = lambda requests: exchange(requests) and exchange(requests)  # every message comes twice
    record = played(far, strategy, 1)[-1]
    assert record.failed is None
    assert len(calls) == len(set(calls))


def test_a_party_that_began_anew_fails_the_round_and_the_run_goes_on_after_it():
    apart = Apart(owners(), House(encrypt=fl.CKKS()))
    strategy = STRATEGIES["FedAvg"]
    far = apart.federation(strategy)
    stream = fl.rounds(far, strategy, num_rounds=4)
    first = next(stream)
    fresh = Apart(owners(), House(encrypt=fl.CKKS()), identities=apart.identities)
    apart.sites["Owner 2"], apart.readings["Owner 2"] = fresh.sites["Owner 2"], fresh.readings["Owner 2"]
    failed = next(stream)
    assert failed.failed.party == "Owner 2"
    assert "started again" in str(failed.failed.error)
    assert next(stream, None) is None
    rest = list(fl.rounds(far, strategy, num_rounds=4, after=failed))
    assert [r.failed for r in rest] == [None] * len(rest)
    assert rest[0].number == first.number + 1


@pytest.mark.parametrize("scheme", ["none", *SCHEMES])
def test_a_party_that_does_not_answer_is_left_out_where_enough_others_are_there(scheme):
    strategy = STRATEGIES["FedAvg"]
    apart = Apart(owners(4), House(encrypt=SCHEMES.get(scheme), min_owners=3))
    far = apart.federation(strategy)
    stream = fl.rounds(far, strategy, num_rounds=2)
    assert next(stream).lost == ()
    apart.lost.add("Owner 3")
    record = next(stream)
    assert record.failed is None
    assert [failure.party for failure in record.lost] == ["Owner 3"]  # it was waited for once


def test_without_min_owners_a_party_that_does_not_answer_fails_the_round():
    strategy = STRATEGIES["FedAvg"]
    apart = Apart(owners(), House(encrypt=fl.CKKS()))
    stream = fl.rounds(apart.federation(strategy), strategy, num_rounds=2)
    next(stream)
    apart.lost.add("Owner 3")
    record = next(stream)
    assert isinstance(record.failed.error, RoundError)
    assert record.failed.party == "Owner 3"
    assert "nothing back in time" in str(record.failed.error)


def refused(apart, name, orders, wanted=()):
    """Why a party does not do what a server of one's own making orders."""
    reply = ask(apart, name, orders, wanted)
    assert isinstance(reply.error, EncryptionError | RuleError), reply
    return str(reply.error)


def test_a_party_knows_the_parties_of_its_agreement_and_nobody_else():
    apart = Apart(owners(), House(encrypt=fl.CKKS()))
    assert "takes no part in this run" in refused(apart, "key holder", [("know", [{"mallory": Identity().public}])])
    assert "was shown" in refused(apart, "Owner 1", [("know", [{"Owner 2": Identity().public}])])


def test_a_key_that_its_party_did_not_sign_is_not_sealed_with():
    apart = Apart(owners(), House(encrypt=fl.CKKS()))
    mine = KeyHolder(fl.CKKS(), session="0" * 32)
    made = ("Sealer", ["Owner 1"])
    take = (Ref(10_001, ("take_key",)), [mine.public_key])
    assert "did not sign" in refused(apart, "Owner 1", [_named(made, session="0" * 32), take])
    meet = (Ref(10_001, ("mailbox", "meet")), [{"Owner 2": Identity().public}])
    assert "did not sign" in refused(apart, "Owner 1", [_named(made, session="0" * 32), meet])


def _named(order, **named):
    return (*order, named)


@pytest.mark.parametrize(
    ("house", "what", "args", "named"),
    [
        (House(encrypt=fl.SecAgg()), "Identity", [b"s" * 32], {}),  # a secret that the server chose
        (House(encrypt=fl.CKKS()), "Identity", [], {}),  # no masks were agreed on
        (House(encrypt=fl.CKKS()), "KeyHolder", [fl.CKKS()], {"session": "0" * 32}),  # the key holder has the key
        (House(encrypt=fl.CKKS()), "Sealer", ["Owner 1"], {"session": "0" * 32, "own_tags": True}),
        (House(encrypt=fl.CKKS()), "Sealer", ["Owner 2"], {"session": "0" * 32}),
        (House(), "Sealer", ["Owner 1"], {"session": "0" * 32}),
    ],
    ids=["seed", "masks", "a key of its own", "tags of its own", "another name", "nothing agreed on"],
)
def test_nothing_is_made_but_what_was_agreed_on(house, what, args, named):
    assert "not agreed on" in refused(Apart(owners(), house), "Owner 1", [(what, args, named)])


def test_the_key_holder_gives_its_key_to_nobody():
    apart = Apart(owners(), House(encrypt=fl.CKKS()))
    made = ("KeyHolder", [fl.CKKS()], {"session": "0" * 32})
    wrap = (Ref(10_001, ("wrapped_for",)), ["Owner 1", Identity().public])
    assert "'wrapped_for' of KeyHolder" in refused(apart, "key holder", [made, wrap])


def test_the_server_is_no_second_owner_in_a_sum():
    apart = Apart(owners(), House(encrypt=fl.SecAgg()))
    orders = [
        ("Identity", []),
        ("MaskingOwner", ["Owner 1", Ref(10_001)], {"session": b"s", "context": "c"}),
        (Ref(10_002, ("share",)), [{}, {"Owner 1": b"", "server": Identity().public}, 2]),
    ]
    assert refused(apart, "Owner 1", orders)


def test_under_a_mechanism_nothing_leaves_without_noise():
    house = House(encrypt=fl.CKKS(), protect=fl.RowLevelDP(noise_multiplier=1.0), budget=fl.Budget(8.0, 1e-3))
    work = _captured(Apart(owners(), House(encrypt=fl.CKKS())))
    apart = Apart(owners(first=200), house)
    compute = ("compute", ["score count", work, Look(7, 2.0**20), None])
    assert "without noise" in refused(
        apart, "Owner 1", [compute, ("protect", [Ref(10_001), Cover(3, debits=_debits(None))])]
    )
    assert "9 owners take part" in refused(apart, "Owner 1", [compute, ("protect", [Ref(10_001), Cover(3, 6)])])


def test_an_app_that_trains_names_no_question():
    from fedlab_nb.flower.codec import HELPERS, TRAINING, TRAINING_HELPERS, WORK

    assert TRAINING < WORK
    assert TRAINING_HELPERS < HELPERS
    assert not [name for name in (*TRAINING, *TRAINING_HELPERS) if "analytics" in name[0]]
