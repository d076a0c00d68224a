"""A comparison is its single runs, side by side: the same numbers, whatever is compared."""

import math
import sys

import pytest

import fedlab_nb as fl
from fedlab_nb.comparing import compare
from fedlab_nb.comparing.laps import Laps
from fedlab_nb.comparing.numbers import mean_of
from fedlab_nb.records import State
from tests.rounds.common import bits, cells, logistic, play, tumours


def two(**settings):
    return {"FedAvg": logistic(), "FedProx": fl.FedProx(fl.models.logistic(), mu=0.5), **settings}


@pytest.fixture(scope="module")
def owners():
    return cells(3)


def test_every_run_equals_the_run_by_itself(owners):
    found = compare(fl.Federation(owners, dropout=0.2), two(), num_rounds=3, seeds=[0, 4], target=0.9)
    for name, strategy in two().items():
        alone = [play(fl.Federation(owners, dropout=0.2), strategy, seed=seed) for seed in (0, 4)]
        assert [r.metrics for run in found.runs[name] for r in run] == [r.metrics for run in alone for r in run]
        assert [run[-1].cohort for run in found.runs[name]] == [run[-1].cohort for run in alone]
        assert [bits(run[-1:]) for run in found.runs[name]] == [bits(run[-1:]) for run in alone]
        row = found.frame().loc[name]
        assert row["accuracy"] == pytest.approx(mean_of([run[-1].metrics["accuracy"] for run in alone]).value)
        assert row["bytes_sent"] == sum(r.sent for run in alone for r in run) / 2
        assert (row["runs"], row["lost_rounds"]) == (2, 0)
        worst = [min(own["accuracy"] for own in run[-1].owner_metrics.values()) for run in alone]
        assert row["worst_owner"] == pytest.approx(sum(worst) / 2)


def test_equal_seeds_give_equal_comparisons_and_the_federation_stays_as_it_was(owners):
    federation = fl.Federation(owners)
    once, again = (compare(federation, logistic(), num_rounds=2, seeds=2).frame() for _ in range(2))
    columns = [name for name in once.columns if name != "seconds"]
    assert once[columns].equals(again[columns])
    assert list(once.index) == ["FedAvg"]
    assert len(federation.ledger) == 0, "every run has a ledger of its own"
    with federation.in_use():  # and it is free again
        pass


def test_only_the_last_round_keeps_its_model(owners):
    (run,) = compare(fl.Federation(owners), logistic(), num_rounds=3, seeds=1).runs["FedAvg"]
    assert [bool(r.state.weights) for r in run] == [False, False, True]
    assert play(fl.Federation(owners), num_rounds=5, after=run[-1])[-1].number == 5


def test_one_strategy_over_several_federations(owners):
    over = {"all": fl.Federation(owners), "some": fl.Federation(owners, sample_rate=0.5)}
    found = compare(over, logistic(), num_rounds=4, seeds=1)
    assert found.runs["all"][0][-1].cohort == ("Owner 1", "Owner 2", "Owner 3")
    assert found.frame().loc["some", "bytes_sent"] < found.frame().loc["all", "bytes_sent"]


def test_encryption_changes_bytes_and_no_score(owners):
    over = {"clear": fl.Federation(owners), "sealed": fl.Federation(owners, encrypt=fl.CKKS())}
    frame = compare(over, logistic(), num_rounds=2, seeds=1).frame()
    assert frame.loc["clear", "accuracy"] == frame.loc["sealed", "accuracy"]
    assert frame.loc["sealed", "bytes_sent"] > 5 * frame.loc["clear", "bytes_sent"]


def test_a_function_deals_the_rows_out_anew_for_every_seed():
    table, dealt = tumours().iloc[:200, [0, 1, 2, -1]], []

    def made(seed):
        dealt.append(seed)
        return fl.Federation(fl.split_rows(table, 3, target="diagnosis", seed=seed))

    found = compare(made, logistic(), num_rounds=2, seeds=[1, 2])
    assert set(dealt) == {1, 2}
    assert [r.metrics for r in found.runs["FedAvg"][1]] == [r.metrics for r in play(made(2), num_rounds=2, seed=2)]


def test_runs_that_are_there_are_compared_as_they_are(owners):
    first, second = (play(fl.Federation(owners), logistic(lr=lr), num_rounds=3) for lr in (0.01, 0.2))
    run = fl.train(fl.Federation(owners), logistic(lr=0.2), num_rounds=3)
    found = compare({"lr 0.01": first, "lr 0.2": [second, run]}, target=0.8, metric="auc")
    assert found.runs == {"lr 0.01": (first,), "lr 0.2": (second, run.history)}
    assert found.frame().loc["lr 0.2", "auc"] == pytest.approx(second[-1].metrics["auc"])
    assert found.frame()["lost_rounds"].tolist() == [0, 0]
    again = compare(found.runs, target=0.8, metric="auc")
    assert again.frame().equals(found.frame())


def test_a_run_that_breaks_off_is_in_the_table_and_says_why(owners):
    found = compare(fl.Federation(owners), {"wild": logistic(lr=1e5), "calm": logistic()}, num_rounds=3, seeds=1)
    row = found.frame().loc["wild"]
    assert row["lost_rounds"] > 0
    assert "wild broke off in round" in found._repr_html_()
    assert found.frame().loc["calm", "lost_rounds"] == 0
    assert found.best == "calm"


def test_interrupted_it_keeps_what_has_ended(owners, monkeypatch):
    original, begun = Laps._run, []

    def interrupted(self, line, seed, progress):
        begun.append(line.name)
        if len(begun) == 4:
            raise KeyboardInterrupt
        return original(self, line, seed, progress)

    monkeypatch.setattr(Laps, "_run", interrupted)
    federation = fl.Federation(owners)
    found = compare(federation, two(), num_rounds=1, seeds=3)
    assert {name: len(runs) for name, runs in found.runs.items()} == {"FedAvg": 2, "FedProx": 1}
    assert found.notes[-1] == "Interrupted: 3 of 6 runs had ended, and only these are shown."
    with federation.in_use():
        pass
    begun[:] = [None] * 3
    with pytest.raises(KeyboardInterrupt):
        compare(federation, two(), num_rounds=1, seeds=1)


def test_it_tells_how_far_it_is_one_line_a_run_where_no_line_can_change(owners, capsys):
    compare(fl.Federation(owners), two(), num_rounds=2, seeds=1)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[:2]] == ["FedAvg, seed 0", "FedProx, seed 0"]
    assert lines[2].startswith("2 runs compared in ")
    assert len(lines) == 3


def test_in_a_terminal_the_line_changes_in_place(owners, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    compare(fl.Federation(owners), logistic(), num_rounds=2, seeds=1)
    told = capsys.readouterr().out
    assert told.count("\n") == 1
    assert "\rFedAvg, seed 0: round 1 of 2, accuracy" in told


def test_numbers_are_compared_by_their_error_and_lower_is_better():
    slow, fast = (
        fl.History(fl.Round(n, State({}), metrics={"rmse": v}) for n, v in enumerate(values, 1))
        for values in ([9.0, 5.0, 4.0], [9.0, 3.0, 2.0])
    )
    found = compare({"slow": slow, "fast": fast}, target=4.0)
    assert (found.metric, found.best) == ("rmse", "fast")
    assert found.frame()["rounds_to_target"].tolist() == [3, 2]
    assert math.isnan(found.frame().loc["fast", "rmse_low"])
