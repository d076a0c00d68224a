from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import pytest

from fedlab_nb.errors import RoundError
from fedlab_nb.records import Failure, History, Round, State, Traffic


def a_round(number, *, accuracy=None, failed=None, **more):
    metrics = {} if accuracy is None else {"accuracy": accuracy}
    return Round(number, State({"server": np.zeros(2)}), ("A", "B"), metrics, failed=failed, **more)


FAILED = Failure("Clinic A", "update", RoundError("Clinic A", "update", "It failed.", "It matters.", "Do this."))
THREE = History([a_round(1, accuracy=0.5), a_round(2), a_round(3, accuracy=0.75)])


def test_a_row_counts_bytes_owners_and_seconds_over_all_kinds():
    traffic = {
        "update": Traffic(2, nbytes=1000, plain_nbytes=80, encrypted=True),
        "model": Traffic(2, nbytes=40, plain_nbytes=40, encrypted=False),
    }
    owners = {"A": {"accuracy": 0.9}, "B": {"accuracy": 0.7}, "C": {}}
    row = a_round(
        4, accuracy=0.8, traffic=traffic, owner_metrics=owners, seconds={"add": 0.25, "encrypt": 0.5}, epsilon=1.5
    ).row()
    assert row == {
        "round": 4,
        "accuracy": 0.8,
        "accuracy_lowest_owner": 0.7,
        "accuracy_highest_owner": 0.9,
        "epsilon": 1.5,
        "owners": 2,
        "bytes_sent": 1040,
        "bytes_if_plain": 120,
        "seconds": 0.75,
        "failed": "",
    }


def test_the_table_has_one_row_a_round_and_nan_where_nothing_was_released():
    frame = THREE.frame()
    assert frame.index.tolist() == [1, 2, 3]
    assert frame.index.name == "round"
    assert frame["accuracy"].tolist()[::2] == [0.5, 0.75]
    assert np.isnan(frame["accuracy"][2])


def test_a_history_without_rounds_has_an_empty_table():
    assert History().frame().empty
    assert History().frame().index.name == "round"
    assert repr(History()) == "History(no rounds yet)"


def test_a_slice_and_a_longer_history_stay_histories():
    for part in (THREE[:2], THREE[-1:], THREE[::2], THREE[5:], THREE + THREE):
        assert isinstance(part, History)
    assert [r.number for r in THREE[::2]] == [1, 3]
    assert len(THREE[:2].frame()) == 2
    assert isinstance(THREE[-1], Round)
    assert THREE[-1] is tuple(THREE)[2]


def test_a_csv_holds_the_table(tmp_path):
    path = THREE.to_csv(tmp_path / "run.csv")
    back = pd.read_csv(path, index_col="round")
    assert back["accuracy"].tolist()[::2] == [0.5, 0.75]
    assert back["bytes_sent"].tolist() == [0, 0, 0]


def test_a_failed_round_says_who_and_where_and_is_not_drawn():
    history = History([*THREE, a_round(4, failed=FAILED)])
    assert history.frame()["failed"].tolist() == ["", "", "", "Clinic A, update: It failed. It matters. Do this."]
    assert [r.number for r in history.completed] == [1, 2, 3]
    assert isinstance(history.completed, History)
    assert "Clinic A" in repr(history)


def test_a_series_has_the_rounds_that_released_the_metric():
    assert THREE.series("accuracy") == ([1, 3], [0.5, 0.75])
    assert THREE.series("rmse") == ([], [])


def test_rounds_and_states_are_frozen_and_their_text_shows_no_weights():
    with pytest.raises(FrozenInstanceError):
        THREE[0].number = 7
    state = State({"server": np.full(3, 0.123)})
    with pytest.raises(FrozenInstanceError):
        state.weights = {}
    assert repr(state) == "State(server: 3 numbers)"
    assert "0.123" not in repr(Round(1, state))


def test_the_table_shows_a_setting_only_where_it_changed_and_the_history_says_from_when():
    history = History(
        a_round(n, settings={"lr": 0.1 if n < 3 else 0.5, "dropout": 0.2}, dropped=("B",)) for n in range(1, 5)
    )
    frame = history.frame()
    assert frame["lr"].tolist() == [0.1, 0.1, 0.5, 0.5]
    assert "dropout" not in frame
    assert history.changes == ((3, "lr", 0.1, 0.5),)
    assert history[:2].changes == ()
    assert "lr" not in history[:2].frame()


def test_a_round_knows_the_spread_of_its_owners_and_its_bytes():
    owners = {"A": {"accuracy": 0.9, "loss": float("nan")}, "B": {"accuracy": 0.7}}
    flows = {"update": Traffic(2, 1000, 80, encrypted=True), "model": Traffic(2, 40, 40, encrypted=False)}
    record = a_round(1, owner_metrics=owners, traffic=flows)
    assert record.spread == {"accuracy": (0.7, 0.9)}
    assert (record.sent, record.sent_if_plain) == (1040, 120)
