"""What a crash, a full disk or a stranger did to a folder is found: the run goes on before it, or not at all."""

import errno
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fedlab_nb as fl
from fedlab_nb.errors import SettingError
from tests.checkpoint.common import content, facts_of, run_of
from tests.rounds.common import assert_teaches, cells, logistic

ROUNDS = 3


@pytest.fixture(scope="module")
def owners():
    return cells(2, rows=60)


@pytest.fixture(scope="module")
def whole(owners, tmp_path_factory):
    """A run that has ended: its folder, and what it came to."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run = run_of(fl.Federation(owners), logistic(), folder, ROUNDS)
    return folder, facts_of(run.history)


def copy_of(folder, place):
    shutil.rmtree(place, ignore_errors=True)
    return Path(shutil.copytree(folder, place))


DAMAGE = st.one_of(
    st.tuples(st.just("cut"), st.floats(0.0, 0.999)),
    st.tuples(st.just("flip"), st.floats(0.0, 0.999), st.integers(0, 7)),
    st.tuples(st.just("longer"), st.binary(min_size=1, max_size=4)),
    st.tuples(st.just("gone")),
)


def damaged(path, kind, where=0.0, bit=0):
    data = bytearray(path.read_bytes())
    if kind == "gone":
        path.unlink()
        return
    if kind == "longer":
        data += where
    elif kind == "cut":
        del data[int(where * len(data)) :]
    else:
        data[int(where * len(data))] ^= 1 << bit
    path.write_bytes(bytes(data))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["round-0003.json", "round-0003.safetensors"]), DAMAGE)
def test_a_damaged_newest_round_is_never_taken_for_a_whole_one(whole, tmp_path, name, damage):
    folder, facts = whole
    copy = copy_of(folder, tmp_path / "copy")
    damaged(copy / name, *damage)
    if name.endswith("json") and damage[0] == "gone":
        assert facts_of(fl.History.load(copy)) == facts[:-1]
        return
    try:
        with pytest.warns(UserWarning, match="Round 3 in .* was left out"):
            found = fl.History.load(copy)
    except pytest.fail.Exception:
        # Spaces and line ends after a record, and between its parts, say nothing: what it says was read whole.
        assert name.endswith("json")
        assert facts_of(fl.History.load(copy)) == facts
    else:
        assert facts_of(found) == facts[:-1]


@pytest.mark.parametrize("name", ["round-0003.json", "round-0003.safetensors", "round-0002.json"])
def test_the_run_goes_on_from_the_round_before_the_damage_and_says_so(whole, owners, tmp_path, name):
    folder, facts = whole
    copy = copy_of(folder, tmp_path / "copy")
    damaged(copy / name, "cut", 0.7)
    number = int(name[6:10])
    with pytest.warns(UserWarning, match=f"Round {number} in .* was left out"):
        run = run_of(fl.Federation(owners), logistic(), copy, ROUNDS)
    notes = " ".join(note.words for note in run.snapshot().notes)
    assert f"Round {number} in {copy} was left out" in notes
    assert f"goes on after round {number - 1}" in notes
    assert facts_of(run.history) == facts
    assert facts_of(fl.History.load(copy)) == facts


@pytest.mark.parametrize("name", ["round-0001.json", "round-0001.safetensors", "setup", "run.json"])
@pytest.mark.parametrize("damage", [("cut", 0.5), ("flip", 0.3, 2), ("gone",)], ids=str)
def test_where_nothing_can_be_gone_on_from_the_run_is_refused_and_nothing_is_written(
    whole, owners, tmp_path, name, damage
):
    copy = copy_of(whole[0], tmp_path / "copy")
    path = next(copy.glob("setup-*.json")) if name == "setup" else copy / name
    damaged(path, *damage)
    before = content(copy)
    with pytest.raises(SettingError) as caught:
        run_of(fl.Federation(owners), logistic(), copy, ROUNDS)
    assert_teaches(caught, copy)
    assert content(copy) == before


def test_rounds_can_be_read_also_where_the_run_they_belong_to_cannot(whole, tmp_path):
    copy = copy_of(whole[0], tmp_path / "copy")
    (copy / "run.json").write_text("{}")
    assert facts_of(fl.History.load(copy)) == whole[1]


def test_a_round_of_another_course_is_not_mixed_in(whole, owners, tmp_path):
    """Round 3 of another run is whole by itself, and does not follow round 2 of this one."""
    copy = copy_of(whole[0], tmp_path / "copy")
    run_of(fl.Federation(owners), logistic(lr=0.7), tmp_path / "other", ROUNDS)
    for ending in (".json", ".safetensors"):
        shutil.copy(tmp_path / "other" / f"round-0003{ending}", copy / f"round-0003{ending}")
    with pytest.warns(UserWarning, match="does not follow"):
        found = fl.History.load(copy)
    assert facts_of(found) == whole[1][:-1]


def test_what_was_being_written_when_the_process_died_is_in_nobodys_way(whole, owners, tmp_path):
    copy = copy_of(whole[0], tmp_path / "copy")
    for path in list(copy.glob("round-0003*")):
        path.rename(path.with_name(path.name + ".tmp"))
    run = run_of(fl.Federation(owners), logistic(), copy, ROUNDS)
    assert facts_of(run.history) == whole[1]
    assert not list(copy.glob("*.tmp"))


def test_a_full_disk_ends_the_run_with_the_rounds_so_far(owners, tmp_path, monkeypatch):
    real, calls = os.fsync, []

    def full(number):
        calls.append(number)
        if len(calls) > 8:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(number)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        run = run_of(fl.Federation(owners), logistic(), tmp_path / "run", ROUNDS)
    assert run.state == "failed"
    assert_teaches(run.error, tmp_path / "run", "No space left")
    assert [r.number for r in run.history] == [1, 2]
    again = run_of(fl.Federation(owners), logistic(), tmp_path / "run", ROUNDS)
    assert (again.state, len(again.history)) == ("finished", ROUNDS)


def test_a_folder_that_cannot_be_made_is_refused_before_anything_is_trained(owners, tmp_path):
    (tmp_path / "file").write_text("mine")
    federation = fl.Federation(owners)
    for place in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(SettingError) as caught:
            run_of(federation, logistic(), place, ROUNDS)
        assert_teaches(caught, place)
    assert len(federation.ledger) == 0
    assert run_of(federation, logistic(), tmp_path / "fine", ROUNDS).state == "finished", "it is free again"


def test_a_folder_without_a_round_has_no_history(tmp_path):
    for place in (tmp_path, tmp_path / "absent"):
        with pytest.raises(SettingError) as caught:
            fl.History.load(place)
        assert_teaches(caught, place)
