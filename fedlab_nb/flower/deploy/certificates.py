"""The certificates and keys with which SuperLink and SuperNodes know each other.

Kinds of files, each made where it is needed:

- a private authority (``ca.pem``, ``ca.key``): ``ca.pem`` goes to every site, ``ca.key`` stays with whoever signs;
- the SuperLink's certificate (``superlink.pem``, ``superlink.key``), signed by that authority;
- a secret (``superexec.secret``) that the SuperLink shares with the program beside it that starts ServerApps;
- a key pair for each SuperNode (``NAME.key``, ``NAME.pub``), made at the site: only ``NAME.pub`` leaves it.

Private parts are readable by their owner alone (mode 0600), and no file is ever overwritten.

Source: Cooper et al., RFC 5280 (certificates); Turner et al., RFC 5480 (elliptic curve keys).
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fedlab_nb.errors import SettingError

DAYS = 365
# The SuperLink starts a ServerApp that comes back to it by this address, through the same certificate.
_ALWAYS = ("localhost", "127.0.0.1")
_HOST = re.compile(
    r"(?=.{1,253}$)(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*"
)
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True)
class Authority:
    """A private certificate authority: ``certificate`` is for everyone, ``key`` signs and stays where it is."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class ServerCertificate:
    """What a SuperLink shows to those who connect (``certificate``) and how it proves that (``key``)."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class NodeKey:
    """A SuperNode's key pair: ``private`` stays at the site, ``public`` is registered at the SuperLink."""

    private: Path
    public: Path


def make_authority(folder: Path, *, days: int = DAYS) -> Authority:
    """A new authority in ``folder``: ``ca.pem`` and ``ca.key``, valid for ``days`` days.

    It is named after nobody and trusted by nobody else: only who holds ``ca.pem`` believes what it signs. It can sign
    certificates of servers, not further authorities.

    Raises:
        SettingError: a file of that name is there already, inside an app folder, or ``days`` is not a number of days.
    """
    authority = Authority(folder / "ca.pem", folder / "ca.key")
    key = ec.generate_private_key(ec.SECP384R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fedlab federation authority")])
    usage = _usage(signs_certificates=True)
    builder = _dated(_checked_days(days)).subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    _write_new(
        [(authority.key, _private_pem(key), True), (authority.certificate, _pem(builder.sign(key, SHA256())), False)]
    )
    return authority


def make_server_certificate(
    authority: Authority, folder: Path, names: Iterable[str] = (), *, days: int = DAYS
) -> ServerCertificate:
    """The SuperLink's certificate in ``folder``: ``superlink.pem`` and ``superlink.key``.

    ``names`` are the host names and IP addresses by which sites reach it, ``("fl.example.org", "192.0.2.7")``; a site
    that uses another name is refused. ``localhost`` and ``127.0.0.1`` are always among them.

    Raises:
        SettingError: a file is there already, a name is neither a host name nor an address, the authority's files
            cannot be used or are no longer valid.
    """
    made = ServerCertificate(folder / "superlink.pem", folder / "superlink.key")
    signer, signing = _read_authority(authority)
    key = ec.generate_private_key(ec.SECP384R1())
    alternatives = [_alternative(name) for name in dict.fromkeys([*_ALWAYS, *names])]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fedlab SuperLink")])
    builder = _dated(_checked_days(days)).subject_name(subject).issuer_name(signer.subject).public_key(key.public_key())
    builder = (
        builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
    )
    _write_new([(made.key, _private_pem(key), True), (made.certificate, _pem(builder.sign(signing, SHA256())), False)])
    return made


def make_node_key(folder: Path, name: str = "supernode") -> NodeKey:
    """A SuperNode's key pair in ``folder``: ``NAME.key`` (OpenSSH, P-384) and ``NAME.pub`` (one line).

    Make it at the site itself, and send only ``NAME.pub`` to whoever runs the SuperLink.

    Raises:
        SettingError: a file of that name is there already, inside an app folder, or ``name`` cannot be a file's name.
    """
    if not _FILE.fullmatch(name):
        raise SettingError(
            f"A key cannot be named {name!r}.",
            "The name becomes the name of two files.",
            "Use letters, digits, dots, dashes and underscores.",
        )
    made = NodeKey(folder / f"{name}.key", folder / f"{name}.pub")
    key = ec.generate_private_key(ec.SECP384R1())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    _write_new([(made.private, private, True), (made.public, public + b"\n", False)])
    return made


def make_shared_secret(folder: Path) -> Path:
    """32 random bytes in ``folder/superexec.secret``: by them the SuperLink knows the program that starts ServerApps.

    Raises:
        SettingError: the file is there already, or inside an app folder.
    """
    path = folder / "superexec.secret"
    _write_new([(path, os.urandom(32), True)])
    return path


def _read_authority(authority: Authority) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """The authority's certificate and the key that belongs to it."""
    try:
        certificate = x509.load_pem_x509_certificate(authority.certificate.read_bytes())
        key = serialization.load_pem_private_key(authority.key.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise SettingError(
            f"The authority's {authority.certificate} and {authority.key} cannot be read ({type(error).__name__}).",
            "Without them nothing can be signed that the sites would believe.",
            "Name the ca.pem and ca.key that make_authority() wrote, with the rights to read both.",
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise SettingError(
            f"The key {authority.key} does not belong to the certificate {authority.certificate}.",
            "What it signs would be refused by every site.",
            "Take both files from the same make_authority().",
        )
    if certificate.not_valid_after_utc <= dt.datetime.now(dt.UTC):
        raise SettingError(
            f"The authority's certificate {authority.certificate} ended on {certificate.not_valid_after_utc:%Y-%m-%d}.",
            "Sites refuse all that it signed, old or new.",
            "Make a new authority in another folder and give its ca.pem to every site.",
        )
    return certificate, key


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    if not _HOST.fullmatch(name):
        raise SettingError(
            f"{name!r} is neither a host name nor an IP address.",
            "A certificate names the machine as the sites will call it; with a port or a scheme nothing would match.",
            'Give it as "fl.example.org" or "192.0.2.7".',
        )
    return x509.DNSName(name)


def _checked_days(days: int) -> int:
    if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= 3650:
        raise SettingError(
            f"days={days!r} is not a number of days from 1 to 3650.",
            "A certificate ends by itself, so that a lost key does not open doors for ever.",
            "Take 365, and make a new one before it ends.",
        )
    return days


def _dated(days: int) -> x509.CertificateBuilder:
    # A minute early, so that a site whose clock is a little behind does not refuse a certificate made just now.
    start = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1)
    builder = x509.CertificateBuilder().serial_number(x509.random_serial_number())
    return builder.not_valid_before(start).not_valid_after(start + dt.timedelta(days=days, minutes=1))


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write_new(files: list[tuple[Path, bytes, bool]]) -> None:
    """Write all ``(path, content, secret)`` as new files, or none."""
    folder = files[0][0].parent
    _refuse_app_folder(folder)
    _refuse_existing([path for path, _, _ in files])
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, content, secret in files:
            _write_one(path, content, 0o600 if secret else 0o644)
            written.append(path)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        raise SettingError(
            f"The keys and certificates could not be written to {folder} ({error.strerror}).",
            "Half a pair of files would be of no use, so none was kept.",
            "Name a folder in which you may write.",
        ) from error


def _write_one(path: Path, content: bytes, mode: int) -> None:
    # The mode is given at creation: a secret file is at no moment readable by others.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)


def _refuse_existing(paths: list[Path]) -> None:
    there = [path.name for path in paths if path.exists() or path.is_symlink()]
    if there:
        raise SettingError(
            f"{paths[0].parent} holds {' and '.join(there)} already.",
            "Overwriting a key locks out everyone who relies on it, and it cannot be undone.",
            "Name another folder, or move the old files away yourself.",
        )


def _refuse_app_folder(folder: Path) -> None:
    """All of an app's folder is packed and sent to every site."""
    for above in (folder, *folder.absolute().parents):
        project = above / "pyproject.toml"
        if project.is_file() and "[tool.flwr.app" in project.read_text(encoding="utf-8", errors="replace"):
            raise SettingError(
                f"{folder} lies inside the Flower app {above}.",
                "Flower packs the folder of an app and sends it to every site; keys do not belong there.",
                "Keep keys in a folder outside every app.",
            )
