"""What a Loopback refuses before it starts anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedlab_nb.errors import SettingError
from fedlab_nb.flower.deploy.control import Control
from fedlab_nb.flower.deploy.loopback import Loopback, Site


@pytest.mark.parametrize("names", [[], ["a", "a"], [" "], ["superlink"], ["superexec"]], ids=str)
def test_sites_need_names_of_their_own(names: list[str]) -> None:
    with pytest.raises(SettingError, match="Each site is a SuperNode of its own"):
        Loopback([Site(name) for name in names])


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(SettingError, match="is not empty"), Loopback([Site("north")], tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_superlink_is_known_by_its_certificate_only(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"There is no certificate .*none\.pem"):
        Control("127.0.0.1:8000", tmp_path / "none.pem", tmp_path / "home")
