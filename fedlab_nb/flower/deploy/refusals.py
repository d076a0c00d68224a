"""What Flower prints when it refuses, in three clauses: what happened, why it matters, what to do."""

from __future__ import annotations

import re
import socket
import ssl
from pathlib import Path

from fedlab_nb.errors import DeploymentError, FedLabError

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_FRAME = re.compile("[\u2500-\u257f]+")
_NOISE = re.compile(r"INFO\b|For more information|$")
_LINES = 6
# (what Flower says, the first clause, the second, the third)
_KNOWN = (
    (
        r"runtime version mismatch.*",
        "The two sides run different versions of Flower.",
        "Flower lets only programs of the same major.minor version talk to each other.",
        'Install the same version at every site and at the SuperLink: pip install "fedlab-nb[flower]".',
    ),
    (
        r"Public key already in use.*",
        "This SuperNode's public key is registered at the SuperLink already.",
        "One key stands for one node; two nodes with one key could not be told apart.",
        "Make a key of its own for each node, or remove the old registration with `flwr supernode unregister`.",
    ),
    (
        r"Run ID not found.*|Run \d+ not found.*",
        "The SuperLink knows no run of this number.",
        "It keeps the runs in its database; another database, or another SuperLink, has other runs.",
        "Use the number that run() returned, at the same SuperLink.",
    ),
    (
        r"Run is already finished.*|Run \d+ couldn't be stopped.*",
        "The run has ended already.",
        "There is nothing left to stop.",
        "Look at its end with status().",
    ),
    (
        r"Invalid run configuration.*",
        "The app does not know one of the settings of this run.",
        "A run may only change settings that the app's pyproject.toml lists under [tool.flwr.app.config].",
        "Check the names of the settings, or add them there.",
    ),
    (
        r"Invalid Flower App configuration(.|\n)*|Failed to load Flower App configuration.*",
        "The folder holds no Flower app that can be run.",
        "Flower packs the app by what its pyproject.toml says.",
        "Name the folder that holds the app's pyproject.toml, and correct what Flower says about it.",
    ),
    (
        r"Failed to activate SuperNode.*",
        "The SuperLink did not let it in.",
        "It lets in a SuperNode whose public key was registered, and each only once at a time.",
        "Register the .pub file of this site at this SuperLink, and make sure no other SuperNode runs with its key.",
    ),
    (
        r"certificate verify failed.*",
        "The SuperLink shows a certificate that the given ca.pem does not vouch for.",
        "Whoever answers there may not be the SuperLink that is meant, so nothing was sent.",
        "Use the ca.pem of the authority that signed its certificate, and a name or address that stands in it.",
    ),
    (
        r"does not have permission.*|Authentication failed.*|Invalid SuperNode authentication.*",
        "The SuperLink refused who asked.",
        "It serves registered nodes and known accounts only.",
        "Register the node's public key at this SuperLink, and check that the site's clock is right.",
    ),
)


def uncoloured(said: str) -> str:
    """``said`` without the marks for a terminal's colours."""
    return _COLOUR.sub("", said)


def plain(said: str) -> str:
    """What a program printed, without colours and frames."""
    return _FRAME.sub("", uncoloured(said))


def last_words(said: str) -> str:
    """The last lines of what a program printed, on one line, without what it prints at every end."""
    lines = [line.strip() for line in plain(said).splitlines()]
    return " | ".join([line for line in lines if not _NOISE.match(line)][-_LINES:]) or "nothing"


def lost(said: str) -> bool:
    """Whether a command of Flower's failed because no SuperLink answered it."""
    return "SuperLink is unavailable" in " ".join(plain(said).split())


def refused(doing: str, said: str, address: str) -> FedLabError:
    """The error for a command of Flower's that failed while ``doing`` something, from what it ``said``."""
    return _known(said, f"While {doing} at {address}: ") or DeploymentError(
        f"Flower failed while {doing} at {address}.",
        f"It said: {last_words(said)}.",
        "Correct what it says, and try again.",
    )


def did_not_start(name: str, said: str, waited: float | None) -> FedLabError:
    """The error for a program that ended, or kept still for ``waited`` seconds, before it was ready."""
    if "address already in use" in said:
        return DeploymentError(
            f"{name} found its port taken.",
            "Two programs cannot listen on one port.",
            "Start it again; another free port is taken then.",
        )
    known = _known(said, f"{name} ended: ") if waited is None else None
    if known:
        return known
    what = "ended before it was ready" if waited is None else f"was not ready within {waited:g} seconds"
    return DeploymentError(
        f"{name} {what}.",
        f"Without it no round can run. It said last: {last_words(said)}.",
        "Correct what it says; a SuperNode that says nothing cannot reach the SuperLink (address, ca.pem, firewall).",
    )


def _known(said: str, before: str) -> FedLabError | None:
    said = plain(said)
    for pattern, what, why, do in _KNOWN:
        if found := re.search(pattern, said, re.IGNORECASE):
            said = f"Flower said: {found.group()[:300].strip().rstrip('.')}."
            told = before + what
            return DeploymentError(told, why + " " + said, do)
    return None


def unreachable(address: str, root_certificate: Path | None, *, seconds: float = 5.0) -> FedLabError:
    """Why the SuperLink at ``address`` cannot be reached, found out by knocking there."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        context = ssl.create_default_context(cafile=str(root_certificate) if root_certificate else None)
        with (
            socket.create_connection((host, int(port)), timeout=seconds) as plain,
            context.wrap_socket(plain, server_hostname=host),
        ):
            pass
    except ssl.SSLCertVerificationError as error:
        return DeploymentError(
            f"The SuperLink at {address} shows a certificate that {_named(root_certificate)} does not vouch for "
            f"({error.verify_message}).",
            "Whoever answers there may not be the SuperLink that you mean, so nothing was sent.",
            "Use the ca.pem of the authority that signed its certificate, and a name or address that stands in it.",
        )
    except ssl.SSLError as error:
        return DeploymentError(
            f"What answers at {address} does not speak TLS ({error.reason}).",
            "Without TLS anyone on the way could read and change what is sent.",
            "Start the SuperLink with its certificate, and check the port.",
        )
    except (OSError, ValueError) as error:
        return DeploymentError(
            f"No SuperLink answers at {address} ({getattr(error, 'strerror', None) or type(error).__name__}).",
            "Runs are started, watched and stopped through it.",
            "Start it, check the address (host:port) and whether a firewall lets the port through.",
        )
    return DeploymentError(
        f"The SuperLink at {address} answers, but Flower's command could not talk to it.",
        "It may be starting, ending, or busy.",
        "Try again; if it stays so, look into the SuperLink's log.",
    )


def _named(root_certificate: Path | None) -> str:
    return f"{root_certificate}" if root_certificate else "this machine's list of authorities"
