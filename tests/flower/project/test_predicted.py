"""A joint prediction as a project: what is agreed on, what guide and settings say, and what is refused beforehand."""

import json
from pathlib import Path

import pytest

import fedlab_nb as fl
from fedlab_nb.cards import shown
from fedlab_nb.errors import FedLabError, SettingError
from fedlab_nb.flower import export, news
from fedlab_nb.flower.agreement import Agreement
from fedlab_nb.flower.orders.owner import Introduction
from fedlab_nb.flower.predicting.watched import WatchedPrediction
from fedlab_nb.flower.project.folder import APP
from fedlab_nb.flower.project.pages.joint.predictions import told_by
from fedlab_nb.flower.rehearsal import Rehearsal
from fedlab_nb.vertical import JointPrediction
from tests.flower.deploy.common import with_flower
from tests.vertical.common import federation
from tests.vertical.model.common import model, owners_of_new, refused

DEEP = fl.CKKS("deep")


def asked(name="logistic"):
    return JointPrediction(model(name).strategy)


@pytest.mark.parametrize("name", ["logistic", "logistic, three", "trees", "network", "transfer"])
def test_a_prediction_is_exported_by_names_alone_and_read_again(tmp_path, name):
    names, strategy = [owner.name for owner in owners_of_new(name)], model(name).strategy
    made = export(names, asked(name), tmp_path / "loans", encrypt=DEEP if strategy.multiplies else None)
    agreement = Agreement.read(tmp_path / "loans" / APP)
    assert agreement.strategy == asked(name)
    assert (agreement.digest, agreement.steps, agreement.num_rounds) == (made.digest, 1, 0)
    assert agreement.parties == (*names, *["key holder"] * (name == "logistic, three"))
    said = json.loads(agreement.text)
    assert said["prediction"] == f"JointPrediction({strategy!r})"
    assert not {"strategy", "num_rounds", "seed"} & said.keys()
    texts = {owner: (tmp_path / f"loans/sites/{owner}.toml").read_text() for owner in names}
    assert {owner for owner, text in texts.items() if "\npredictions = " in text} == {"bank"}
    assert all("\npart = " in text and "\nheld_out = 0.0\n" in text for text in texts.values())
    assert not any("\ntarget = " in text for text in texts.values())


def test_what_is_about_single_owners_columns_does_not_matter():
    fed = federation()
    answer = fl.PrivateFrame(fed).training.woe("default", event="yes", bins=3)
    binned = fl.vertical.LogisticRegression("bank", woe=answer)
    assert JointPrediction(binned) == JointPrediction(fl.vertical.LogisticRegression("bank"))


PAGES = {
    "logistic": ["7 of them, about 35 seconds", "the other owner's partial score of each row"],
    "logistic, three": ["11 of them", "the sum of the others' partial scores", "| another owner, or the key holder |"],
    "trees": ["9 to 13 of them", "which rows are together there"],
    "network": ["9 of them", "in the clear, each other owner's activations", "**exposed**"],
    "transfer": ["9 of them", "nothing: it is sealed", "an owner that multiplies by other numbers"],
}


@pytest.mark.parametrize("name", PAGES)
def test_the_guide_says_what_is_done_what_it_costs_and_who_learns_what(tmp_path, name):
    names, strategy = [owner.name for owner in owners_of_new(name)], model(name).strategy
    export(names, asked(name), tmp_path / "loans", encrypt=DEEP if strategy.multiplies else None)
    page = (tmp_path / "loans/README.md").read_text()
    for words in (*PAGES[name], "predict together on Flower", "bank gets the predictions", "two releases without"):
        assert words in page
    assert ("an owner that multiplies" in page) == (name == "transfer")
    assert ("key holder" in page) == (name == "logistic, three")
    assert ("The scheme of the settings encrypts nothing of it" in page) == (name in ("logistic", "trees"))
    assert "Whoever runs this machine" not in page, "nothing is sealed for a key holder to open"
    for words in ("Trained", "round's score", "scores of the model", "gradient"):
        assert words not in page


@pytest.mark.parametrize("name", ["logistic", "trees", "network"])
def test_scores_that_are_neither_masked_nor_sealed_are_agreed_on_without_encryption(tmp_path, name):
    names = [owner.name for owner in owners_of_new(name)]
    agreement = export(names, asked(name), tmp_path / "loans").agreement
    assert (agreement.house.encrypt, agreement.parties) == (None, tuple(names))
    page = (tmp_path / "loans/README.md").read_text()
    assert "key holder" not in page
    assert "sealed from end to end" in page


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"num_rounds": 3}, ["num_rounds=3", "once"]),
        ({"seed": 0}, ["seed=0", "Nothing of a prediction is drawn"]),
        ({"driven": True}, ["driven=True", "no rounds"]),
        ({"target": "default"}, ["target='default'", "need no label"]),
        ({"encrypt": None, "asked": "logistic, three"}, ["adds up the partial scores", "nothing is encrypted"]),
        ({"encrypt": fl.CKKS(), "asked": "logistic, three"}, ["without masks the owner of the labels would", "deep"]),
        ({"encrypt": None, "asked": "transfer"}, ["Transfer multiplies", "nothing is encrypted"]),
        ({"names": ["shop", "post"]}, ["labels_at='bank'", "shop, post"]),
        ({"protect": fl.RowLevelDP(), "budget": fl.Budget(8.0, 1e-3)}, ["different columns"]),
    ],
)
def test_what_a_prediction_does_not_have_is_not_exported(tmp_path, settings, words):
    name = settings.pop("asked", "logistic")
    names = settings.pop("names", [owner.name for owner in owners_of_new(name)])
    with pytest.raises(FedLabError) as raised:
        export(names, asked(name), tmp_path / "loans", **{"encrypt": DEEP, **settings})
    assert all((raised.value.what, raised.value.why, raised.value.do))
    assert all(word in str(raised.value) for word in words)
    assert not (tmp_path / "loans").exists()


def test_owners_with_the_same_columns_predict_nothing_together(tmp_path):
    fed = fl.Federation(fl.split_rows(fl.data.iris(), 3))
    with pytest.raises(FedLabError, match="different columns"):
        export(fed, JointPrediction(fl.vertical.SecureBoost("owner 1")), tmp_path / "loans")


@pytest.mark.parametrize("what", ["logistic", fl.FedAvg, None])
def test_a_prediction_is_made_of_a_strategy_alone(what):
    refused(SettingError, lambda: JointPrediction(what), "joint prediction", "fl.vertical")


def test_a_prediction_is_not_made_of_the_class_of_a_strategy():
    words = "the class SecureBoost", "Call it with its settings, SecureBoost(...)"
    refused(SettingError, lambda: JointPrediction(fl.vertical.SecureBoost), *words)


@pytest.mark.parametrize("encrypt", [None, DEEP])
@pytest.mark.parametrize("name", ["logistic", "logistic, three", "trees", "network", "transfer"])
def test_who_watches_is_told_what_the_guide_says_that_parties_learn(tmp_path, name, encrypt):
    fed = federation(owners_of_new(name), encrypt=DEEP if name in ("logistic, three", "transfer") else encrypt)
    agreement = export(fed, asked(name), tmp_path / "loans").agreement
    introduced = tuple(Introduction.of(owner, fed.books) for owner in fed.owners)
    told = [news.Began(agreement=agreement.digest, introductions=introduced, unknown={}), news.Ended(None)]
    watched = WatchedPrediction(agreement, iter(told), None, 7)
    said = told_by(agreement)
    assert len(said) > 3
    page, guide, text = watched._repr_html_(), (tmp_path / "loans/README.md").read_text(), str(watched.threat_card)
    for threat in said:
        assert f"| {threat.who} | {threat.could_read} |" in guide
        assert f"{threat.who}: {threat.could_read}" in text
        assert shown(threat.could_read) in page
    idle = "The scheme of the settings encrypts nothing of it"
    assert len({idle in each for each in (page, guide, text)}) == 1, "equally in all of them"
    assert (idle in text) == (encrypt is not None and name in ("logistic", "trees", "network"))
    assert "(section 3)" not in text


@with_flower
@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (None, ["that of 'bank', 'shop' is missing"]),
        ({"bank": Path("bank.safetensors")}, ["type PosixPath for 'bank'", "fl.vertical.load_part"]),
        ([Path("bank.safetensors")], ["something of type list", "fl.vertical.load_part"]),
        (fl.FedAvg, ["the class FedAvg", "fl.vertical.load_part"]),
        ({"bank": fl.vertical.VerticalModel}, ["the class VerticalModel for 'bank'", "fl.vertical.load_part"]),
        ("one", ["'shop' is missing"]),
        ("swapped", ["is missing"]),
    ],
)
def test_a_rehearsal_needs_a_part_for_each_owner(parts, words):
    known = model().parts
    given = {"one": {"bank": known["bank"]}, "swapped": {"bank": known["shop"], "shop": known["bank"]}}
    parts = given[parts] if isinstance(parts, str) else parts
    refused(SettingError, lambda: Rehearsal(federation(owners_of_new()), asked(), parts=parts), *words)


@with_flower
def test_parts_of_another_model_are_refused_before_a_rehearsal_begins():
    fed, trees = federation(owners_of_new()), asked("trees")
    words = "'bank' was trained by LogisticRegression", "prediction is by SecureBoost", "JointPrediction(run.model"
    refused(SettingError, lambda: Rehearsal(fed, trees, parts=model().parts), *words)
    parts = {name: part for name, part in model("logistic, three").parts.items() if name != "post"}
    words = "is of a model of", "'bank'", "the owners here are bank, shop"
    refused(SettingError, lambda: Rehearsal(fed, asked(), parts=parts), *words)


@with_flower
def test_a_rehearsal_of_a_training_takes_no_parts():
    fed, strategy = federation(), fl.vertical.LogisticRegression("bank")
    refused(SettingError, lambda: Rehearsal(fed, strategy, parts=model().parts), "LogisticRegression", "parts")
