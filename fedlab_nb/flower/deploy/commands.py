"""The commands with which a federation is started by hand: two at the SuperLink, one at each site."""

from __future__ import annotations

from pathlib import Path

from fedlab_nb.flower.deploy.certificates import ServerCertificate
from fedlab_nb.flower.deploy.processes import executable


def superlink_command(
    certificate: ServerCertificate,
    root_certificate: Path,
    secret: Path,
    *,
    database: Path,
    host: str = "127.0.0.1",
    port: int = 8000,
) -> list[str]:
    """The command that runs a SuperLink: TLS, registered SuperNodes only, nothing installed while it runs.

    ``host`` is the address of this machine to listen on; ``database`` keeps runs and nodes over a restart. It starts
    no app itself: run ``superexec_command`` beside it. So a ServerApp survives a restart of the SuperLink.
    """
    return [
        executable("flower-superlink"),
        *("--host", host, "--port", str(port), "--database", str(database)),
        *("--ssl-ca-certfile", str(root_certificate)),
        *("--ssl-certfile", str(certificate.certificate), "--ssl-keyfile", str(certificate.key)),
        *("--isolation", "process", "--superexec-auth-secret-file", str(secret)),
        "--enable-supernode-auth",
        "--disable-runtime-dependency-installation",
    ]


def superexec_command(root_certificate: Path, secret: Path, *, port: int = 8000) -> list[str]:
    """The command that starts ServerApps for the SuperLink on the same machine, which listens on ``port``."""
    return [
        executable("flower-superexec"),
        *("--runtime-api-address", f"127.0.0.1:{port}", "--root-certificates", str(root_certificate)),
        *("--superexec-auth-secret-file", str(secret)),
    ]


def supernode_command(
    address: str, root_certificate: Path, private_key: Path, *, config: Path, port: int = 9094
) -> list[str]:
    """The command that runs a SuperNode which reaches its SuperLink at ``address`` (host:port).

    ``config`` is a TOML file with what its apps read as ``context.node_config``; ``port`` is for the apps it starts
    itself, on 127.0.0.1 only.
    """
    return [
        executable("flower-supernode"),
        *("--superlink", address, "--root-certificates", str(root_certificate)),
        *("--auth-supernode-private-key", str(private_key)),
        *("--host", "127.0.0.1", "--port", str(port), "--node-config", str(config)),
    ]
