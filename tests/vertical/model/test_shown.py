"""What the dashboard, the cards, the wire, the report and the doctor say of a run of owners of different columns."""

import json

import pytest

import fedlab_nb as fl
from fedlab_nb.channel import HANDSHAKE
from fedlab_nb.parties.shown.kinds import KINDS, family
from fedlab_nb.parties.shown.threats import threats
from fedlab_nb.parties.shown.trust import access
from tests.cards.things import page_of
from tests.vertical.common import federation, owners
from tests.vertical.model.common import CASES, case, model

each_case = pytest.mark.parametrize("name", CASES)
LISTENER = "whoever listens on the wire"


def table(name):
    return {row.kind: (row.owner, row.server, row.key_holder) for row in access(case(name)[0])}


def told(name):
    return {line.who: (line.could_read, line.safe) for line in threats(case(name)[0])}


def can(fed, kind, sender=None, *, last=False):
    """Who can do what with a message of a kind."""
    found = [m.number for m in fed.ledger.messages if family(m.kind) == kind and sender in (None, m.sender)]
    return {sight.who: sight.word for sight in fed.wire(found[-1 if last else 0]).sights}


@each_case
def test_every_kind_that_an_owner_sends_has_a_name(name):
    fed, *_ = case(name)
    model(name).merge(fed, consent=fed.names)
    sent = {family(m.kind).removesuffix(", opened") for m in fed.ledger.messages if m.sender in fed.names}
    kinds = sent - set(HANDSHAKE)
    assert kinds <= set(KINDS)
    assert all(KINDS[kind] in table(name) for kind in kinds)
    assert not any(kind.endswith("of one owner") for kind in table(name))


@each_case
def test_the_table_says_what_reached_whom(name):
    """The words, worked out anew from the messages."""
    fed, *_ = case(name)
    crossed = fed.ledger.messages
    for kind, row in ((kind, table(name).get(words)) for kind, words in KINDS.items()):
        mine = [m for m in crossed if family(m.kind) in (kind, f"{kind}, opened")]
        if row is None or not mine:
            continue
        readable = [m for m in mine if not m.encrypted]
        assert (row[1] == "reads") == any("server" in (m.sender, m.receiver) for m in readable)
        assert (row[2] == "reads") == any("key holder" in (m.sender, m.receiver) for m in mine)
        between = any({m.sender, m.receiver} <= set(fed.names) for m in readable)
        opens = {"sums of gradients", "sealed scores"} | ({"padded gradient"} if name == "transfer" else set())
        assert row[0] == ("reads" if between or kind in opens else "own")


def test_leaks_of_a_protocol_are_on_the_card_once_they_have_crossed():
    fresh = {line.who: line.could_read for line in threats(federation(owners()))}
    assert "nothing of another's columns" in fresh["another owner"]
    assert "the owner of the labels" not in fresh
    logistic, three, trees, network = map(told, ("logistic", "logistic, three", "trees", "network"))
    assert "the other owner's columns add to its score" in logistic["the owner of the labels"][0]
    assert logistic["the key holder alone"] == ("nothing: it opens random numbers", None)
    assert "all other owners' columns together" in three["the owner of the labels"][0]
    assert "the owner of the labels with all other owners but one" in three
    assert "which rows are together" in trees["another owner, of nodes that it divides"][0]
    assert "the key holder alone" not in trees
    assert trees["the owner with the key with an owner that multiplies"][1] is False
    assert network["the owner of the labels"][1] is False
    words = " ".join(line.could_read for line in threats(case("network")[0]))
    assert "groups rows by label" in words
    assert "multiplies" not in words
    assert "nothing of another's" not in words
    assert "it can work out labels" in " ".join(line.could_read for line in threats(case("transfer")[0]))


def test_a_part_that_was_given_away_is_on_the_card():
    fed = federation(owners())
    strategy = fl.vertical.LogisticRegression("bank")
    record = next(fl.rounds(fed, strategy, num_rounds=1))
    before = {line.who for line in threats(fed)}
    strategy.model_of(record.state).merge(fed, consent=fed.names)
    assert {line.who for line in threats(fed)} - before == {"the owner of the labels, by consent"}


def test_who_can_read_what_is_multiplied_and_what_comes_of_it():
    fed, *_ = case("logistic")
    others = {"server": "sealed", LISTENER: "sealed"}
    assert can(fed, "residual pieces", "shop") == {"shop": "own", "bank": "sealed", "key holder": "could"} | others
    assert can(fed, "padded gradient", "bank") == {"bank": "sealed", "shop": "never", "key holder": "reads"} | others
    assert can(fed, "padded gradient, opened")["key holder"] == "own"
    assert can(fed, "masked ids", "bank")["shop"] == "sealed"
    assert can(fed, "partial score") == {
        "bank": "reads", "shop": "own", "server": "never", "key holder": "never", LISTENER: "reads"
    }  # fmt: skip


def test_an_owner_that_has_the_key_reads_the_sums_and_the_key_holder_has_another_key():
    fed, *_ = case("trees")
    assert can(fed, "gradients")["key holder"] == "never"
    assert can(fed, "gradients")["bank"] == "own"
    sums = can(fed, "sums of gradients", "shop")
    assert (sums["bank"], sums["shop"], sums["post"], sums["key holder"]) == ("reads", "sealed", "never", "never")


def test_masked_scores_are_read_with_all_others_only_and_ids_by_nobody_even_without_encryption():
    assert can(case("logistic, three")[0], "partial score, masked")["bank"] == "together"
    ids = can(case("network")[0], "masked ids", "bank")
    assert {ids["shop"], ids["server"], ids[LISTENER]} == {"sealed"}


def test_every_kind_of_message_has_a_page():
    fed, *_ = case("logistic")
    newest = {message.kind: message.number for message in fed.ledger.messages}
    for number in newest.values():
        page_of(fed.wire(number))


def test_a_run_shows_as_any_other(tmp_path, capsys):
    fed = federation(owners())
    run = fl.train(fed, fl.vertical.LogisticRegression("bank"), num_rounds=2)
    assert "round 2 of 2" in capsys.readouterr().out
    assert list(run.frame()["accuracy"]) == [record.metrics["accuracy"] for record in run.history]
    assert run.model.owners == ("bank", "shop")
    assert run.save(tmp_path / "run.html").stat().st_size > 10_000
    assert "LogisticRegression over 2 owners" in repr(run)
    page = run._repr_mimebundle_()["text/html"]
    assert all(name in page for name in ("one owner&#x27;s partial scores of rows", "bank", "shop", "accuracy"))
    assert "the other owner's columns" in str(run.threat_card)
    assert "No guarantee" in str(run.budget)
    assert run.epsilon is None
    figure = json.loads(run.figure().to_json())
    assert list(figure["data"][0]["y"])[-1] == run.history[-1].metrics["accuracy"]
    report = fl.Auditor(fed).report()
    assert "partial score" in str(report)


def test_another_run_goes_on_from_a_round_with_the_same_bits():
    run = fl.train(federation(owners()), fl.vertical.LogisticRegression("bank"), num_rounds=2)
    again = run.fork(after=1, num_rounds=2)
    assert [*run.model.parts["shop"].weights] == [*again.model.parts["shop"].weights]


@pytest.mark.parametrize("name", ["logistic, three", "trees", "network"])
def test_the_doctor_plays_a_twin(name):
    fed, _, strategy = case(name)
    messages = len(fed.ledger)
    found = fl.doctor(fed, strategy, num_rounds=3, rows=60)
    assert found.planned.broken == ""
    assert found.planned.refused is None
    assert found.planned.cost.whole.sent > 1000
    assert "No guarantee" in repr(found)
    assert len(fed.ledger) == messages


def test_the_doctor_refuses_what_would_be_refused():
    fed = federation(owners())
    found = fl.doctor(fed, fl.vertical.LogisticRegression("shop"), num_rounds=3)
    assert "labels_at='shop'" in found.planned.refused.what
    linked = federation([fl.DataOwner(o.name, o.mock(60).drop(columns="customer").assign(
        name=[f"name {n} of all" for n in range(60)], born=range(60)), id=["name", "born"], target=o.target or None)
        for o in owners()])  # fmt: skip
    assert fl.doctor(linked, fl.vertical.LogisticRegression("bank"), num_rounds=3, rows=60).planned.broken == ""
