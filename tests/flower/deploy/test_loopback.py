"""A real SuperLink and two real SuperNodes on this machine, with TLS and node authentication."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from fedlab_nb.errors import FedLabError, SettingError
from fedlab_nb.flower.deploy.certificates import make_authority, make_node_key
from fedlab_nb.flower.deploy.commands import supernode_command
from fedlab_nb.flower.deploy.control import Control
from fedlab_nb.flower.deploy.loopback import Loopback, Site
from fedlab_nb.flower.deploy.processes import Program, end, environment, free_port, write_numbers
from tests.flower.deploy.common import living, python, until, with_flower, write_app

pytestmark = [with_flower, pytest.mark.slow]
ODD = "a \"b\" 'c' \\ é = 1"
SITES = [Site("north", {"name": "north", "odd": ODD}), Site("east & west", {"name": "east", "odd": ""})]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny app."""
    return write_app(tmp_path_factory.mktemp("app") / "tiny")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    """A federation that all tests of this file share; afterwards nothing of it is left."""
    folder = tmp_path_factory.mktemp("lab")
    with Loopback(SITES, folder) as lab:
        yield lab
        pids = [pid for group in lab.pids().values() for pid in group]
    assert living(pids) == []
    assert list(folder.iterdir()) == []
    assert set(lab.pids().values()) == {()}
    lab.close()


def stranger(lab: Loopback, folder: Path, root: Path) -> Program:
    """A SuperNode whose key nobody registered."""
    (folder / "node.toml").write_text("")
    key = make_node_key(folder)
    command = supernode_command(lab.address, root, key.private, config=folder / "node.toml", port=free_port())
    return Program("The stranger", command, environment(folder / "home", local=True), folder / "stranger.log")


def test_one_exchange_on_this_machine_only_and_its_log_read_again(lab: Loopback, app: Path, tmp_path: Path) -> None:
    assert {node.node_id: node.state for node in lab.control.nodes()} == dict.fromkeys(lab.nodes.values(), "online")
    run = lab.control.run(app)
    partners = set()
    lines = []
    for line in lab.control.log(run):
        lines.append(line)
        partners |= remote_addresses(lab)
    told = lines[lines.index("nodes east & west north") :]
    assert told[:4] == [
        "nodes east & west north",
        "round 0",
        "east & west said: echo from east, ''",
        f"north said: echo from north, {ODD!r}",
    ]
    assert partners == {"127.0.0.1"}
    status = lab.control.status(run)
    assert (status.run_id, status.state, status.details, status.ended) == (run, "completed", "", True)
    assert status.received > 0
    assert status.sent > 0
    again = Control(lab.address, lab.authority.certificate, tmp_path / "another-session")
    assert list(again.log(run)) == lines
    latest = again.runs()[0]
    assert (latest.run_id, latest.state) == (run, "completed")
    with pytest.raises(FedLabError, match="The run has ended already"):
        lab.control.stop(run)


def remote_addresses(lab: Loopback) -> set[str]:
    """Whom the programs talk to at this moment."""
    found = set()
    for pid in [pid for group in lab.pids().values() for pid in group]:
        try:
            connections = psutil.Process(pid).net_connections("inet")
        except psutil.Error:
            # It ended meanwhile, or forbids everyone but root to look.
            continue
        found |= {connection.raddr.ip for connection in connections if connection.raddr}
    return found


def test_a_failed_server_is_called_failed(lab: Loopback, app: Path) -> None:
    run = lab.control.run(app, {"way": "fail"})
    assert "ValueError: no rows at the site" in list(lab.control.log(run))
    status = lab.control.status(run)
    assert status.state == "failed"
    assert "no rows at the site" in status.details


def test_a_run_is_stopped_and_its_log_ends(lab: Loopback, app: Path) -> None:
    run = lab.control.run(app, {"way": "wait"})
    with closing(lab.control.log(run)) as lines:
        assert any(line == "nodes east & west north" for line in lines)
        before = lab.pids()["superexec"]
        lab.control.stop(run)
        assert lab.control.status(run).state == "stopped"
        assert "round 0" not in list(lines)
    assert len(before) == 2
    assert until(lambda: len(lab.pids()["superexec"]) == 1)


def test_a_run_and_its_log_survive_a_restart_of_the_superlink(lab: Loopback, app: Path) -> None:
    run = lab.control.run(app, {"way": "hello", "rounds": 2})
    with closing(lab.control.log(run)) as lines:
        said = [next(lines)]
        while said[-1] != "round 0":
            said.append(next(lines))
        lab.restart_superlink(suddenly=True)
        said += list(lines)
    assert [line for line in said if line.startswith("round")] == ["round 0", "round 1"]
    assert said[-1].startswith(("north said", "INFO"))
    assert lab.control.status(run).state == "completed"


def test_a_site_can_hang_stop_and_come_back(lab: Loopback) -> None:
    lab.pause("north")
    assert {psutil.Process(pid).status() for pid in lab.pids()["north"]} == {psutil.STATUS_STOPPED}
    lab.resume("north")
    assert psutil.STATUS_STOPPED not in {psutil.Process(pid).status() for pid in lab.pids()["north"]}
    before = lab.pids()["north"]
    lab.stop("north")
    assert living(before) == []
    states = {node.node_id: node.state for node in lab.control.nodes()}
    assert states == {lab.nodes["north"]: "offline", lab.nodes["east & west"]: "online"}
    lab.restart("north")
    assert {node.state for node in lab.control.nodes()} == {"online"}
    assert set(lab.pids()["north"]).isdisjoint(before)
    with pytest.raises(SettingError, match="There is no site 'south'"):
        lab.kill("south")


def test_a_wrong_certificate_is_refused_by_both_sides(lab: Loopback, tmp_path: Path) -> None:
    other = make_authority(tmp_path / "other").certificate
    with pytest.raises(
        FedLabError, match=r"shows a certificate that .* does not vouch for .* nothing was sent\..*ca\.pem"
    ):
        Control(lab.address, other, tmp_path / "home").nodes()
    node = stranger(lab, tmp_path, other)
    try:
        with pytest.raises(FedLabError, match=r"shows a certificate that the given ca\.pem does not vouch for"):
            node.wait_for("SuperNode ID:", 60)
    finally:
        end([node], grace=0)


def test_a_node_that_nobody_registered_is_refused(lab: Loopback, tmp_path: Path) -> None:
    node = stranger(lab, tmp_path, lab.authority.certificate)
    try:
        with pytest.raises(FedLabError, match=r"stranger ended: The SuperLink did not let it in\..*Register the \.pub"):
            node.wait_for("SuperNode ID:", 60)
    finally:
        end([node], grace=0)


def test_what_the_superlink_refuses_is_explained(lab: Loopback, app: Path, tmp_path: Path) -> None:
    twin = next((lab.folder / "site0").glob("*.pub"))
    elsewhere = Control(f"127.0.0.1:{free_port()}", lab.authority.certificate, tmp_path / "home")
    refused: dict[str, Callable[[], object]] = {
        "knows no run of this number": lambda: next(lab.control.log(12345)),
        "does not know one of the settings of this run": lambda: lab.control.run(app, {"nonsense": 1}),
        "public key is registered at the SuperLink already": lambda: lab.control.register(twin, "twin"),
        "No SuperLink answers": elsewhere.nodes,
    }
    with ThreadPoolExecutor(2) as pool:
        asked = {words: pool.submit(ask) for words, ask in refused.items()}
    for words, answer in asked.items():
        with pytest.raises(FedLabError, match=words):
            answer.result()


def test_what_breaks_half_way_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = Program(
        "Left by a killed session",
        python("import time; time.sleep(600)"),
        environment(tmp_path / "home"),
        tmp_path / "left.log",
    )
    (tmp_path / "lab").mkdir()
    write_numbers(tmp_path / "lab" / "processes.json", [left])
    lab = Loopback([Site("north")], tmp_path / "lab")
    pids = []

    def broken(control: Control, key: Path, name: str) -> None:
        assert not left.running
        pids.extend(pid for group in lab.pids().values() for pid in group)
        raise KeyboardInterrupt

    monkeypatch.setattr(Control, "registering", broken)
    with pytest.raises(KeyboardInterrupt), lab:
        pass
    assert len(pids) == 2
    assert living(pids) == []
    assert list((tmp_path / "lab").iterdir()) == []
