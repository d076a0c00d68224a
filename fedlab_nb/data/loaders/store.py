"""Where files from the network are kept, and how they get there: whole, checked, and only once."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, cast

from fedlab_nb.errors import SchemaError, SettingError

if TYPE_CHECKING:
    from http.client import HTTPResponse
    from urllib.request import Request

FOLDER_VARIABLE = "FEDLAB_NB_DATA"
PATIENCE = 30.0
CHUNK = 1 << 20
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def folder() -> Path:
    """The folder that downloaded files are kept in: the one FEDLAB_NB_DATA names, else .cache/fedlab_nb at home."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named).expanduser() if named else Path.home() / ".cache" / "fedlab_nb"


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_sha256(sha256: object) -> str | None:
    """A checksum in small letters, or None.

    Raises:
        SettingError: if it is not made of 64 hexadecimal digits.
    """
    if sha256 is None:
        return None
    digits = sha256.lower() if isinstance(sha256, str) else ""
    if len(digits) != 64 or set(digits) - set("0123456789abcdef"):
        raise SettingError(
            f"sha256={sha256!r} was given.",
            "It is compared with the file's own SHA-256, which has 64 hexadecimal digits.",
            'Copy it from who published the file, or from frame.attrs["sha256"] of an earlier load.',
        )
    return digits


def verify(path: Path, sha256: str | None, source: str) -> str:
    """The SHA-256 of a file, if it is the expected one.

    Raises:
        SchemaError: if another one was expected.
    """
    found = sha256_of(path)
    if sha256 not in (None, found):
        raise SchemaError(
            f"{source} has the SHA-256 {found}, not {sha256}.",
            "It is not the file that was meant: it was changed or damaged, and results with it are not comparable.",
            "Download it again, or, if the publisher replaced it, look at the new file and pass its checksum.",
        )
    return found


def fetched(url: str, sha256: str | None = None, *, name: str = "") -> Path:
    """The path of the file at ``url``: downloaded once, then kept; delete it to download it again.

    With ``sha256`` a kept file that differs is downloaded anew. What arrives is written beside its place and moved
    there whole, after the check, so that a broken download leaves nothing behind.

    Args:
        url: an https address; http only with ``sha256``, or from this machine itself.
        sha256: the checksum that the file must have.
        name: what to call the kept file: the last part of the address, if left out.

    Raises:
        SettingError: for an address of another kind.
        SchemaError: if the file cannot be downloaded, or is not the expected one.
    """
    from urllib.parse import urlsplit

    _check_address(url, sha256)
    called = name or PurePosixPath(urlsplit(url).path).name or "file"
    kept = folder() / hashlib.sha256(url.encode()).hexdigest()[:16] / called
    if not kept.is_file() or (sha256 is not None and sha256_of(kept) != sha256):
        _download(url, kept, sha256)
    return kept


def _check_address(url: str, sha256: str | None) -> None:
    if not _is_safe(url, sha256):
        raise SettingError(
            f"The address {url!r} was given{'' if sha256 else ' without a checksum'}.",
            "Only https protects a file on its way; over plain http anybody between can change it.",
            "Use its https address, or pass sha256= with the checksum that the publisher names.",
        )


def _is_safe(url: str, sha256: str | None) -> bool:
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    plain = parts.scheme == "http" and (sha256 is not None or parts.hostname in LOOPBACK)
    return bool(parts.hostname) and (parts.scheme == "https" or plain)


def _opened(url: str, sha256: str | None) -> HTTPResponse:
    """What ``url`` answers; where it sends on to another address, that one must be as safe as the first."""
    from urllib.request import HTTPRedirectHandler, Request, build_opener

    class Safe(HTTPRedirectHandler):
        def redirect_request(self, req: Request, fp: IO[bytes], *rest: Any) -> Request | None:
            if not _is_safe(rest[-1], sha256):
                fp.close()
                raise OSError(f"it sends on to {rest[-1]}, which is not safe")
            return super().redirect_request(req, fp, *rest)

    request = Request(url, headers={"User-Agent": "fedlab_nb"})
    return cast("HTTPResponse", build_opener(Safe).open(request, timeout=PATIENCE))


def _download(url: str, kept: Path, sha256: str | None) -> None:
    import tempfile
    from http.client import HTTPException
    from urllib.error import HTTPError

    partial: Path | None = None
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with (
            _opened(url, sha256) as answer,
            tempfile.NamedTemporaryFile(dir=kept.parent, suffix=".part", delete=False) as file,
        ):
            partial = Path(file.name)
            _copied(answer, file, answer.headers.get("Content-Length"))
        verify(partial, sha256, f"What {url} sent")
        partial.replace(kept)
    except (OSError, HTTPException) as error:
        if isinstance(error, HTTPError):
            error.close()
        raise SchemaError(
            f"{url} could not be downloaded ({type(error).__name__}: {getattr(error, 'reason', error)}).",
            "This machine may be offline, or the address may have changed; nothing was kept.",
            f"Download it with a browser, put it at {kept}, and run the same line again; or pass the file's own path.",
        ) from error
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)


def _copied(answer: IO[bytes], file: IO[bytes], length: str | None) -> None:
    """Copy all of an answer.

    Raises:
        OSError: if it ends before its announced length.
    """
    count = 0
    while piece := answer.read(CHUNK):
        file.write(piece)
        count += len(piece)
    if length is not None and count != int(length):
        raise OSError(f"it ended after {count} of {length} bytes")
