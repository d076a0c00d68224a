"""Owners without a common id, each at a site of its own: the links of a notebook, and its model, bit for bit."""

import sys
from collections import Counter

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.crypto.linkage import Partner
from fedlab_nb.crypto.seal import KEY_HOLDER, SERVER
from fedlab_nb.flower.columns.federation import ColumnsFederation
from fedlab_nb.flower.columns.talk import read_delivery, read_return
from fedlab_nb.parties.columns.ids import take_fields
from fedlab_nb.parties.columns.road import alignment_of
from fedlab_nb.parties.house import House
from fedlab_nb.places import NotHere
from fedlab_nb.rounds import rounds
from fedlab_nb.vertical import JointPrediction
from fedlab_nb.vertical.align import align
from fedlab_nb.vertical.linkage import link
from tests.flower.columns.apart import DEEP, ColumnsApart, kinds, parts_apart
from tests.flower.columns.attacked import Attacked
from tests.flower.columns.foretelling import Foretelling
from tests.flower.columns.linked import BANK, SHOP, STRATEGY, Kept, parts, tables
from tests.rounds.common import events_of
from tests.vertical.linked import FIELDS, linked_people

COURSES = {
    "two owners": (STRATEGY, {}, {}),
    "a key holder": (fl.vertical.LogisticRegression(BANK), {}, {}),
    "a higher threshold": (STRATEGY, {}, {"threshold": 0.9}),
    "nothing held out": (STRATEGY, {"held_out": 0.0}, {}),
    "trees": (fl.vertical.SecureBoost(BANK, depth=2, bins=8, min_rows=5), {}, {}),
    "a split network": (fl.vertical.SplitNN(BANK), {}, {}),
}


def people_of(owner, alignment):
    """Who its linked people are, in order: those trained on, and those held out."""

    def take(rows):
        mine = alignment.of(rows)
        return [features[{BANK: "who", SHOP: "number"}[owner.name]] for features, _ in (mine.training, mine.held_out)]

    return owner._inside(take, stage="test")


def together(owners, strategy, threshold=0.85, num_rounds=2):
    """The same in one process, as a notebook does it."""
    fed = fl.Federation(owners, encrypt=DEEP)
    found = link(fed, threshold=threshold)
    return fed, found, list(rounds(fed, strategy, num_rounds=num_rounds, seed=0))


@pytest.fixture(scope="module", params=COURSES)
def course(request):
    strategy, settings, terms = COURSES[request.param]
    fed, found, here = together(parts(**settings), strategy, **terms)
    return fed, found, here, Kept(parts(**settings), strategy, terms.get("threshold", 0.85))


def test_the_same_rows_are_linked_and_held_out_at_each_owner(course):
    fed, found, _, kept = course
    assert found.rows > 50
    assert len(linked_people(fed, found)[BANK][0]) > 50
    for here, there in zip(fed.owners, kept.owners, strict=True):
        mine, theirs = people_of(here, found), people_of(there, kept.seen[here.name])
        assert all(np.array_equal(one, other) for one, other in zip(mine, theirs, strict=True))


def test_all_know_how_many_rows_are_linked_and_the_server_alone_how_sure_that_is(course):
    _, found, _, kept = course
    assert alignment_of(kept.federation).rows == found.rows
    assert alignment_of(kept.federation).doubts == found.doubts
    assert found.doubts.near > 0
    assert [kept.seen[name].rows for name in (BANK, SHOP)] == [found.rows] * 2
    assert {kept.seen[name].doubts for name in kept.seen} == {NotHere((SERVER,))}
    assert kept.seen.get(KEY_HOLDER) is None or kept.seen[KEY_HOLDER].rows == 0
    card = kept.seen[BANK]._repr_html_()
    assert "Linkage by keyed Bloom filters" in card
    assert "Barely linked" not in card


def test_what_crosses_is_what_crosses_in_a_notebook(course):
    fed, _, _, kept = course
    assert kinds(kept.federation) == kinds(fed)
    assert kept.federation.ledger.verify()
    crossed = [m.kind for m in kept.federation.ledger.messages]
    assert crossed.count("filters of rows") == 2
    assert "masked ids" not in crossed


def test_the_training_after_it_gives_the_notebooks_scores(course):
    _, _, here, kept = course
    assert kept.rounds[-1].failed is None
    assert [r.metrics for r in kept.rounds] == [r.metrics for r in here]


def test_each_owner_keeps_the_notebooks_weights():
    _, _, here = together(parts(), STRATEGY)
    with pytest.MonkeyPatch.context() as patch:
        whole = ColumnsApart.__init__
        patch.setattr(ColumnsApart, "__init__", lambda self, *facts: whole(self, *facts, linkage=0.85))
        found, *_ = parts_apart(parts(), STRATEGY)
    assert set(found) == {BANK, SHOP}
    for part in found.values():
        assert np.array_equal(part.weights, here[-1].state.weights[part.owner])


class Foretold(Foretelling):
    """The parts of ``model`` at sites of their own, which link new rows before they predict them."""

    def __init__(self, file, model, new):
        self.model_parts, self.file, self.labels_at, self.told = model.parts, file, BANK, []
        settings = {"house": House(DEEP), "num_rounds": 0, "linkage": 0.85}
        Attacked.__init__(self, JointPrediction(model.strategy), new, **settings)


def test_a_joint_prediction_of_rows_that_are_linked_is_the_notebooks(tmp_path):
    _, _, here = together(parts(), STRATEGY)
    model, new = STRATEGY.model_of(here[-1].state), fl.Federation(parts(120, 80), encrypt=DEEP)
    found = link(new)
    known = model.predict(new)
    table, federation = Foretold(tmp_path / "predictions.parquet", model, parts(120, 80)).table()
    assert len(known) == found.rows > 50
    assert table.equals(known)
    assert alignment_of(federation).doubts == found.doubts


def test_each_owner_pays_for_it_once_and_as_in_a_notebook():
    fed, paid = fl.Federation(parts(120, 80)), []

    def spent():
        return {name: Counter(event.purpose for event in events_of(fed, name)) for name in (BANK, SHOP)}

    for play in (lambda: together(parts(120, 80), STRATEGY), lambda: Kept(parts(120, 80))):
        before = spent()
        play()
        paid.append({name: now - before[name] for name, now in spent().items()})
    assert paid[0] == paid[1]
    assert [each["which rows are in common"] for each in paid[1].values()] == [1, 1]


def test_rows_are_linked_once_whatever_is_asked_for_next():
    kept = Kept(parts())
    count = len(kept.federation.ledger)
    assert align(kept.federation) is alignment_of(kept.federation)
    assert len(kept.federation.ledger) == count


def test_nobody_links_who_did_not_agree_to():
    apart = ColumnsApart(parts(), STRATEGY)
    federation, found = apart.played()
    assert "the owners have no id" in str(found[-1].failed.error)
    assert len(federation.ledger) == 0


@pytest.mark.parametrize(
    ("settings", "linkage", "words"),
    [
        ({"rows": 50, "common": 4, "share": 0.0}, 0.85, "4 rows alike by 0.85"),
        ({"rows": 50, "common": 20}, 0.52, "bits set, and the threshold is 0.52"),
        ({"rows": 50, "common": 20}, 0.4, "threshold=0.4 was asked for"),
    ],
)
def test_what_cannot_be_linked_is_refused_as_in_a_notebook_and_no_owner_is_told_any(settings, linkage, words):
    kept = Kept(parts(**settings), linkage=linkage)
    error = kept.rounds[-1].failed.error
    assert words in str(error)
    with pytest.raises(type(error)) as caught:
        link(fl.Federation(parts(**settings)), threshold=linkage)
    assert str(caught.value) == str(error)
    assert "linked rows" not in {m.kind for m in kept.federation.ledger.messages}
    assert kept.federation.ledger.verify()


def test_parties_of_another_threshold_never_meet():
    """It is part of the agreement, and so of the name of the run that all keys follow from."""
    apart, other = (ColumnsApart(parts(), STRATEGY, linkage=t) for t in (0.85, 0.9))
    assert apart.agreement.digest != other.agreement.digest
    apart.sites[SHOP]._agreement = other.agreement
    _, found = apart.played()
    assert "it is not as its sender sealed it" in str(found[-1].failed.error)


@pytest.fixture(scope="module")
def secrets():
    """A run apart, and every key and half of one that was made in it."""
    made, agree, half = [], Partner.agree, Partner.half

    def agreed(self, sealed):
        agree(self, sealed)
        made.extend([self._Partner__key, self._Partner__box])

    def halved(self, content):
        sealed = half(self, content)
        made.extend([self._Partner__half, content])
        return sealed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Partner, "agree", agreed)
        patch.setattr(Partner, "half", halved)
        kept = Kept(parts(), num_rounds=1)
    return kept, made


def test_no_name_and_no_key_is_in_what_crosses(secrets):
    kept, made = secrets
    everything = b"".join(data for _, data in kept.apart.crossed)
    assert len(made) == 8
    assert len({*made}) == 6, "both have the same key, and the same box"
    assert not [key for key in made if key in everything]
    first, second = tables()
    said = set()
    for frame, names in ((first, FIELDS), (second, ["customer", "birthday", "town"])):
        texts, _ = take_fields(frame[names], "x")[1:]
        said |= {str(v) for name in names for v in (*frame[name], *texts[name])}
    said = [text.encode() for text in said if len(text) > 5]
    assert len(said) > 500
    assert not [text for text in said if text in everything]
    filters = [m.payload.payload for m in kept.federation.ledger.messages if m.kind == "filters of rows"]
    assert all(payload in everything for payload in filters), "so a name would be found"


def test_filters_go_to_the_server_alone_and_what_opens_them_is_sealed_from_owner_to_owner(secrets):
    kept, _ = secrets
    parcels = []
    for _, data in kept.apart.crossed:
        said = read_delivery(data) if data in kept.apart.asked else read_return(data)
        parcels += said.parcels
    between = {p.facts.kind: p.body for p in parcels if SERVER not in (p.facts.sender, p.facts.to)}
    assert {"identity", "half of the filters' key", "order of linked rows"} <= between.keys()
    assert not any(body[:8] == b"FEDLAB1\n" for body in between.values())
    assert {p.facts.to for p in parcels if p.facts.kind == "filters of rows"} == {SERVER}
    theirs = [m for m in kept.federation.ledger.messages if SERVER not in (m.sender, m.receiver)]
    assert all(m.payload is None for m in theirs)


def test_nothing_is_shown_at_the_sites(capsys, monkeypatch):
    monkeypatch.setattr(sys.modules["fedlab_nb.vertical.align"], "_PATIENCE", -1.0)
    apart = ColumnsApart(parts(), STRATEGY, linkage=0.85, num_rounds=1)
    monkeypatch.setattr(ColumnsFederation, "round_begins", quietly(ColumnsFederation.round_begins, capsys))
    apart.played()
    # All of it is the comparison, which is the server's.
    assert capsys.readouterr().out.count("100 %") == 1


def quietly(inner, capsys):
    def begins(self, cohort):
        capsys.readouterr()
        inner(self, cohort)

    return begins
