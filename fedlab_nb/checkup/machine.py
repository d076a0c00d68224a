"""What this machine has: memory, cores and threads, and what a container lets us have of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fedlab_nb.units import bytes_text

CGROUPS, OWN_GROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
# A notebook with everything loaded needs about this much (measured with the quickstart).
ENOUGH_MEMORY = 600e6


@dataclass(frozen=True)
class Machine:
    """Memory in bytes, cores by number; a limit is that of a container, None where there is none.

    ``available`` is what this process and its children can still take, within the limit if there is one.
    """

    total: int
    available: int
    limit: int | None
    resident: int
    cores: int
    allowed: float | None
    threads: str | None


def machine() -> Machine:
    """This machine as it is now."""
    import psutil

    memory = psutil.virtual_memory()
    groups = _groups()
    limit, room = _memory(groups)
    return Machine(
        total=memory.total,
        available=memory.available if room is None else min(memory.available, room),
        limit=limit if limit is None or limit < memory.total else None,
        resident=resident(),
        cores=cores(),
        allowed=_quota(groups),
        threads=os.environ.get("OMP_NUM_THREADS"),
    )


def resident() -> int:
    """Bytes of memory that this process holds now."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def memory_words(machine: Machine) -> str:
    """Memory in one line: ``8.3 GB, 5.1 GB of it available``."""
    whole = f"{bytes_text(machine.total)}, {bytes_text(machine.available)} of it available"
    if machine.limit is not None:
        whole = (
            f"This container may use {bytes_text(machine.limit)}, {bytes_text(machine.available)} of it are available "
            f"(the machine has {bytes_text(machine.total)})"
        )
    return f"{whole}; this process holds {bytes_text(machine.resident)}"


def cores_words(machine: Machine) -> str:
    """Cores and threads in one line."""
    cores = f"{machine.cores} core{'s' if machine.cores > 1 else ''}"
    if machine.allowed is not None and machine.allowed < machine.cores:
        cores += f", of which this container may use {machine.allowed:.3g}"
    many = "as many threads as they like (OMP_NUM_THREADS is not set)"
    return f"{cores}; libraries may use {f'{machine.threads} (OMP_NUM_THREADS)' if machine.threads else many}"


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _groups() -> list[Path]:
    """The control groups that hold this process, the innermost first: a limit of any of them binds it."""
    places: list[Path] = []
    for line in _read(OWN_GROUP).splitlines():
        _, kinds, own = line.split(":", 2)
        for root in [CGROUPS / kind for kind in kinds.split(",")] if kinds else [CGROUPS]:
            inner = root / own.strip("/")
            places += [inner, *(p for p in inner.parents if p.is_relative_to(root))]
    return list(dict.fromkeys(places))


def _memory(groups: Iterable[Path]) -> tuple[int | None, int | None]:
    """(limit, what is left of it) in bytes of the tightest group; (None, None) where nothing is limited."""
    found: list[tuple[int, int]] = []
    for group in groups:
        for limit_file, use_file, cache in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            limit, used = _read(group / limit_file).strip(), _read(group / use_file).strip()
            # Without a limit, the second version says "max" and the first one a number beyond any machine.
            if limit.isdigit() and used.isdigit() and int(limit) < 2**60:
                idle = int(_pairs(group / "memory.stat").get(cache, "0"))
                found.append((int(limit), max(int(limit) - int(used) + idle, 0)))
    return min(found, key=lambda pair: pair[1]) if found else (None, None)


def _quota(groups: Iterable[Path]) -> float | None:
    """How many cores' worth of time the tightest group allows; None where nothing is limited."""
    found = []
    for group in groups:
        second = _read(group / "cpu.max").split()
        first = [_read(group / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
        for quota, period in (pair for pair in (second, first) if len(pair) == 2):
            if quota.isdigit() and period.isdigit() and int(period) > 0:
                found.append(int(quota) / int(period))
    return min(found, default=None)


def _pairs(path: Path) -> Mapping[str, str]:
    lines = (line.split() for line in _read(path).splitlines())
    return {line[0]: line[1] for line in lines if len(line) == 2}


def _read(path: Path) -> str:
    """The text of a file of the kernel; empty where this system or this group has none."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
