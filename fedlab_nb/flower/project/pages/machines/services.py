"""The guide to services: the programs as units of systemd, their logs, and a reverse proxy before the SuperLink."""

from __future__ import annotations

_PAGE = """\
# Services

The commands of README.md as units of systemd, on Linux. All of them run as a user without rights, who owns one folder:

    sudo useradd --system --home-dir /srv/fedlab --shell /usr/sbin/nologin fedlab
    sudo install -d -o fedlab -g fedlab -m 700 /srv/fedlab

As this user (`sudo -u fedlab bash`, then `cd /srv/fedlab && umask 077`) make the environment `fedlab` of section 1
there, and put into the same folder what the commands name: certificates and keys, and at a site `site.toml`,
`node.toml` and the rows. Then nobody else can read a secret. Files that another user made there are given away and
closed: `sudo chown -R fedlab: /srv/fedlab && sudo chmod 600 /srv/fedlab/*.key /srv/fedlab/*.toml`.

## The units

On the server `/etc/systemd/system/fedlab-superlink.service`:

```ini
[Unit]
Description=SuperLink
Wants=network-online.target
After=network-online.target

[Service]
%(user)s
ExecStart=/srv/fedlab/fedlab/bin/flower-superlink --host 0.0.0.0 --port 8000 --database state.db \\
    --ssl-ca-certfile ca.pem --ssl-certfile superlink.pem --ssl-keyfile superlink.key \\
    --isolation process --superexec-auth-secret-file superexec.secret \\
    --enable-supernode-auth --disable-runtime-dependency-installation

[Install]
WantedBy=multi-user.target
```

and `/etc/systemd/system/fedlab-superexec.service`. A restart of the SuperLink leaves it alone, and the runs as well; a
restart of the SuperExec ends the runs:

```ini
[Unit]
Description=SuperExec, with the ServerApp of each run
Wants=fedlab-superlink.service
After=fedlab-superlink.service

[Service]
%(user)s
ExecStart=/srv/fedlab/fedlab/bin/flower-superexec --runtime-api-address 127.0.0.1:8000 --root-certificates ca.pem \\
    --superexec-auth-secret-file superexec.secret

[Install]
WantedBy=multi-user.target
```

At each site `/etc/systemd/system/fedlab-supernode.service`:

```ini
[Unit]
Description=SuperNode
Wants=network-online.target
After=network-online.target

[Service]
%(user)s
ExecStart=/srv/fedlab/fedlab/bin/flower-supernode --superlink fl.example.org:8000 --root-certificates ca.pem \\
    --auth-supernode-private-key supernode.key --host 127.0.0.1 --port 9094 --node-config node.toml
# The password that site.toml names with password_from: one line NAME=VALUE, in a file that root alone can read.
# EnvironmentFile=/etc/fedlab-password

[Install]
WantedBy=multi-user.target
```

Then `sudo systemctl daemon-reload` and `sudo systemctl enable --now fedlab-superlink fedlab-superexec`, at a site
`fedlab-supernode`. A program that fails is started again after ten seconds, one that was stopped is not. One that does
not end when it is stopped is killed after ten seconds: a SuperLink waits for everybody who still reads a log, and
answers no site meanwhile. What lies outside of `/srv/fedlab`, such as rows or Python itself, can be read where the user
`fedlab` may read it, but not below `/home` and `/root`; nothing outside can be written.

A SuperNode has a `flower-superexec` of its own, which `systemctl status fedlab-supernode` shows, and does not notice
when that is gone: the site is online then, and answers nothing. Restart it. The node of a notebook is no such service:
it runs as the kernel's user (README.md).

## Logs

What a program prints goes to the journal: `journalctl -u fedlab-supernode --since today`. A SuperNode says there when a
message came, what failed, and whose fingerprint was taken on the server's word; a SuperLink writes a line for
each request, about 30,000 a day for each site. No row is among them, and no model: what a ServerApp prints, models and
scores with it, is in `state.db`, from where `flwr log` reads it. journald throws the oldest away by itself, at a tenth
of the disk or 4 GB: no logrotate is needed. `SystemMaxUse=` and `MaxRetentionSec=` in `/etc/systemd/journald.conf` set
less. Members of the groups `adm` and `systemd-journal` can read the journal.

## A reverse proxy

Flower 1.42 speaks HTTP/1.1 over TLS at this one port, to sites and to commands: a proxy needs neither gRPC nor HTTP/2.
A site proves who it is in the headers of each request, not in TLS: so a proxy may end TLS, if it shows a certificate
that `ca.pem` vouches for. It then sees all that crosses, and could speak in a site's name, as a site signs no more than
the time: run it on the server's machine. One that passes TLS through unread cannot tell sites from commands, and shuts
out neither. For nginx, with the SuperLink at `--host 127.0.0.1` and port 8443 open to the sites in place of 8000:

```nginx
server {
    listen 8443 ssl;
    ssl_certificate /srv/fedlab/superlink.pem;
    ssl_certificate_key /srv/fedlab/superlink.key;
    client_max_body_size 0;
    location /v1/fleet/ {
        proxy_pass https://127.0.0.1:8000;
        proxy_http_version 1.1;
        proxy_ssl_verify on;
        proxy_ssl_trusted_certificate /srv/fedlab/ca.pem;
        proxy_ssl_name localhost;
        proxy_request_buffering off;
        proxy_read_timeout 300s;
    }
    location / {
        return 404;
    }
}
```
"""
_USER = """\
User=fedlab
WorkingDirectory=/srv/fedlab
Environment=PATH=/srv/fedlab/fedlab/bin:/usr/bin:/bin PYTHONUNBUFFERED=1
Environment=FLWR_TELEMETRY_ENABLED=0 FLWR_DISABLE_UPDATE_CHECK=1 FLWR_HOME=/srv/fedlab/flower-home
UMask=0077
NoNewPrivileges=yes
PrivateTmp=yes
ProtectHome=yes
ProtectSystem=strict
ReadWritePaths=/srv/fedlab
Restart=on-failure
RestartSec=10
TimeoutStopSec=10"""


def services_page() -> str:
    """The guide to services, which is the same for all projects."""
    return _PAGE % {"user": _USER}
