"""What the doctor says of this place: packages, memory, cores; other places are stubs of what their kernels say."""

import os
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, requires

import pytest
from packaging.requirements import Requirement

from fedlab_nb.checkup import machine as machines
from fedlab_nb.checkup import versions as packages
from fedlab_nb.checkup.machine import Machine, cores_words, machine, memory_words
from fedlab_nb.checkup.versions import Version, buttons_while_waiting, versions
from fedlab_nb.checkup.words import place_lines
from fedlab_nb.view.frontend import JUPYTER, SCRIPT

GOOD = (Version("Python", "3.11.7", ">=3.11"), Version("ipykernel", "7.4.0", ">=7.4"))
LAPTOP = Machine(16 * 10**9, 8 * 10**9, None, 300 * 10**6, 8, None, None)


def to_do(front=JUPYTER, found=GOOD, has=LAPTOP):
    return [f"{line.what}: {line.words} {line.do}" for line in place_lines(front, found, has) if line.fine is False]


def test_every_declared_package_is_looked_at_and_here_all_of_them_fit():
    declared = {Requirement(line).name for line in requires("fedlab_nb") if "extra" not in line}
    found = {version.name: version for version in versions()}
    assert found.keys() == declared | {"Python", "fedlab_nb"}
    assert all(version.fits for version in found.values())
    assert found["torch"].wanted == ">=2.6,<2.14"
    assert found["Python"].wanted == ">=3.11"


def test_a_package_outside_its_range_and_a_missing_one_say_what_to_install(monkeypatch):
    have = {"torch": "2.14.0", "numpy": "2.4.6"}

    def version(name):
        if name not in have:
            raise PackageNotFoundError(name)
        return have[name]

    monkeypatch.setattr(
        packages, "requires", lambda _: ["torch<2.14,>=2.6", "numpy>=2", "tenseal>=0.3.16", "x; extra == 'test'"]
    )
    monkeypatch.setattr(packages, "version", version)
    found = versions()
    assert [v.name for v in found if not v.fits] == ["torch", "tenseal"]
    said = to_do(found=(*found, GOOD[1]))
    assert said[0] == (
        "torch: Version 2.14.0 is installed, and fedlab_nb needs >=2.6,<2.14. "
        'Run %pip install "torch>=2.6,<2.14" and restart the kernel.'
    )
    assert "It is not installed" in said[1]
    assert 'python -m pip install "tenseal>=0.3.16"' in to_do(SCRIPT, found)[1]


def test_a_python_that_is_too_old_is_told():
    said = to_do(found=(Version("Python", "3.10.1", ">=3.11"), GOOD[1]))
    assert len(said) == 1
    assert "3.10.1" in said[0]
    assert "environment" in said[0]


def test_a_package_that_is_only_a_folder_on_the_path_is_told(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(packages, "metadata_of", missing)
    assert [v.name for v in versions()] == ["Python", "fedlab_nb"]
    assert "could not be compared" in to_do(SCRIPT, versions())[0]


@pytest.mark.parametrize(("found", "expected"), [("7.3.9", False), ("7.4.0", True), ("7.4.0rc1", False), ("8.0", True)])
def test_buttons_while_a_cell_waits_need_a_new_kernel(found, expected):
    given = (GOOD[0], Version("ipykernel", found, ">=7"))
    assert buttons_while_waiting(given) is expected
    assert [line.startswith("Buttons") for line in to_do(found=given)] == [True] * (not expected)
    assert to_do(SCRIPT, given) == []


def test_nothing_is_to_be_done_on_a_laptop_that_has_all():
    assert to_do() == []


def test_too_little_memory_is_told_and_what_this_process_holds_already_counts():
    small = replace(LAPTOP, total=10**9, available=200 * 10**6, resident=300 * 10**6)
    assert "Close other notebooks" in to_do(has=small)[0]
    assert to_do(has=replace(small, resident=500 * 10**6)) == []


def test_this_machine_is_told_as_it_is():
    here = machine()
    assert 0 < here.available <= here.total
    assert 10**6 < here.resident < here.total
    assert here.limit is None or here.limit < here.total
    assert 1 <= here.cores <= os.cpu_count()
    assert memory_words(here)
    assert f"{here.cores} core" in cores_words(here)


@pytest.fixture
def kernel_says(monkeypatch, tmp_path):
    """Writes what a Linux kernel says in its own files: the group of this process, and files by path."""

    def say(group, files):
        own, root = tmp_path / "self", tmp_path / "groups"
        own.write_text(group)
        for name, content in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(content)
        monkeypatch.setattr(machines, "OWN_GROUP", own)
        monkeypatch.setattr(machines, "CGROUPS", root)
        return machine()

    return say


def test_the_limits_of_a_container_are_found_as_on_binder(kernel_says):
    said = kernel_says(
        "0::/\n",
        {
            "memory.max": "2000000000\n",
            "memory.current": "1500000000\n",
            "memory.stat": "anon 1\ninactive_file 300000000\n",
            "cpu.max": "50000 100000\n",
        },
    )
    assert (said.limit, said.available, said.allowed) == (2 * 10**9, 8 * 10**8, 0.5)
    assert "This container may use 2 GB" in memory_words(said)
    assert "may use 0.5" in cores_words(replace(said, cores=4))


def test_the_limits_of_an_older_kernel_are_found_also_where_only_the_roots_files_are_seen(kernel_says):
    said = kernel_says(
        "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n1:name=systemd:/\n",
        {
            "memory/memory.limit_in_bytes": "1000000000\n",
            "memory/memory.usage_in_bytes": "600000000\n",
            "memory/memory.stat": "total_inactive_file 100000000\n",
            "cpu/cpu.cfs_quota_us": "200000\n",
            "cpu/cpu.cfs_period_us": "100000\n",
        },
    )
    assert (said.limit, said.available, said.allowed) == (10**9, 5 * 10**8, 2.0)


def test_the_tightest_of_nested_limits_counts(kernel_says):
    said = kernel_says(
        "0::/user/notebook\n",
        {
            "user/notebook/memory.max": "max\n",
            "user/memory.max": "900000000\n",
            "user/memory.current": "100000000\n",
            "memory.max": "1500000000\n",
            "memory.current": "200000000\n",
            "user/notebook/cpu.max": "max 100000\n",
            "user/cpu.max": "150000 100000\n",
        },
    )
    assert (said.limit, said.available, said.allowed) == (9 * 10**8, 8 * 10**8, 1.5)


@pytest.mark.parametrize(
    ("group", "files"),
    [
        ("0::/\n", {"memory.max": "max\n", "memory.current": "5\n", "cpu.max": "max 100000\n"}),
        ("4:memory:/\n", {"memory/memory.limit_in_bytes": f"{2**63 - 4096}\n", "memory/memory.usage_in_bytes": "5\n"}),
        ("3:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}),
        ("", {}),
    ],
    ids=["newer, no limit", "older, no limit", "older, no quota", "not Linux"],
)
def test_without_a_limit_none_is_told(kernel_says, group, files):
    said = kernel_says(group, files)
    assert (said.limit, said.allowed) == (None, None)
    assert "ontainer" not in memory_words(said) + cores_words(said)


def test_a_visit_without_a_run_loads_no_heavy_library():
    code = "import sys, fedlab_nb as fl; print(fl.doctor()); print([n for n in HEAVY if n in sys.modules])"
    code = code.replace("HEAVY", "('torch', 'tenseal', 'plotly', 'ipywidgets', 'anywidget', 'IPython')")
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("Where this runs")
    assert ended.stdout.endswith("\n[]\n")
