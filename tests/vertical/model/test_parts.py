"""Parts of a model: each owner's own and nothing else, kept in files, and put together again or refused."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open

import fedlab_nb as fl
from fedlab_nb.errors import SettingError
from fedlab_nb.records.kept import taken_apart
from fedlab_nb.rounds import rounds
from fedlab_nb.vertical.model import ModelPart, VerticalModel, load_part
from tests.cards.things import page_of
from tests.vertical.common import federation, owners, tables
from tests.vertical.model.common import CASES, case, model, owners_of_new, refused

each_case = pytest.mark.parametrize("name", CASES)


@each_case
def test_a_part_is_one_owners_alone(name):
    fed, last, _ = case(name)
    whole = model(name)
    assert list(whole.parts) == list(fed.names)
    for owner, part in whole.parts.items():
        assert np.array_equal(part.weights, last.state.weights[owner])
        plain, arrays = taken_apart(part)
        said = json.dumps(plain)
        assert (part.target is not None) == (owner == "bank")
        for other in set(fed.names) - {owner}:
            assert part.reading != whole.setup.readings[other]
            for code in whole.setup.readings[other].encoding.inputs:  # what that owner learned from its rows
                for fact in ("centre", "scale"):
                    assert repr(getattr(code, fact, "no such number")) not in said
            theirs = last.state.weights[other]
            telling = theirs[np.abs(64 * theirs - np.rint(64 * theirs)) > 1e-6]  # no counts, handles or halves
            assert len(telling) > 2
            assert not any(np.isin(array, telling).any() for array in arrays.values())


def test_only_the_owner_of_the_labels_knows_the_classes():
    parts = model("classes").parts
    assert parts["bank"].target.values == ("high", "low", "middle")
    assert parts["shop"].target is None


@each_case
def test_parts_come_back_from_files_and_predict_the_same(name, tmp_path):
    whole = model(name)
    paths = [part.save(tmp_path / owner / "part.safetensors") for owner, part in whole.parts.items()]
    back = VerticalModel.of([load_part(path) for path in reversed(paths)])
    pd.testing.assert_frame_equal(back.predict(owners_of_new(name)), whole.predict(owners_of_new(name)), rtol=1e-12)
    for part, path in zip(whole.parts.values(), paths, strict=True):
        again = load_part(path)
        assert np.array_equal(again.weights, part.weights)
        assert (again.reading, again.target, again.origin, again.strategy) == (
            part.reading, part.target, part.origin, part.strategy
        )  # fmt: skip


def test_a_file_holds_numbers_and_text_and_no_code(tmp_path):
    path = model().parts["shop"].save(tmp_path / "shop.safetensors")
    with safe_open(path, framework="numpy") as file:
        assert list(file.metadata()) == ["fedlab_nb part"]
        json.loads(file.metadata()["fedlab_nb part"])
    with pytest.raises(pickle.UnpicklingError):
        pickle.loads(path.read_bytes())


def test_a_file_of_a_part_holds_no_cell_of_anybodys_rows(tmp_path):
    fed, *_ = case("logistic")
    data = model().parts["bank"].save(tmp_path / "bank.safetensors").read_bytes()
    cells = {repr(float(value)) for table in tables(fed.owners).values()
             for column in table.select_dtypes("number") for value in table[column].dropna() if value % 1}  # fmt: skip
    assert len(cells) > 300
    assert not any(cell.encode() in data for cell in cells)


def test_nobody_can_change_the_weights_of_a_part():
    with pytest.raises(ValueError, match="read-only"):
        model().parts["bank"].weights[0] = 1.0


def of_rounds(**settings):
    """A run of its own: its model after each of two rounds."""
    strategy = fl.vertical.LogisticRegression("bank", **settings)
    return [strategy.model_of(record.state) for record in rounds(federation(owners()), strategy, num_rounds=2)]


def test_parts_that_were_not_trained_together_are_refused():
    first, other = of_rounds(), of_rounds()

    def mixed(one, another):
        return lambda: VerticalModel.of([one.parts["bank"], another.parts["shop"]])

    refused(SettingError, mixed(first[0], other[0]), "'bank'", "'shop'", "different runs")
    refused(SettingError, mixed(first[0], first[1]), "'bank'", "'shop'", "different rounds: 1 and 2.", "train anew.")
    assert VerticalModel.of([first[1].parts["bank"], first[1].parts["shop"]]).owners == ("bank", "shop")


def test_parts_of_two_courses_of_a_run_are_refused():
    run = fl.train(federation(owners()), fl.vertical.LogisticRegression("bank"), num_rounds=2)
    again = run.fork(after=1, num_rounds=2)
    other = run.fork(after=1, num_rounds=2, lr=0.5)
    same = VerticalModel.of([run.model.parts["bank"], again.model.parts["shop"]])
    assert np.array_equal(same.parts["shop"].weights, run.model.parts["shop"].weights)
    refused(
        SettingError,
        lambda: VerticalModel.of([run.model.parts["bank"], other.model.parts["shop"]]),
        "different rounds, both numbered 2.",
    )


def test_parts_of_a_resumed_run_fit_those_of_the_run_that_was_not_interrupted(tmp_path):
    strategy, parts = fl.vertical.LogisticRegression("bank"), owners()
    early = fl.train(federation(parts), strategy, num_rounds=1, checkpoint=tmp_path).model
    run = fl.train(federation(parts), strategy, num_rounds=2, checkpoint=tmp_path)
    kept = strategy.model_of(fl.History.load(tmp_path)[-1].state)
    both = VerticalModel.of([kept.parts["bank"], run.model.parts["shop"]])
    pd.testing.assert_frame_equal(both.predict(federation(parts)), run.model.predict(federation(parts)))
    refused(SettingError, lambda: VerticalModel.of([kept.parts["bank"], early.parts["shop"]]), "different rounds")


def test_a_part_too_many_or_too_few_is_refused():
    parts = model("logistic, three").parts
    refused(SettingError, lambda: VerticalModel.of([parts["bank"], parts["post"]]), "'shop' is missing")
    refused(SettingError, lambda: VerticalModel.of([*parts.values(), parts["post"]]), "'post' was given twice")
    refused(SettingError, lambda: VerticalModel.of([parts["bank"], parts["bank"]]), "twice", "'shop', 'post'")
    refused(SettingError, lambda: VerticalModel.of([]), "Nothing was given")
    refused(SettingError, lambda: VerticalModel.of(["bank.safetensors"]), "str was given")


def test_files_that_hold_no_part_are_refused(tmp_path):
    parts = model().parts
    path = parts["bank"].save(tmp_path / "bank.safetensors")
    refused(SettingError, lambda: load_part(tmp_path / "shop.safetensors"), "cannot be read", "parts['bank'].save")
    refused(SettingError, lambda: load_part(fl.FedAvg), "the class FedAvg", "parts['bank'].save")
    refused(SettingError, lambda: load_part([path]), "something of type list", "parts['bank'].save")
    path.write_bytes(path.read_bytes()[:100])
    refused(SettingError, lambda: load_part(path), "cut off")
    (tmp_path / "file").write_text("")
    refused(SettingError, lambda: parts["bank"].save(tmp_path / "file" / "bank"), "cannot be written")
    whole = fl.train(fl.Federation(fl.split_rows(fl.data.iris(), 3)), fl.FedAvg(fl.models.logistic()), num_rounds=1)
    other = whole.model.save(tmp_path / "model.safetensors")
    refused(SettingError, lambda: load_part(other), "does not say how a part of a model")
    refused(SettingError, lambda: fl.models.load(parts["bank"].save(tmp_path / "p")), "does not say how a model")


def test_a_part_says_what_it_is_and_shows_no_value():
    parts = model().parts
    assert repr(parts["bank"]) == "ModelPart('bank', LogisticRegression, 7 weights, 6 inputs, predicts 'default')"
    assert repr(parts["shop"]).endswith("labels elsewhere)")
    page = page_of(parts["shop"])
    assert "the parts of bank" in page
    assert "2 rounds" in page
    assert not any(f"{value:.4g}" in page for value in parts["shop"].weights)
    assert "north" not in page
    assert isinstance(parts["shop"], ModelPart)


def test_the_card_of_a_model_says_who_holds_what():
    page = page_of(model("classes"))
    assert all(word in page for word in ("bank", "shop", "Knows the labels", "high, low, middle", "level"))
    assert repr(model()) == "VerticalModel(LogisticRegression, weights by owner: bank: 7, shop: 7, predicts 'default')"
