"""The guide to certificates and keys: who makes which file, where it stays, and what to do when one is lost."""

from __future__ import annotations

from fedlab_nb.flower.project.parties import Parties

_PAGE = """\
# Certificates and keys

TLS and the authentication of sites are on in all commands of README.md; do not run this with `--insecure`. No file of
this page ever comes into the project's folder: the commands below refuse to write there.

| File | Made by | Goes to | Secret |
|---|---|---|---|
| `ca.key` | whoever signs, best on a machine apart | nobody | **yes**: who has it can pose as the server |
| `ca.pem` | with it | all parties: by it they know the server | no, but each must get the right one |
| `superlink.key`, `superexec.secret` | the server | nobody | **yes** |
| `superlink.pem` | with it | whoever connects is shown it | no |
| `supernode.key` | each site, at the site | nobody | **yes**: who has it can pose as the site |
| `supernode.pub` | with it | the server, which registers it | no, but it must come from that site |
| `identity.key` | each party, by its first `check` | nobody | **yes**: who has it can sign keys in its name |

## Make them

Once, where the authority is kept, and then the server's certificate with the names and addresses by which sites call
the server (`localhost` is always among them):

    python -m fedlab_nb.flower.project authority ca/
    python -m fedlab_nb.flower.project server certificates/ --authority ca/ --name fl.example.org --name 192.0.2.7

At each site ({sites}), in a folder outside every project:

    python -m fedlab_nb.flower.project key keys/

and send `keys/supernode.pub` to the server, which renames it after the site, as README.md shows. Compare `ca.pem` and
`supernode.pub` on a second way, such as by telephone: `sha256sum FILE` at both ends. Secret files are written readable
by their owner alone (mode 600); no file is written over. README.md names all files without their folders `ca/`,
`certificates/` and `keys/`: copy them to where the programs are started, or write the folders before the names.

## Keep them

- **They end.** All certificates last 365 days (`--days`). Before that, make a new server certificate with the same
  authority, exchange the two files, restart the SuperLink; sites change nothing. When the authority ends, all get a
  new `ca.pem`. Keys of sites do not end.
- **A site's key is lost or known to others.** `flwr supernode unregister NODE_ID fedlab_superlink` on the server,
  in the project's folder, with the number that was noted when it was registered; a new key at the site, register it.
- **A party's `identity.key` is lost or known to others.** Remove it; the next `check` makes another one and shows its
  fingerprint: all others note that one in place of the old.
- **The server's key is known to others.** A new certificate is not enough, as the old one stays good until it ends: a
  new authority, and a new `ca.pem` at all sites.
- **A second server.** A certificate of its own from the same authority.
- A firm's own authority does as well: give its root as `ca.pem`. The server's certificate must name `127.0.0.1`
  besides, as the SuperLink's own programs call it by that.
"""


def certificates_page(parties: Parties) -> str:
    """The guide to certificates and keys."""
    return _PAGE.format(sites="owners and key holder" if parties.has_key_holder else "each owner")
