"""Who holds what, read off real federations before and after their first round; and the card that shows it."""

import re

import pytest

import fedlab_nb as fl
from fedlab_nb.parties.absent import absent_owner
from fedlab_nb.parties.shown.card import federation_card, holdings
from tests.cards.things import Reader, pictures_of
from tests.rounds.common import cells, declared, play
from tests.vertical.common import federation as vertical
from tests.vertical.common import owners as columns

BUDGET = fl.Budget(epsilon=8, delta=1e-3)


def by_role(federation):
    held = holdings(federation)
    others = {h.role: h for h in held if h.role != "owner"}
    return [h for h in held if h.role == "owner"], others.get("server"), others.get("key holder")


def test_before_the_first_round_nobody_has_a_key_and_it_says_so():
    owners, server, keeper = by_role(fl.Federation(cells(), encrypt=fl.CKKS()))
    assert {(h.key, h.material, h.may) for h in owners} == {("none", "no key yet", ())}
    assert (server.key, server.may) == ("none", ("add",))
    assert (keeper.key, keeper.material) == ("none", "no key before round 1")


def test_after_it_each_party_holds_what_crossed_to_it():
    federation = fl.Federation(cells(), encrypt=fl.CKKS())
    play(federation, num_rounds=1)
    owners, server, keeper = by_role(federation)
    assert {(h.key, h.may) for h in owners} == {("public key", ("seal",))}
    assert (server.key, server.material) == ("parameters", "parameters, no key")
    assert keeper.key == "secret key"
    assert keeper.material == f"secret key {federation.fingerprint[:8]}"
    # What the picture claims is what the ledger holds: the server never got the public key.
    kinds = {m.kind for m in federation.seen_by("server") if m.receiver == "server"}
    assert "parameters" in kinds
    assert "public key" not in kinds


def test_in_the_clear_there_is_no_key_holder_and_the_server_reads():
    federation = fl.Federation(cells())
    play(federation, num_rounds=1)
    owners, server, keeper = by_role(federation)
    assert keeper is None
    assert server.may == ("read",)
    assert {(h.key, h.material, h.sends) for h in owners} == {("none", "no key", "updates, readable")}


def test_an_owner_holds_its_columns_and_the_target_and_its_rows_are_words():
    federation = fl.Federation(cells())
    for held, owner in zip(holdings(federation), federation.owners, strict=False):
        assert held.party == owner.name
        assert held.columns == tuple(column.name for column in owner.schema.features)
        assert held.target == owner.target
        assert not re.search(r"\d", held.rows)


@pytest.mark.parametrize(
    ("settings", "sends"),
    [
        ({}, "updates, readable"),
        ({"budget": BUDGET}, "updates with noise, readable"),
        ({"encrypt": fl.CKKS(), "budget": BUDGET}, "updates with noise, sealed"),
        ({"encrypt": fl.CKKS(), "budget": BUDGET, "noise_seed": 1}, "updates with noise from a known seed, sealed"),
    ],
)
def test_what_leaves_an_owner_follows_from_the_settings(settings, sends):
    assert {h.sends for h in by_role(fl.Federation(cells(), **settings))[0]} == {sends}


def text_of(card):
    return " ".join(" ".join(Reader(re.sub(r"<style>.*?</style>", "", card, flags=re.DOTALL)).words).split())


def test_the_card_shows_the_picture_the_settings_and_every_column():
    federation = fl.Federation(cells(4), encrypt=fl.CKKS(), budget=BUDGET, sample_rate=0.5, dropout=0.25)
    card = federation_card(federation)
    assert card == federation._repr_html_()
    text = text_of(card)
    for words in ("epsilon 8, delta 0.001", "hides a single row: clip norm 1, noise to fit the budget", "chance 50%"):
        assert words in text
    assert "chance 25%" in text
    assert "Federation of 4 data owners" in text
    assert "simulated" in text
    assert all(column.name in text for column in federation.schema.features)
    (picture,) = pictures_of(card)
    assert all(name in picture for name in federation.names)


def test_a_rehearsal_is_marked_as_not_private():
    assert "✕ not private" in text_of(federation_card(fl.Federation(cells(2), budget=BUDGET, noise_seed=1)))
    assert "not private" not in text_of(federation_card(fl.Federation(cells(2), budget=BUDGET)))


def test_names_are_escaped_in_the_card_and_in_its_picture():
    owners = [fl.DataOwner(name, fl.data.clinics(i), target="diagnosis") for i, name in enumerate(("<b>", "West"))]
    card = federation_card(fl.Federation(owners))
    assert "<b>" not in card
    assert "&lt;b&gt;" in card
    assert "<b>" not in pictures_of(card)[0]


def test_fifty_owners_make_no_longer_a_card_than_a_reader_can_take():
    card = federation_card(fl.Federation(declared(50)))
    assert "and 45 more" in pictures_of(card)[0]
    assert "and 25 more owners" in text_of(card)
    assert len(card) < 40_000


def played(parties=2, **settings):
    fed = vertical(columns(parties=parties), **settings)
    next(fl.rounds(fed, fl.vertical.LogisticRegression("bank"), num_rounds=1))
    return fed


def test_owners_of_different_columns_exchange_and_the_server_adds_nothing_and_sends_no_model():
    for fed in (vertical(), played(), vertical(encrypt=None)):
        said = text_of(federation_card(fed)) + pictures_of(federation_card(fed))[0]
        assert not re.search(r"adds sealed|sends the model|reads every update|updates, |sealed sum", said)
        assert "The server adds nothing and sends no model here" in said
        assert {h.may for h in holdings(fed)} == {()}
    owner, server, keeper = (found[0] if isinstance(found, list) else found for found in by_role(played()))
    assert (owner.key, owner.sends) == ("public key", "numbers, sealed and readable")
    assert server.sends == "which rows match"
    assert (keeper.key, keeper.sends) == ("secret key", "random numbers")


def test_keys_of_owners_of_columns_are_those_that_crossed():
    owners, _, keeper = by_role(vertical())
    assert {(h.key, h.sends) for h in owners} == {("none", "nothing yet")}
    assert (keeper.key, keeper.sends) == ("none", "nothing yet")
    fed = vertical()
    next(fl.rounds(fed, fl.vertical.LogisticRegression("bank", key_holder=False), num_rounds=1))
    owners, _, keeper = by_role(fed)
    assert {h.key for h in owners} == {"secret key"}
    assert keeper.key == "none"


def test_owners_of_columns_without_encryption_read_what_they_are_sent():
    fed = vertical(encrypt=None)
    fl.vertical.align(fed)
    assert {h.sends for h in by_role(fed)[0]} == {"masked ids"}
    next(fl.rounds(fed, fl.vertical.SplitNN("bank", cut=2), num_rounds=1))
    owners, _, keeper = by_role(fed)
    assert keeper is None
    assert {h.sends for h in owners} == {"numbers, readable"}
    assert "whoever is sent numbers reads them" in text_of(federation_card(fed))


@pytest.mark.parametrize("parts", [cells, columns])
def test_identities_without_encryption_give_nobody_a_key(parts):
    fed = fl.Federation(parts())
    for name in fed.names:
        fed.ledger.post(1, "server", name, "identities", b"public")
    assert {h.key for h in by_role(fed)[0]} == {"none"}
    assert "no key" in text_of(federation_card(fed))


def test_owners_who_are_elsewhere_are_not_said_to_live_in_this_process():
    owners = fl.split_rows(fl.data.breast_cancer(), owners=2)
    there = [absent_owner(o.name, o.schema, o.held_out, None, o.name.encode()) for o in owners]
    here, away = (fl.Federation(those)._repr_html_() for those in (owners, there))
    assert "live in this one Python process" in here
    assert "live in this one Python process" not in away
    assert "processes of their own" in away
