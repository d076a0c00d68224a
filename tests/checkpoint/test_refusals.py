"""A folder belongs to one run: any other call is refused by what differs, and leaves it as it is."""

import re

import pytest

import fedlab_nb as fl
from fedlab_nb.checkpoint import Checkpoint
from fedlab_nb.course import Course
from fedlab_nb.errors import RuleError, SettingError
from fedlab_nb.privacy import Vault
from fedlab_nb.records.kept import Folder
from tests.checkpoint.common import content, facts_of, new_kernel, run_of
from tests.rounds.common import assert_teaches, cells, logistic
from tests.vault.common import forget_unused
from tests.vault.victims import owners as invented

ROWS = 60


def own_model(inputs, outputs):
    return fl.models.logistic()(inputs, outputs)


def wider(inputs, outputs):
    return fl.models.mlp(3)(inputs, outputs)


wider.__qualname__ = "own_model"


CALLS = {
    "strategy": ({"strategy": logistic(lr=0.2)}, "lr=0.2"),
    "kind of strategy": ({"strategy": fl.FedAvg(fl.models.mlp())}, "mlp"),
    "seed": ({"seed": 5}, "its seed is 0, and this one is 5"),
    "fewer rounds": ({"num_rounds": 2}, "planned for 3 rounds, and this one for 2"),
    "encryption": ({"encrypt": fl.CKKS()}, "encrypt=CKKS"),
    "sample rate": ({"sample_rate": 0.5}, "sample_rate=0.5"),
    "drop-out": ({"dropout": 0.5}, "dropout=0.5"),
    "least owners": ({"min_owners": 1}, "min_owners=1"),
    "other rows": ({"rows": ROWS - 1}, "other rows"),
    "held-out rows": ({"held_out": 0.3}, "other rows, or held out"),
    "columns": ({"columns": 5}, "other columns"),
    "owners": ({"owners": 3}, "its owners are Owner 1, Owner 2, and these are Owner 1, Owner 2, Owner 3"),
}


def call(folder, *, strategy=None, num_rounds=3, seed=0, owners=2, rows=ROWS, held_out=0.2, columns=6, **house):
    made = cells(owners, rows=rows, held_out=held_out, columns=columns)
    return run_of(fl.Federation(made, **house), strategy or logistic(), folder, num_rounds, seed=seed)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("refused") / "run"
    call(place)
    return place


@pytest.mark.parametrize("name", CALLS)
def test_another_run_is_told_what_differs_and_writes_nothing(folder, name):
    other, words = CALLS[name]
    before = content(folder)
    with pytest.raises(SettingError) as caught:
        call(folder, **other)
    assert_teaches(caught, folder, words)
    assert content(folder) == before
    assert call(folder).state == "finished", "the same call is welcome"


def test_no_number_of_a_row_is_in_the_folder_and_equal_rows_are_known_by_other_hashes_in_another(folder, tmp_path):
    call(tmp_path / "twin")
    one, other = (Folder(place).facts() for place in (folder, tmp_path / "twin"))
    assert one["data"] != other["data"]
    assert one["strategy"] == other["strategy"]
    frame = fl.data.breast_cancer().iloc[:ROWS, :6]
    # Short ones, such as 16.0, may stand there for something else.
    private = {text for value in frame.to_numpy().ravel() if len(text := repr(float(value))) > 5}
    assert len(private) > 100
    written = set(re.findall(r"[\d.]+", "".join(p.read_text() for p in folder.glob("*.json"))))
    assert private & written == set()


def test_more_rounds_go_on_where_the_run_ended(tmp_path):
    call(tmp_path / "run")
    longer = call(tmp_path / "run", num_rounds=5)
    assert [r.number for r in longer.history] == [1, 2, 3, 4, 5]
    assert facts_of(longer.history) == facts_of(call(tmp_path / "whole", num_rounds=5).history)
    with pytest.raises(SettingError, match="planned for 5 rounds"):
        call(tmp_path / "run", num_rounds=3)


def test_a_model_of_ones_own_is_known_by_name_and_number_of_weights(tmp_path):
    whole = call(tmp_path / "whole", strategy=fl.FedAvg(own_model), num_rounds=4)
    call(tmp_path / "run", strategy=fl.FedAvg(own_model), num_rounds=2)
    assert facts_of(call(tmp_path / "run", strategy=fl.FedAvg(own_model), num_rounds=4).history) == facts_of(
        whole.history
    )
    before = content(tmp_path / "run")
    with pytest.raises(SettingError, match="weights"):
        call(tmp_path / "run", strategy=fl.FedAvg(wider), num_rounds=5)
    assert content(tmp_path / "run") == before


def test_a_run_that_goes_on_from_another_is_known_by_the_round_that_it_follows(tmp_path):
    owners = cells(2, rows=ROWS)
    first = fl.train(fl.Federation(owners), logistic(), num_rounds=3).history
    fork = run_of(fl.Federation(owners), logistic(lr=0.5), tmp_path / "fork", 5, after=first[1])
    assert [r.number for r in fork.history] == [3, 4, 5]
    again = run_of(fl.Federation(owners), logistic(lr=0.5), tmp_path / "fork", 5, after=first[1])
    assert facts_of(again.history) == facts_of(fork.history)
    for other in (first[0], first[2], None):
        with pytest.raises(SettingError, match="went on from another round"):
            run_of(fl.Federation(owners), logistic(lr=0.5), tmp_path / "fork", 5, after=other)


@pytest.mark.parametrize("place", [3, "", True, b"x"])
def test_what_is_no_folder_is_refused(place):
    with pytest.raises(SettingError) as caught:
        call(place)
    assert_teaches(caught, "checkpoint='runs/first'")


@pytest.mark.parametrize("wrong", [{"num_rounds": 0}, {"num_rounds": "ten"}, {"seed": -1}, {"strategy": "FedAvg"}])
def test_what_cannot_work_is_refused_as_it_is_without_a_checkpoint(tmp_path, wrong):
    with pytest.raises(SettingError):
        call(tmp_path / "run", **wrong)
    assert not (tmp_path / "run").exists()


def private(vault, **settings):
    given = {"protect": fl.RowLevelDP(noise_multiplier=4.0), **settings}
    return fl.Federation(invented(7), vault=vault, **given)


def test_a_budget_that_memory_keeps_would_be_forgotten_so_a_vault_is_asked_for(tmp_path):
    for house in ({"protect": fl.RowLevelDP(noise_multiplier=4.0)}, {"budget": fl.Budget(8, 1e-3)}):
        with pytest.raises(RuleError) as caught:
            run_of(private(None, **house), logistic(), tmp_path / "run")
        assert_teaches(caught, "vault=")
    assert not (tmp_path / "run").exists()
    rehearsal = private(None, noise_seed=1)
    assert run_of(rehearsal, logistic(), tmp_path / "run").state == "finished"


def test_another_vault_or_an_older_copy_of_it_is_refused(tmp_path):
    first = run_of(private(Vault(tmp_path / "v")), logistic(), tmp_path / "run", 4)
    spent = first.history[-1].epsilon
    new_kernel()
    with pytest.raises(SettingError, match="another vault"):
        run_of(private(Vault(tmp_path / "w")), logistic(), tmp_path / "run", 4)
    new_kernel()
    forget_unused()
    again = run_of(private(Vault(tmp_path / "v")), logistic(), tmp_path / "run", 4)
    assert again.epsilon == spent
    assert facts_of(again.history) == facts_of(first.history)


def test_a_vault_that_knows_less_than_the_rounds_say_is_refused(tmp_path):
    run_of(private(Vault(tmp_path / "v")), logistic(), tmp_path / "run", 2)
    new_kernel()
    forget_unused()
    older = (tmp_path / "v").read_bytes()
    run_of(private(Vault(tmp_path / "v")), logistic(), tmp_path / "run", 4)
    new_kernel()
    forget_unused()
    for extra in tmp_path.glob("v-*"):
        extra.unlink()
    (tmp_path / "v").write_bytes(older)
    with pytest.raises(RuleError) as caught:
        run_of(private(Vault(tmp_path / "v")), logistic(), tmp_path / "run", 6)
    assert_teaches(caught, "epsilon", "vault")


def test_a_private_round_is_gone_on_from_only_where_its_cost_is_known(tmp_path):
    run_of(private(Vault(tmp_path / "v")), logistic(), tmp_path / "run", 2)
    record = fl.History.load(tmp_path / "run")[1]
    new_kernel()
    with pytest.raises(RuleError) as caught:
        fl.train(private(Vault(tmp_path / "w")), logistic(lr=0.5), num_rounds=4, after=record)
    assert_teaches(caught, "vault", f"{record.epsilon:.3f}")
    new_kernel()
    forget_unused()
    fork = fl.train(private(Vault(tmp_path / "v")), logistic(lr=0.5), num_rounds=4, after=record)
    assert fork.history[-1].epsilon > record.epsilon


def test_two_runs_of_one_budget_pay_once_for_what_is_kept(tmp_path):
    """Interrupted between two rounds and gone on with: what it costs is what the uninterrupted run costs."""
    whole = run_of(private(Vault(tmp_path / "v"), budget=fl.Budget(8, 1e-3)), logistic(), tmp_path / "whole", 4)
    new_kernel()
    stops = private(Vault(tmp_path / "w"), budget=fl.Budget(8, 1e-3))
    kept = Checkpoint(tmp_path / "run", stops, logistic(), num_rounds=4, seed=0)
    kept.claim()
    part = Course(stops, logistic(), num_rounds=4, checkpoint=kept)
    for _ in range(2):
        part.keep(part.next())
    new_kernel()
    forget_unused()
    again = private(Vault(tmp_path / "w"), budget=fl.Budget(8, 1e-3))
    run = run_of(again, logistic(), tmp_path / "run", 4)
    assert run.state == "finished"
    assert [r.epsilon for r in run.history] == [r.epsilon for r in whole.history]
