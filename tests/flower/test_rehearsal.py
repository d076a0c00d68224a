"""A dress rehearsal before and after its processes: what it says of itself, and what it refuses."""

import tempfile
from functools import partial

import pytest

import fedlab_nb as fl
from fedlab_nb.errors import SettingError
from fedlab_nb.flower.rehearsal import Rehearsal
from tests.flower.common import owners
from tests.flower.deploy.common import with_flower

pytestmark = with_flower
STRATEGY = fl.FedAvg(fl.models.logistic())


def test_one_that_was_closed_says_so_and_leaves_nothing_behind():
    lab = Rehearsal(fl.Federation(owners(), encrypt=fl.CKKS()), STRATEGY)
    assert repr(lab) == "Rehearsal(owner-1, owner-2, owner-3, key-holder: not started)"
    assert lab.folder_of(owners()[0].name).is_dir()
    lab.close()
    folder = partial(lab.folder_of, owners()[0].name)
    for act in (
        lab.run,
        lab.start,
        lab.__enter__,
        lambda: lab.attach(1),
        lambda: lab.control,
        lambda: lab.loopback,
        folder,
    ):
        with pytest.raises(SettingError, match="This rehearsal was closed"):
            act()
    assert repr(lab) == "Rehearsal(owner-1, owner-2, owner-3, key-holder: closed)"
    assert not lab._folder.exists()


def test_driven_is_yes_or_no(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(SettingError, match="driven is 'yes'"):
        Rehearsal(fl.Federation(owners()), STRATEGY, driven="yes")
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("given", [fl.FedAvg, fl.vertical.SecureBoost, fl.vertical.JointPrediction])
@pytest.mark.parametrize("parts", [None, {}])
def test_a_class_is_nothing_to_rehearse(given, parts):
    with pytest.raises(SettingError, match=f"The class {given.__name__} was given"):
        Rehearsal(fl.Federation(owners()), given, parts=parts)


@pytest.mark.parametrize("federation", [["North", "South"], owners(2), None])
def test_what_is_no_federation_is_refused_with_words(federation):
    with pytest.raises(SettingError, match="and not of a federation"):
        Rehearsal(federation, STRATEGY)
