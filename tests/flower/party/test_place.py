"""The folder of a party's process: this user's alone, and gone when the last party of this machine is."""

import os
import tempfile

import pytest

from fedlab_nb.errors import SettingError
from fedlab_nb.flower.party.place import Place


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_last_party_takes_the_folder_of_all_with_it(temporary, tmp_path):
    first, second = (Place(tmp_path / "site.toml", run) for run in ("1", "2"))
    first.make()
    second.make()
    assert first.key.read_bytes() != second.key.read_bytes()
    first.clear()
    assert [*temporary.iterdir()] == [second.folder.parent]
    second.clear()
    second.clear()
    assert [*temporary.iterdir()] == []


def test_a_party_that_comes_while_the_last_one_leaves_makes_the_folder_again(tmp_path, monkeypatch):
    place, check, left = Place(tmp_path / "site.toml", "1"), Place.check, []

    def leaves(self):
        check(self)
        if self.folder.parent.exists() and not left:  # after it was made, and before there is something in it
            left.append(self.folder.parent.rmdir())

    monkeypatch.setattr(Place, "check", leaves)
    place.make()
    assert left == [None]
    assert len(place.key.read_bytes()) == 32
    place.clear()


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="looks at who may enter a folder")
def test_a_folder_that_others_may_enter_is_refused_and_left(tmp_path):
    place = Place(tmp_path / "site.toml", "1")
    place.folder.parent.mkdir()
    place.folder.parent.chmod(0o755)
    with pytest.raises(SettingError, match="is not this user's alone"):
        place.make()
    assert [*place.folder.parent.iterdir()] == []
