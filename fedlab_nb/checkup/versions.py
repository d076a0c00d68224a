"""Which packages are installed, and whether each lies in the range that fedlab_nb declares for it."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.metadata import metadata as metadata_of

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

PACKAGE = "fedlab_nb"
# From this version on, buttons work while a cell waits with `await run`.
BUTTONS_SINCE = "7.4"


@dataclass(frozen=True)
class Version:
    """One package: its version, None if it is missing, and the declared range, which may be empty."""

    name: str
    found: str | None
    wanted: str

    @property
    def fits(self) -> bool:
        """Whether the package is there, in a version within the range."""
        return self.found is not None and SpecifierSet(self.wanted).contains(self.found, prereleases=True)


def versions() -> tuple[Version, ...]:
    """Python, this package, and every package that it declares to need; nothing is imported for that.

    Without an installed fedlab_nb (its folder alone on the path) no range is declared: Python is all there is to tell.
    """
    python = platform.python_version()
    try:
        own, lines = metadata_of(PACKAGE), requires(PACKAGE) or []
    except PackageNotFoundError:
        return (Version("Python", python, ""), Version(PACKAGE, None, ""))
    needed = [Requirement(line) for line in lines]
    needed = [n for n in needed if n.marker is None or n.marker.evaluate({"extra": ""})]
    return (
        Version("Python", python, str(own.json.get("requires_python", ""))),
        Version(PACKAGE, own["Version"], ""),
        *(Version(n.name, _found(n.name), _in_order(n.specifier)) for n in needed),
    )


def buttons_while_waiting(versions: Iterable[Version]) -> bool:
    """Whether a kernel of these versions answers clicks while a cell waits with ``await run``."""
    found = next((v.found for v in versions if v.name == "ipykernel"), None)
    return found is not None and SpecifierSet(f">={BUTTONS_SINCE}").contains(found, prereleases=True)


def _found(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _in_order(specifier: SpecifierSet) -> str:
    """The range as people write it, the lower end first."""
    return ",".join(sorted((str(part) for part in specifier), key=lambda part: part.startswith("<")))
