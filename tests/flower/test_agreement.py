"""What parties agree on: written for people and for programs, the same at all of them, refused when changed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

import fedlab_nb as fl
from fedlab_nb.errors import SettingError
from fedlab_nb.flower.agreement import FILE, Agreement
from fedlab_nb.parties.house import House

HOUSE = House(
    encrypt=fl.CKKS(),
    protect=fl.OwnerLevelDP(clip=0.5),
    budget=fl.Budget(3.0, 1e-3),
    sample_rate=0.5,
    dropout=0.1,
    min_owners=2,
)


def agreement(**changed) -> Agreement:
    facts = {"names": ("North", "Süd"), "house": HOUSE, "strategy": fl.FedAdam(fl.models.mlp()), "num_rounds": 4}
    return Agreement(**facts, **changed)


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    written = agreement(seed=3)
    path = written.write(tmp_path)
    read = Agreement.read(tmp_path)
    assert read == written
    assert read.digest == written.digest == hashlib.sha256(path.read_bytes()).hexdigest()


def test_people_read_in_it_what_holds(tmp_path: Path) -> None:
    said = json.loads(agreement().write(tmp_path).read_text(encoding="utf-8"))
    assert said["owners"] == ["North", "Süd"]
    assert said["num_rounds"] == 4
    for part in ("CKKS", "clip=0.5", "epsilon=3.0", "chance 0.5", "chance 0.1", "at least 2 owners"):
        assert part in said["federation"]
    plain = agreement().__class__(("A", "B"), House(noise_seed=1), fl.FedAvg(fl.models.logistic()), 1)
    assert "not encrypted: the server reads every update" in plain.words
    assert "protects nobody" in plain.words
    apart = Agreement(("A", "B"), House(), fl.vertical.SplitNN(labels_at="B"), 1)
    assert "the server neither" in apart.words
    assert "the server reads every update" not in apart.text


def test_whose_fingerprints_are_not_noted_is_said_where_something_is_sealed() -> None:
    unknown = {"North": ("Süd",), "Süd": ()}
    assert "'North' of 'Süd'" in agreement().on_first_sight(unknown)
    assert "keys of its own" in agreement().on_first_sight(unknown)
    assert agreement().on_first_sight({"North": (), "Süd": ()}) == ""
    plain = Agreement(("North", "Süd"), House(), fl.FedAvg(fl.models.logistic()), 1)
    assert plain.on_first_sight(unknown) == ""
    apart = Agreement(("North", "Süd"), House(), fl.vertical.SplitNN(labels_at="Süd"), 1)
    assert "'North' of 'Süd'" in apart.on_first_sight(unknown)


@pytest.mark.parametrize(
    ("name", "value"), [("num_rounds", 5), ("federation", "all is encrypted"), ("owners", ["North"]), ("seed", 9)]
)
def test_what_was_changed_by_hand_is_refused(tmp_path: Path, name: str, value: object) -> None:
    path = agreement().write(tmp_path)
    said = json.loads(path.read_text(encoding="utf-8"))
    said[name] = value
    path.write_text(json.dumps(said, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    with pytest.raises(SettingError, match="one thing to people and another to programs"):
        Agreement.read(tmp_path)


def test_other_code_and_what_is_no_agreement_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="cannot be read"):
        Agreement.read(tmp_path)
    path = agreement().write(tmp_path)
    said = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**said, "code": "0" * 64}), encoding="utf-8")
    with pytest.raises(SettingError, match="made by the code 000000000000"):
        Agreement.read(tmp_path)
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(SettingError, match="cannot be read"):
        Agreement.read(tmp_path)


def test_another_setting_is_another_agreement() -> None:
    digests = {agreement().digest, agreement(seed=1).digest, Agreement(("North", "Süd"), House(), None, 4).digest}
    assert len(digests) == 3


def test_modules_beside_the_agreement_are_found_by_what_is_in_them(tmp_path: Path) -> None:
    from fedlab_nb.flower import task

    source = b"def model(inputs, outputs):\n    return None\n"
    name = task.name_of(source)
    (tmp_path / task.FILE).write_bytes(source)
    model = task.loaded(name, tmp_path).model
    strategy = fl.FedAvg(model)
    made = Agreement(("A", "B"), House(), strategy, 1, modules=(name,), functions=task.defined(source, name))
    made.write(tmp_path)
    assert Agreement.read(tmp_path).strategy.model is model
    assert {path.name for path in tmp_path.iterdir()} == {task.FILE, FILE}
    (tmp_path / task.FILE).write_bytes(source + b"# more\n")
    with pytest.raises(SettingError, match="another one than was agreed on"):
        Agreement.read(tmp_path)
    (tmp_path / task.FILE).unlink()
    with pytest.raises(SettingError, match="is not there"):
        Agreement.read(tmp_path)
