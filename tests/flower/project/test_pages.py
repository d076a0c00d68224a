"""The guide says what the settings mean, and no more; the sites' files say it to programs."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pandas as pd
import pytest

import fedlab_nb as fl
from fedlab_nb.flower.grid.playing import way_to_play
from fedlab_nb.flower.project import export
from fedlab_nb.parties.house import House
from fedlab_nb.parties.shown.threats import threats
from tests.flower.common import Apart
from tests.flower.project.common import BOUNDS, DECLARED, NAMES, federation, owners

AVERAGE = fl.FedAvg(fl.models.logistic())


def guide(place: Path, parties, strategy=AVERAGE, **settings) -> str:
    return (export(parties, strategy, place / "lab", **settings).folder / "README.md").read_text()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"encrypt": fl.CKKS()},
        {"encrypt": fl.CKKS(keys="threshold")},
        {"encrypt": fl.SecAgg()},
        {"encrypt": fl.BFV(), "protect": fl.OwnerLevelDP(clip=1.0, noise_multiplier=1.0)},
    ],
    ids=["clear", "authority", "threshold", "masks", "owner level"],
)
def test_who_can_read_what_is_what_the_threat_card_says(tmp_path: Path, settings: dict) -> None:
    # Rows of which nothing was released before: what they gave away in this process is no concern of the sites.
    rows = fl.data.breast_cancer().tail(100)[[*BOUNDS, "diagnosis"]]
    here = fl.Federation([fl.DataOwner(name, rows.iloc[i::2], **DECLARED) for i, name in enumerate(NAMES)], **settings)
    text = guide(tmp_path, here)
    known = [threat for threat in threats(here) if "Python process" not in threat.who]
    assert len(known) >= 3
    assert all(f"| {threat.who} | {threat.could_read} |" in text for threat in known)
    assert "Python process" not in text
    holder = here.house.hiding == "authority"
    assert ("| key holder |" in text) == holder == ("## 4. The key holder" in text) == ("key_holder.toml" in text)


def test_the_guide_can_be_read_in_five_minutes(tmp_path: Path) -> None:
    text = guide(tmp_path, federation(encrypt=fl.CKKS()))
    assert len(text.split()) < 1800
    for word in (
        "Firewall",
        "NTP",
        "FLWR_TELEMETRY_ENABLED=0",
        "budget.vault",
        "flwr stop",
        "Upgrade",
        "/v1/fleet/",
        "umask 077",
    ):
        assert word in text
    assert "{" not in text


@pytest.mark.parametrize(
    "scheme", [None, fl.CKKS(), fl.CKKS(keys="threshold"), fl.SecAgg()], ids=["clear", "CKKS", "threshold", "masks"]
)
@pytest.mark.parametrize("how", ["alone", "driven", "some may be missing"])
def test_the_messages_of_a_round_are_counted_right(tmp_path: Path, scheme, how: str) -> None:
    settings = {"encrypt": scheme, "min_owners": 2 if how == "some may be missing" else None}
    there = Apart(owners(), House(**settings)).federation(AVERAGE)
    play = fl.rounds if how == "driven" else way_to_play(there, AVERAGE)[0]  # a notebook hears of each round in between
    after = [there.sites.trips for _ in play(there, AVERAGE, num_rounds=4, seed=0)]
    assert after[2] - after[1] == after[1] - after[0]
    said = guide(tmp_path, federation(**settings), driven=how == "driven")
    assert f"takes about {after[2] - after[1]} of them" in said
    assert ("Its score travels with the next" in said) == (how == "alone")


def test_a_rehearsal_and_losses_are_told(tmp_path: Path) -> None:
    protect = fl.RowLevelDP(noise_multiplier=1.0)
    rehearsal = guide(tmp_path, NAMES, protect=protect, noise_seed=1, min_owners=2, target="ill")
    assert "**A rehearsal" in rehearsal
    assert "as long as 2 are left" in rehearsal
    (tmp_path / "real").mkdir()
    real = guide(tmp_path / "real", NAMES, target="ill")
    assert "rehearsal" not in real
    assert "an owner is missing fails" in real
    assert "the server reads every update" in real


@pytest.mark.parametrize(
    "scheme", [fl.CKKS(), fl.CKKS(keys="threshold"), fl.SecAgg()], ids=["CKKS", "threshold", "masks"]
)
def test_the_guide_has_fingerprints_exchanged_before_anything_runs(tmp_path: Path, scheme) -> None:
    text = guide(tmp_path, federation(encrypt=scheme))
    owner = text[text.index("## 3. Each owner") :]
    assert owner.index("**Fingerprints.**") < owner.index("    [known]\n") < owner.index("flower-supernode")
    assert "| a server that puts in keys of its own | of an owner that has not noted all other parties'" in text
    assert ("it notes theirs" in text) == ("## 4. The key holder" in text)
    assert "`identity.key`" in (tmp_path / "lab" / "CERTIFICATES.md").read_text()
    (tmp_path / "clear").mkdir()
    assert "ingerprint" not in guide(tmp_path / "clear", federation())


def test_a_node_is_known_by_its_number_and_the_file_of_its_key_is_renamed(tmp_path: Path) -> None:
    text = guide(tmp_path, federation())
    assert "its `supernode.pub`, renamed; note each NODE_ID printed, as lists show no names" in text
    assert "flwr supernode register ../clinic-a.pub" in text
    assert text.index("umask 077") < text.index("flower-superlink --host")
    keys = (tmp_path / "lab" / "CERTIFICATES.md").read_text()
    assert "`keys/supernode.pub` to the server, which renames it" in keys
    assert "without their folders" in keys


def test_names_cannot_write_into_the_guide(tmp_path: Path) -> None:
    names = ["a|b *c*", "<i>_B_</i>", "C `d`"]
    text = guide(tmp_path, names, target="ill|`x``")
    assert r"- **Owners:** a\|b \*c\*, \<i\>\_B\_\</i\>, C \`d\`" in text
    assert "to predict ``` ill|`x`` ```" in text
    sites = [tomllib.loads(file.read_text())["name"] for file in sorted((tmp_path / "lab" / "sites").iterdir())]
    assert sorted(sites) == sorted(names)


def test_a_notebook_that_drives_is_in_both_tables(tmp_path: Path) -> None:
    text = guide(tmp_path, NAMES, target="ill", driven=True)
    assert "| notebook | " in text
    assert "| whoever runs the notebook's machine | " in text
    (tmp_path / "bare").mkdir()
    assert "| notebook | " not in guide(tmp_path / "bare", NAMES, target="ill")


def test_how_far_away_a_run_is_started_and_the_package_comes_is_told(tmp_path: Path) -> None:
    text = guide(tmp_path, federation())
    assert "ssh -N -L 8000:127.0.0.1:8000" in text
    assert 'fl.flower.Control("127.0.0.1:8000"' in text
    assert "pip wheel --no-deps" in text
    assert "-py3-none-any.whl[flower]" in text


def test_categories_that_nobody_declared_are_told_to_be_named(tmp_path: Path) -> None:
    rows = pd.DataFrame({"ward": ["a", "b"] * 10, "age": range(20), "ill": ["no", "yes"] * 10})
    two = [fl.DataOwner(name, rows.assign(age=rows["age"] + i), target="ill") for i, name in enumerate(NAMES)]
    assert "the categories that it has in ward, ill" in guide(tmp_path, fl.Federation(two))
    (tmp_path / "declared").mkdir()
    assert "the categories that it has" not in guide(tmp_path / "declared", federation())


def test_odd_names_and_values_survive_the_sites_files(tmp_path: Path) -> None:
    odd = 'a "b" \\ é = [1]'
    rows = pd.DataFrame({odd: [1.5, 2.5] * 5, "on": [True, False] * 5, "code": [1, 2] * 5, "ill": ["ja", 'n"e'] * 5})
    lists = {"on": [True, False], "code": [1, 2], "ill": ["ja", 'n"e']}
    two = [
        fl.DataOwner(
            name, rows.assign(**{odd: rows[odd] + i}), target="ill", bounds={odd: (1, 1e300)}, categories=lists
        )
        for i, name in enumerate(('Klinik "Süd"', "B"))
    ]
    project = export(fl.Federation(two), AVERAGE, tmp_path / "lab")
    said = tomllib.loads((project.folder / "sites" / "klinik-sud.toml").read_text())
    assert said["name"] == 'Klinik "Süd"'
    assert said["bounds"] == {odd: [1.0, 1e300]}
    assert said["categories"] == lists


def test_very_many_columns_are_not_all_listed(tmp_path: Path) -> None:
    columns = {f"x{i}": [float(i), 1.0] * 5 for i in range(200)}
    rows = pd.DataFrame({**columns, "ill": ["no", "yes"] * 5})
    two = [fl.DataOwner(name, rows.assign(x0=rows["x0"] + i), target="ill") for i, name in enumerate(NAMES)]
    project = export(fl.Federation(two), AVERAGE, tmp_path / "lab")
    text = (project.folder / "sites" / "clinic-a.toml").read_text()
    assert "and 141 more" in text
    assert '#   "ill": categories' in text
