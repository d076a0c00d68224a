"""A joint prediction the whole way but for Flower: project, sites with parts and rows, log, and who watches it."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import fedlab_nb as fl
from fedlab_nb.errors import FedLabError, SettingError
from fedlab_nb.flower import export, news
from fedlab_nb.flower.party.place import HELLO
from fedlab_nb.flower.project.__main__ import main
from fedlab_nb.flower.server import _words
from fedlab_nb.flower.watch import attach
from fedlab_nb.vertical import JointPrediction
from tests.flower.deploy.common import with_flower
from tests.flower.net import Net
from tests.flower.test_watch import Runs
from tests.vertical.common import federation
from tests.vertical.model.common import CASES, frames, model, new_people, refused

BANK, SHOP, POST = 1, 2, 3
DEEP = fl.CKKS("deep")


def asked(name="logistic"):
    return JointPrediction(model(name).strategy)


def new_owners(name="logistic", *, labels=False, last=None):
    """Owners of the new people, or but the ``last`` of them; none is held out, as settings for predictions have it."""
    return [
        fl.DataOwner(owner, table[:last], id="customer", held_out=0.0, target=CASES[name][1] if has else None)
        for owner, table in frames(name, labels=labels).items()
        for has in [labels and owner == "bank"]
    ]


@pytest.fixture
def net(monkeypatch):
    """Makes a project and its sites, and clears them away."""
    made = []

    def make(name="logistic", **facts):
        fed = federation(new_owners(name, **facts), encrypt=DEEP if model(name).strategy.multiplies else None)
        made.append(Net(fed, asked(name), monkeypatch, None, parts=model(name).parts))
        return made[-1]

    yield make
    for each in made:
        for party in each.parties.values():
            if party._site is not None:
                party._site.close()
        each.close()


def lines_of(told, run):
    return [line for i, said in enumerate(told, 1) for line in news.lines(i, said, run.agreement.allowed)]


def predictions(run):
    return pd.read_csv(run.settings[BANK].parent / "predictions.csv", index_col="customer", dtype=str)


def check_same(found, expected):
    """What a file of text says, number by number."""
    assert list(found.index) == list(expected.index)
    assert list(found.columns) == list(expected.columns)
    assert list(found["prediction"]) == list(expected["prediction"])
    for column in expected.columns[1:]:
        assert [float(each) for each in found[column]] == list(expected[column])


@with_flower
@pytest.mark.parametrize("labels", [False, True])
def test_sites_with_the_parts_of_a_model_predict_what_it_predicts(net, labels):
    run = net(labels=labels)
    *begun, end = [*run.told()]
    assert end.error is None, end.error
    expected = model().predict(**frames())
    check_same(predictions(run), expected)
    assert [said.rows for said in begun if isinstance(said, news.Predicted)] == [len(expected)]
    assert not [*run.settings[SHOP].parent.glob("predictions*")]


@with_flower
def test_rows_without_a_known_label_are_predicted_too(net):
    run = net(labels=True)
    path = run.settings[BANK].parent / "rows.parquet"
    rows = pd.read_parquet(path)
    rows.assign(default=rows["default"].where(rows.index % 3 > 0)).to_parquet(path)
    run.begin_anew(BANK)
    *_, end = run.told()
    assert end.error is None, end.error
    check_same(predictions(run), model().predict(**frames()))


@with_flower
def test_a_column_of_labels_is_not_looked_at_whatever_is_declared_of_it(net):
    run = net(labels=True)
    path = run.settings[BANK]
    path.write_text(path.read_text() + '\n[categories]\ndefault = ["no", "yes"]\n')
    run.begin_anew(BANK)
    begun, *_, end = run.told()
    assert end.error is None, end.error
    told = {who.name: {column.name for column in who.schema.features} for who in begun.introductions}
    assert told == {"bank": {"income", "age", "sector"}, "shop": {"visits", "spent", "region"}}
    check_same(predictions(run), model().predict(**frames()))


@with_flower
def test_a_vault_keeps_what_predictions_have_given_away_and_each_run_is_paid(net):
    run = net(last=-1)  # an account is kept for data, wherever in this process: these rows are in no other test
    run.change(SHOP, vault="budget.vault")
    paid = []
    for _ in range(2):
        for node in run.parties:
            run.begin_anew(node)
        *_, end = run.told()
        assert end.error is None, end.error
        entries = fl.Vault(run.settings[SHOP].parent / "budget.vault").entries()
        paid.append([str(entry.facts) for entry in entries if entry.kind == "debit"])
    assert [sum("joint prediction" in facts for facts in debits) for debits in paid] == [1, 2]
    assert [sum("which rows are in common" in facts for facts in debits) for debits in paid] == [1, 2]
    assert [len(debits) for debits in paid] == [2, 4]


def linked_owners(rows):
    """Two owners who tell people apart by name and year of birth."""
    rng = np.random.default_rng(0)
    people = new_people().iloc[rows].assign(born=1940 + np.arange(len(new_people()))[rows])
    people["name"] = ["".join(rng.choice(list("abdegiklmnorstuv"), 12)) for _ in range(len(people))]
    held = {"bank": ["income", "age", "default"], "shop": ["visits", "spent"]}
    return [
        fl.DataOwner(
            owner,
            people.sample(frac=0.9, random_state=place)[["name", "born", *mine]],
            id=["name", "born"],
            target="default" if owner == "bank" else None,
            held_out=0.0,
        )
        for place, (owner, mine) in enumerate(held.items())
    ]


@with_flower
def test_linked_rows_are_predicted_too(monkeypatch):
    strategy, trained = fl.vertical.LogisticRegression("bank"), federation(linked_owners(slice(0, 40)))
    fl.vertical.link(trained)
    *_, last = fl.rounds(trained, strategy, num_rounds=1)
    known = strategy.model_of(last.state)
    here = federation(linked_owners(slice(10, 60)))
    fl.vertical.link(here)
    expected = known.predict(here)
    run = Net(federation(linked_owners(slice(10, 60))), JointPrediction(strategy), monkeypatch, None, parts=known.parts)
    try:
        *begun, end = run.told()
        assert end.error is None, end.error
        found = pd.read_csv(run.settings[BANK].parent / "predictions.csv", index_col=["name", "born"], dtype=str)
        check_same(found, expected)
        assert [type(said).__name__ for said in begun] == ["Began", "Linked", "Predicted"]
        assert begun[-1].rows == len(expected) > 20
    finally:
        run.close()


@with_flower
def test_who_watches_learns_that_it_is_done_and_over_how_many_rows(net):
    run = net("trees")
    told = [*run.told()]
    watched = attach(run.rehearsal.project, Runs(lines_of(told, run)), 7)
    expected = model("trees").predict(**frames("trees"))
    assert watched.wait() == watched.rows == len(expected)
    assert (watched.state, watched.number) == ("finished", 7)
    assert watched.federation.ledger.verify()
    assert all(message.payload is None for message in watched.federation.ledger.messages)
    for name in watched.federation.names:
        purposes = {event.purpose for event, _ in watched.federation.account(name).counts}
        assert purposes >= {"which rows are in common", "joint prediction"}
    page = watched._repr_html_()
    assert f"{len(expected)} rows in common" in page
    guide, card = (run.rehearsal.project / "README.md").read_text(), str(watched.threat_card)
    for words in ("which way rows go at each node", "which rows are together there", "sealed from end to end"):
        assert all(words in text for text in (guide, card, page, watched.threat_card._repr_html_()))
    for name in watched.federation.names:
        assert watched._unprotected(name) == sum(watched.federation.account(name).counts.values()) > 1
    assert "probability" not in page + repr(watched) + "\n".join(map(repr, told))
    assert not [each for each in expected.index if each in page + "\n".join(map(repr, told))]


@with_flower
def test_who_watches_may_end_it_or_leave(net):
    run = net()
    told = lines_of([*run.told()], run)
    control = Runs(told[:1])
    watched = attach(run.rehearsal.project, control, 7)
    with pytest.raises(FedLabError, match="without a word"):
        watched.wait()
    watched.stop()
    assert control.stopped == [7]
    assert "failed" in repr(watched)


@with_flower
def test_a_failure_is_told_with_what_had_crossed(net):
    run = net()
    part = model().parts["shop"]
    replace(part, origin=replace(part.origin, run="f" * 16)).save(run.settings[SHOP].parent / "part.safetensors")
    run.begin_anew(SHOP)
    told = [*run.told()]
    watched = attach(run.rehearsal.project, Runs(lines_of(told, run)), 7)
    with pytest.raises(SettingError, match="different runs"):
        watched.wait()
    assert (watched.state, watched.rows) == ("failed", None)
    assert {m.kind for m in watched.federation.ledger.messages} == {"where a part is from"}
    (end,) = [said for said in told if isinstance(said, news.Predicted)]
    assert _words(end).startswith("Predicted: nothing ("), "which is not the same as no rows in common"
    assert _words(replace(end, rows=1)).startswith("Predicted: 1 row in common (")
    assert not (run.settings[BANK].parent / "predictions.csv").exists()


def with_part(node, change):
    """The site has another file for its part."""

    def changed(run):
        change(model().parts).save(run.settings[node].parent / "part.safetensors")

    return node, changed


def with_settings(node, **settings):
    return node, lambda run: run.change(node, **settings)


def with_rows(node, change):
    """The site has other rows."""

    def changed(run):
        path = run.settings[node].parent / "rows.parquet"
        change(pd.read_parquet(path)).to_parquet(path)

    return node, changed


def no_part_at_all(run):
    run.change(SHOP, part="notes.txt")
    (run.settings[SHOP].parent / "notes.txt").write_text("no part of a model")


WRONG = {
    "no part": (with_settings(SHOP, part=""), ["'shop'", "its site.toml names none"]),
    "a part that is not there": (with_settings(SHOP, part="gone.safetensors"), ["'gone.safetensors'", "no such file"]),
    "no part of a model": ((SHOP, no_part_at_all), ["notes.txt", "cannot be read"]),
    "its rows as its part": (with_settings(SHOP, part="rows.parquet"), ["data and part", "'rows.parquet'"]),
    "no column that it reads": (with_rows(SHOP, lambda rows: rows.drop(columns="spent")), ["lacks", "'spent'"]),
    "text for numbers": (with_rows(SHOP, lambda rows: rows.assign(spent="much")), ["'spent'"]),
    "another owner's": (with_part(SHOP, lambda parts: parts["bank"]), ["'shop'", "part of 'bank'"]),
    "another strategy's": (
        with_part(SHOP, lambda _: model("trees, patient").parts["shop"]),
        ["SecureBoost", "LogisticRegression"],
    ),
    "other settings'": (
        with_part(SHOP, lambda p: replace(p["shop"], strategy=replace(p["shop"].strategy, l2=0.5))),
        ["l2=0.5", "parties agreed on"],
    ),
    "of other owners": (with_part(SHOP, lambda _: model("logistic, three").parts["shop"]), ["post", "bank"]),
    "no file for them": (with_settings(BANK, predictions=""), ["'bank'", "names no file"]),
    "a file with no ending": (with_settings(BANK, predictions="found"), ["neither in .csv nor in .parquet"]),
    "a folder that is not there": (with_settings(BANK, predictions="a/b.csv"), ["a folder that is not there"]),
    "a file at another owner": (with_settings(SHOP, predictions="mine.csv"), ["'shop'", "another owner's"]),
    "its rows": (with_settings(BANK, predictions="rows.parquet"), ["data and predictions", "'rows.parquet'"]),
    "a target": (with_settings(BANK, target="default"), ["'default'", "needs no label"]),
    "a target at another owner": (with_settings(SHOP, target="spent"), ["'spent'", "labels of 'bank'"]),
}


@with_flower
@pytest.mark.parametrize("what", WRONG)
def test_a_site_that_cannot_predict_says_so_before_anything_leaves(net, what):
    (node, change), words = WRONG[what]
    run = net()
    change(run)
    run.begin_anew(node)
    hello = json.loads(run.parties[node].reply(HELLO))
    assert len(hello["refused"]) == 3
    assert all(hello["refused"])
    for word in words:
        assert word in " ".join(hello["refused"])
    (end,) = run.told()
    assert words[0] in str(end.error)


@with_flower
def test_a_file_for_predictions_means_nothing_in_a_training(tmp_path, capsys):
    export(["bank", "shop"], model().strategy, tmp_path / "loans", target="default", encrypt=DEEP)
    site = tmp_path / "site.toml"
    text = (tmp_path / "loans/sites/shop.toml").read_text().replace('id = "ID"', 'id = "customer"')
    site.write_text('predictions = "mine.csv"\n' + text)
    frames()["shop"].to_csv(tmp_path / "rows.csv", index=False)
    assert main(["check", str(site), "--app", str(tmp_path / "loans")]) == 1
    assert "agreed on no joint prediction" in capsys.readouterr().err


@with_flower
def test_the_check_of_a_site_looks_at_its_part(tmp_path, capsys):
    export(["bank", "shop"], asked(), tmp_path / "loans", encrypt=DEEP)
    site = tmp_path / "site.toml"
    site.write_text((tmp_path / "loans/sites/shop.toml").read_text().replace('id = "ID"', 'id = "customer"'))
    frames()["shop"].to_csv(tmp_path / "rows.csv", index=False)
    assert main(["check", str(site), "--app", str(tmp_path / "loans")]) == 1
    assert "there is no such file" in capsys.readouterr().err
    model().parts["shop"].save(tmp_path / "part.safetensors")
    assert main(["check", str(site), "--app", str(tmp_path / "loans")]) == 0
    said = capsys.readouterr().out
    assert "It takes part in this project's agreement." in said
    assert "Its part of the model can read them: ModelPart('shop', LogisticRegression" in said
    frames()["shop"].drop(columns="spent").to_csv(tmp_path / "rows.csv", index=False)
    assert main(["check", str(site), "--app", str(tmp_path / "loans")]) == 1
    assert "lacks the columns 'spent'" in capsys.readouterr().err


@with_flower
def test_the_check_of_a_site_looks_at_no_label(tmp_path, capsys):
    export(["bank", "shop"], asked(), tmp_path / "loans", encrypt=DEEP)
    site = tmp_path / "site.toml"
    site.write_text((tmp_path / "loans/sites/bank.toml").read_text().replace('id = "ID"', 'id = "customer"'))
    frames(labels=True)["bank"].to_csv(tmp_path / "rows.csv", index=False)
    model().parts["bank"].save(tmp_path / "part.safetensors")
    assert main(["check", str(site), "--app", str(tmp_path / "loans")]) == 0
    said = capsys.readouterr().out
    assert "income: numeric" in said
    assert "default" not in said.replace("predicts 'default'", "")


@with_flower
def test_a_rehearsal_names_the_folder_of_an_owner(net):
    lab = net().rehearsal
    assert (lab.folder_of("bank") / "site.toml").is_file()
    assert fl.vertical.load_part(lab.folder_of("shop") / "part.safetensors").owner == "shop"
    refused(SettingError, lambda: lab.folder_of("post"), "'post'", "bank, shop")
