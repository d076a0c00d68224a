"""The folder of a project: what may be written there, and what must not be there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from fedlab_nb.errors import SettingError
from fedlab_nb.flower import task
from fedlab_nb.flower.agreement import FILE

APP, SITES = "fedlab_app", "sites"
# What Flower takes as an app's name, which the folder's is.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,31}")
_SECRET_NAMES = re.compile(
    r".*\.(key|pem|p12|pfx|jks|secret|vault|db|sqlite|sqlite3|csv|tsv|parquet|feather|arrow|xlsx|pkl|pickle|npy|npz)"
    r"|\.env.*|id_(rsa|ecdsa|ed25519)|site\.toml",
    re.IGNORECASE,
)
_SECRET_BEGINNINGS = (b"SQLite format 3\x00", b"PAR1", b"\x89HDF", b"PK\x03\x04")
_PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_LOOK = 4096


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder that Flower could not take as an app, that is in use, or that holds what must not travel.

    Raises:
        SettingError.
    """
    if not _NAME.fullmatch(folder.name):
        better = re.sub(r"[^A-Za-z0-9]+", "-", folder.name).strip("-").lstrip("0123456789-")[:32] or "federation"
        raise SettingError(
            f"A project cannot be exported to a folder named {folder.name!r}.",
            "Flower names the app after it: letters, digits and hyphens, a letter first, 32 at most.",
            f"Name it {better!r}, for example.",
        )
    if folder.exists() and not folder.is_dir():
        raise SettingError(
            f"There is a file named {folder.name!r} where the project is to be.",
            "A project is a folder.",
            "Give another name, or move the file away.",
        )
    check_no_secrets(folder)
    there = sorted({path.name for path in folder.iterdir()} - {".git"}) if folder.exists() else []
    if there and not overwrite:
        raise SettingError(
            f"The folder {folder.name!r} is not empty: it holds {there[0]!r}.",
            "What is there could be lost, or travel to all sites with the app.",
            "Name a new folder, or pass overwrite=True: what an earlier export wrote is then written anew.",
        )
    if there and not (folder / APP / FILE).is_file():
        raise SettingError(
            f"The folder {folder.name!r} holds {there[0]!r}, and no export that could be written over.",
            "What is there would be lost, or travel to all sites with the app.",
            "Name a new folder: overwrite=True is for one that an earlier export wrote.",
        )
    strange = [path.name for path in _inside(folder / APP) if path.name not in _OWN]
    if strange:
        raise SettingError(
            f"The folder {APP!r} of the project holds {strange[0]!r}, which no export wrote.",
            "All that is in it travels to every site.",
            "Move it away; models, strategies and questions of your own go with task=.",
        )


def check_no_secrets(folder: Path) -> None:
    """Refuse a project folder with keys, data, databases or a site's own settings in it.

    Raises:
        SettingError: naming the file.
    """
    found = next((path for path in _inside(folder) if _is_secret(path)), None)
    if found is not None:
        raise SettingError(
            f"The project folder {folder.name!r} holds {found.relative_to(folder).as_posix()!r}, which looks like a "
            "key, data, or a site's own settings.",
            "The project is shared with all parties, and Flower sends files of it to every site.",
            "Move the file out of the folder. If it was ever sent or put under version control, take it for known: "
            "make new keys.",
        )


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write ``files``, by their path in the project; app and sites of an earlier export go.

    Raises:
        SettingError: the folder cannot be made there; nothing was written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(
            f"The folder {folder.name!r} cannot be made where it is to be ({error.strerror}).",
            "A project is a folder in another folder, in which you may write.",
            "Give a path whose folders are none of them files, and are yours to write in.",
        ) from error
    for path in (*_inside(folder / APP), *(folder / SITES).glob("*.toml")):
        path.unlink()
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


_OWN = {"__init__.py", "server_app.py", "client_app.py", FILE, task.FILE}


def _inside(folder: Path) -> Iterator[Path]:
    """All files below ``folder`` but those of version control and compiled code."""
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            if path.name not in (".git", "__pycache__"):
                yield from _inside(path)
        else:
            yield path


def _is_secret(path: Path) -> bool:
    if _SECRET_NAMES.fullmatch(path.name):
        return True
    try:
        with path.open("rb") as file:
            begin = file.read(_LOOK)
    except OSError:
        return False
    return begin.startswith(_SECRET_BEGINNINGS) or _PRIVATE_KEY.search(begin) is not None
