"""Certificates and keys: believed by those who hold ca.pem, private where they must be, never overwritten."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import shutil
import socket
import ssl
import stat
import subprocess
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_ssh_private_key, load_ssh_public_key

from fedlab_nb.errors import SettingError
from fedlab_nb.flower.deploy.certificates import (
    Authority,
    ServerCertificate,
    make_authority,
    make_node_key,
    make_server_certificate,
    make_shared_secret,
)


def handshake(server: ServerCertificate, root: Path, name: str) -> str:
    """The subject that a client who trusts ``root`` accepts when it calls the server ``name``."""
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(server.certificate, server.key)
    ours = ssl.create_default_context(cafile=str(root))
    ours.verify_flags |= ssl.VERIFY_X509_STRICT
    left, right = socket.socketpair()
    accepted: list[ssl.SSLSocket] = []

    def serve() -> None:
        try:
            accepted.append(theirs.wrap_socket(left, server_side=True))
        except OSError:
            left.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with ours.wrap_socket(right, server_hostname=name) as secured:
            certificate = secured.getpeercert() or {}
    finally:
        thread.join()
        right.close()
        for connection in accepted:
            connection.close()
    return str(dict(pair[0] for pair in certificate["subject"])["commonName"])


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "fl.example.org", "192.0.2.7", "2001:db8::7"])
def test_who_holds_the_authoritys_certificate_believes_the_superlink(tmp_path: Path, name: str) -> None:
    authority = make_authority(tmp_path / "ca")
    server = make_server_certificate(authority, tmp_path / "server", ["fl.example.org", "192.0.2.7", "2001:db8::7"])
    assert handshake(server, authority.certificate, name) == "fedlab SuperLink"


def test_another_name_and_another_authority_are_not_believed(tmp_path: Path) -> None:
    authority, other = make_authority(tmp_path / "ca"), make_authority(tmp_path / "other")
    server = make_server_certificate(authority, tmp_path / "server", ["fl.example.org"])
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        handshake(server, authority.certificate, "elsewhere.example.org")
    with pytest.raises(ssl.SSLCertVerificationError, match="verify failed"):
        handshake(server, other.certificate, "fl.example.org")


def test_a_certificate_says_what_it_is_for_and_until_when(tmp_path: Path) -> None:
    authority = make_authority(tmp_path)
    made = x509.load_pem_x509_certificate(
        make_server_certificate(authority, tmp_path, days=30).certificate.read_bytes()
    )
    root = x509.load_pem_x509_certificate(authority.certificate.read_bytes())
    assert made.not_valid_after_utc - dt.datetime.now(dt.UTC) == pytest.approx(dt.timedelta(days=30), abs=_minutes(5))
    assert root.not_valid_after_utc - dt.datetime.now(dt.UTC) == pytest.approx(dt.timedelta(days=365), abs=_minutes(5))
    assert made.not_valid_before_utc < dt.datetime.now(dt.UTC)
    constraints = root.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (constraints.ca, constraints.path_length) == (True, 0)
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    named = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert named.get_values_for_type(x509.DNSName) == ["localhost"]
    assert named.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("127.0.0.1")]
    made.verify_directly_issued_by(root)


def _minutes(count: int) -> dt.timedelta:
    return dt.timedelta(minutes=count)


def test_a_nodes_keys_are_what_flower_reads(tmp_path: Path) -> None:
    made = make_node_key(tmp_path, "north")
    private = load_ssh_private_key(made.private.read_bytes(), None)
    public = load_ssh_public_key(made.public.read_bytes())
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    assert isinstance(private.curve, ec.SECP384R1)
    assert private.public_key() == public
    assert made.private.name == "north.key"


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")
def test_ssh_keygen_reads_the_same_pair(tmp_path: Path) -> None:
    made = make_node_key(tmp_path)
    done = subprocess.run(["ssh-keygen", "-y", "-f", made.private], capture_output=True, text=True, check=True)
    assert done.stdout.split()[:2] == made.public.read_text().split()[:2]


@pytest.mark.skipif(os.name == "nt", reason="modes of files are not Windows'")
def test_private_parts_are_their_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        authority = make_authority(tmp_path)
        server, node = make_server_certificate(authority, tmp_path), make_node_key(tmp_path)
        secret = make_shared_secret(tmp_path)
    finally:
        os.umask(before)
    private = [authority.key, server.key, node.private, secret]
    assert [stat.S_IMODE(path.stat().st_mode) for path in private] == [0o600] * 4
    public = [authority.certificate, server.certificate, node.public]
    assert [stat.S_IMODE(path.stat().st_mode) for path in public] == [0o644] * 3
    assert len(secret.read_bytes()) == 32


def test_nothing_is_overwritten_and_nothing_half_written(tmp_path: Path) -> None:
    authority = make_authority(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / "superlink.pem").write_text("an older one")
    (tmp_path / "south.pub").symlink_to(tmp_path / "nowhere")
    with pytest.raises(SettingError, match=r"holds ca.key and ca.pem already\. Overwriting a key .* another folder"):
        make_authority(tmp_path)
    with pytest.raises(SettingError, match=r"superlink\.pem already"):
        make_server_certificate(authority, tmp_path)
    with pytest.raises(SettingError, match=r"south\.pub already"):
        make_node_key(tmp_path, "south")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name in before} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ca.key", "ca.pem", "south.pub", "superlink.pem"]


def test_a_folder_in_which_nothing_can_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError, match="could not be written"):
        make_authority(tmp_path / "file")


def test_keys_stay_out_of_apps(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.flwr.app]\n")
    with pytest.raises(SettingError, match="lies inside the Flower app"):
        make_node_key(tmp_path / "keys")
    assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize("name", ["https://fl.example.org", "fl.example.org:8000", "", "a b", "-x.org", "*"])
def test_only_names_that_can_match_are_certified(tmp_path: Path, name: str) -> None:
    authority = make_authority(tmp_path)
    with pytest.raises(SettingError, match="neither a host name nor an IP address"):
        make_server_certificate(authority, tmp_path / "server", [name])
    assert not (tmp_path / "server").exists()


@pytest.mark.parametrize("days", [0, -1, 4000, True, 1.5])
def test_days_must_be_days(tmp_path: Path, days: int) -> None:
    with pytest.raises(SettingError, match="not a number of days"):
        make_authority(tmp_path, days=days)


@pytest.mark.parametrize("name", ["", "../north", "a/b", ".hidden", "x y"])
def test_a_key_is_named_like_a_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingError, match="cannot be named"):
        make_node_key(tmp_path, name)


def test_an_authority_must_be_whole(tmp_path: Path) -> None:
    one, two = make_authority(tmp_path / "1"), make_authority(tmp_path / "2")
    with pytest.raises(SettingError, match="does not belong to"):
        make_server_certificate(Authority(one.certificate, two.key), tmp_path / "server")
    with pytest.raises(SettingError, match=r"cannot be read \(FileNotFoundError\)"):
        make_server_certificate(Authority(one.certificate, tmp_path / "none"), tmp_path / "server")
    with pytest.raises(SettingError, match=r"cannot be read \(ValueError\)"):
        make_server_certificate(Authority(one.key, one.key), tmp_path / "server")
