"""Settings for Flower: read back as they were."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedlab_nb.errors import SettingError
from fedlab_nb.flower.deploy.settings import text, write_settings


def test_every_kind_of_value_comes_back(tmp_path: Path) -> None:
    settings = {
        "data": 'a\\new "folder"\\d\'or é\n\t.csv',
        "rows": -(2**63),
        "share": 1e-300,
        "on": True,
        "off": False,
        "a-b.c_d": "",
    }
    read = tomllib.loads(write_settings(tmp_path / "new" / "node.toml", settings).read_text("utf-8"))
    read["a-b.c_d"] = read.pop("a-b")["c_d"]
    assert read == settings
    assert [type(value) for value in read.values()] == [str, int, float, bool, bool, str]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_text_comes_back(value: str) -> None:
    assert tomllib.loads(f"x = {text(value)}\n") == {"x": value}


@pytest.mark.parametrize("value", [None, [1], 2**63, float("nan"), float("inf"), "\ud800"])
def test_what_flower_cannot_carry_is_refused(tmp_path: Path, value: Any) -> None:
    with pytest.raises(SettingError, match="The setting x has a value of type"):
        write_settings(tmp_path / "node.toml", {"x": value})


@pytest.mark.parametrize("name", ["", "a b", "a=b", "a..b", 'a"', "é"])
def test_names_that_flower_cannot_read_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingError, match="cannot be named"):
        write_settings(tmp_path / "node.toml", {name: 1})
