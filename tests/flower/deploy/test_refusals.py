"""What Flower prints when it refuses becomes an error that teaches."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from fedlab_nb.flower.deploy.certificates import make_authority
from fedlab_nb.flower.deploy.refusals import did_not_start, last_words, lost, plain, refused, uncoloured, unreachable

# Word for word what Flower 1.42 prints.
UNAVAILABLE = """Using SuperLink: lab (127.0.0.1:45111)
╭─ Error ──────────────────────────────────────────────────────────────────────╮
│ Connection to the SuperLink is unavailable. Please check your network        │
│ connection and 'address' in the SuperLink connection configuration.          │
╰──────────────────────────────────────────────────────────────────────────────╯
"""
UNKNOWN_NODE = """\x1b[92mINFO \x1b[0m:      Starting Flower SuperNode
INFO:     Application startup complete.
\x1b[91mERROR \x1b[0m:     Exit Code: 305
Failed to initialize the connection to the SuperLink.
[code: 2004] Failed to activate SuperNode.
The SuperNode could not establish a connection to the SuperLink.

For more information, visit: <https://flower.ai/docs/framework/1.42/en/ref-exit-codes/305.html>
INFO:     Finished server process [13424]
"""
WRONG_CERTIFICATE = """\x1b[91mERROR \x1b[0m:     SSL/TLS handshake error detected.
\x1b[91mERROR \x1b[0m:     Exit Code: 305
Failed to initialize the connection to the SuperLink.
[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate (_ssl.c:1006)
"""
MISMATCH = (
    "[code: 2012] Runtime version compatibility check failed. SuperNode version 1.42.0 detected a runtime version "
    "mismatch: expected a peer from the same major.minor release, but received SuperExec version 1.41.0."
)


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ("[code: 23] Public key already in use.", "public key is registered at the SuperLink already"),
        ("│ [code: 16] Run ID not found.                                  │", "knows no run of this number"),
        ("[code: 18] Run is already finished.", "The run has ended already"),
        ("[code: 15] Invalid run configuration.", "does not know one of the settings"),
        ("Failed to load Flower App configuration in '/x/pyproject.toml'.", "holds no Flower app"),
        ("Invalid Flower App configuration in '/x':\n- Property \"license\" missing", 'Property "license" missing'),
        ("[code: 5] Authentication failed.", "refused who asked"),
        (MISMATCH, "different versions of Flower"),
    ],
)
def test_refusals_of_a_command(said: str, what: str) -> None:
    error = refused("stopping a run", said, "fl.example.org:8000")
    assert error.what.startswith("While stopping a run at fl.example.org:8000: ")
    assert what in str(error)
    assert "Flower said: " in error.why
    assert all(mark not in str(error) for mark in "│╭\x1b")


def test_a_refusal_nobody_knows_is_passed_on() -> None:
    error = refused("starting a run", "\x1b[91mERROR\x1b[0m: the moon is full\n", "fl.example.org:8000")
    assert error.what == "Flower failed while starting a run at fl.example.org:8000."
    assert error.why == "It said: ERROR: the moon is full."


@pytest.mark.parametrize(
    ("said", "what"),
    [
        (UNKNOWN_NODE, "The SuperNode of north ended: The SuperLink did not let it in."),
        (WRONG_CERTIFICATE, "The SuperNode of north ended: The SuperLink shows a certificate"),
        ("ERROR: [Errno 98] error while attempting to bind: address already in use", "found its port taken"),
        ("no word of use", "The SuperNode of north ended before it was ready."),
    ],
)
def test_refusals_of_a_node(said: str, what: str) -> None:
    assert what in str(did_not_start("The SuperNode of north", said, None))


def test_last_words_are_without_colours_frames_and_what_is_always_said() -> None:
    assert last_words(UNKNOWN_NODE).split(" | ") == [
        "ERROR :     Exit Code: 305",
        "Failed to initialize the connection to the SuperLink.",
        "[code: 2004] Failed to activate SuperNode.",
        "The SuperNode could not establish a connection to the SuperLink.",
    ]
    assert last_words("") == "nothing"
    assert uncoloured("\x1b[92mINFO \x1b[0m: │") == "INFO : │"
    assert plain("╭─│x│─╯") == "x"


def test_a_lost_superlink_is_known_by_its_words_however_they_are_broken() -> None:
    assert lost(UNAVAILABLE)
    assert not lost(UNKNOWN_NODE)


def test_nobody_there(tmp_path: Path) -> None:
    authority = make_authority(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        error = unreachable(f"127.0.0.1:{port}", authority.certificate)
    assert f"No SuperLink answers at 127.0.0.1:{port} (Connection refused)." in str(error)
    assert "firewall" in error.do


@pytest.mark.parametrize("address", ["fl.example.org", "", "127.0.0.1:port"])
def test_an_address_without_a_port_is_nowhere(tmp_path: Path, address: str) -> None:
    error = unreachable(address, make_authority(tmp_path).certificate, seconds=0.2)
    assert "check the address (host:port)" in str(error)
