"""The guide for those who run the machines: what runs where, who can read what, and the commands in order."""

from __future__ import annotations

from fedlab_nb.flower.agreement import Agreement
from fedlab_nb.flower.project.pages.app import PACKAGE, WAIT
from fedlab_nb.flower.project.pages.asked import of_questions
from fedlab_nb.flower.project.pages.columns import of_columns
from fedlab_nb.flower.project.pages.markdown import code, plain
from fedlab_nb.flower.project.pages.notes import notes
from fedlab_nb.flower.project.pages.sites import KEY_HOLDER_FILE
from fedlab_nb.flower.project.pages.trust import beside_key_holder, threats_apart
from fedlab_nb.flower.project.parties import Parties
from fedlab_nb.flower.survey.questions import Questions
from fedlab_nb.units import counted, epsilon_text

# Messages to the sites and back that a sum takes, by what hides updates: that of an update, and that of its score.
_TRIPS = {"none": (1, 1), "authority": (3, 3), "owners": (3, 3), "threshold": (6, 5), "masks": (5, 5)}
_VERDICTS = {True: "safe", False: "**exposed**", None: "depends"}

_README = """\
# {name}: {owners} {does} on Flower

For those who run the machines. Written by fedlab_nb {version} from what the parties agreed on.

{work}
- **Settings:** {settings}
- **Owners:** {names}
- **Agreement:** `fedlab_app/agreement.json`, SHA-256 `{digest}`
{warning}
Read the agreement. Each site notes this digest in its `site.toml`, and then refuses any other: `sha256sum
fedlab_app/agreement.json` must print it.{task}

## What runs where

| Party | Machine | Programs | Memory, about | Holds |
|---|---|---|---|---|
| server | one that all others reach by one port | SuperLink, SuperExec, and a ServerApp for each run \
| 725 MB | {results} |
| each owner | where its rows are | SuperNode, and one process of the party for each run \
| 645 MB, and its rows | its rows, its `site.toml`, its vault{keeps} |
{more_rows}
Sites call the server; nobody calls a site, so that a site needs no open port. Rows never leave an owner. This folder
goes to all parties; keys, rows, passwords and filled-in settings never come into it.

## Who can read what

Worked out from the settings above, for parties that keep to the protocol unless it says otherwise.

| Who | Could learn | So rows are |
|---|---|---|
{threats}

## 1. All parties: install

Python 3.11 or newer, in an environment of its own, on every machine the same versions:

    python -m venv fedlab && . fedlab/bin/activate
    pip install "fedlab-nb[flower]=={version}"      # or: pip install "./fedlab_nb-{version}-py3-none-any.whl[flower]"
    export FLWR_TELEMETRY_ENABLED=0 FLWR_DISABLE_UPDATE_CHECK=1 FLWR_HOME=$PWD/flower-home
    python -m fedlab_nb.flower.project show PROJECT

If no package index has this version, whoever exported the project makes the wheel from its source (`pip wheel --no-deps
.`) and sends it to all; compare its `sha256sum`. The last line prints the agreement, its digest, and whether the code
here is the code that it was made with. The three variables belong to every command below: nothing is reported to
Flower's makers, and Flower's own files stay in `flower-home`. Keep the environment active: Flower finds its programs by
PATH.

## 2. The server

Make certificates as in CERTIFICATES.md, then run both programs, each for good (SERVICES.md, or a terminal each):

    umask 077    # nobody else reads state.db
    flower-superlink --host 0.0.0.0 --port 8000 --database state.db \\
        --ssl-ca-certfile ca.pem --ssl-certfile superlink.pem --ssl-keyfile superlink.key \\
        --isolation process --superexec-auth-secret-file superexec.secret \\
        --enable-supernode-auth --disable-runtime-dependency-installation
    flower-superexec --runtime-api-address 127.0.0.1:8000 --root-certificates ca.pem \\
        --superexec-auth-secret-file superexec.secret

Tell Flower's command line where the SuperLink is, in `flower-home/config.toml`:

    [superlink]
    default = "fedlab_superlink"

    [superlink.fedlab_superlink]
    address = "127.0.0.1:8000"
    root-certificates = "/full/path/of/ca.pem"

In this folder, let in each site by its `supernode.pub`, renamed; note each NODE_ID printed, as lists show no names:

{register}

**Firewall.** In Flower 1.42 one port serves sites and the commands that start runs, and these ask for no password:
whoever reaches it, a site included, can have every site run an app of theirs. So let nobody but the sites' addresses
through to port 8000; and best put a reverse proxy with the server's certificate in front, which passes on `/v1/fleet/`
and nothing else (SERVICES.md). Start runs on the server itself, or through a tunnel (section {last}).

## 3. Each owner

Make a key pair (CERTIFICATES.md), send its public part to the server, get `ca.pem` from there. Copy `sites/NAME.toml`
to the machine as `site.toml`, fill it in, and try it; what is wrong is shown here and nowhere else:

    python -m fedlab_nb.flower.project check site.toml --app PROJECT
{fingerprints}
Write `node.toml` with the one line `site = "/full/path/of/site.toml"`, then run, for good:

    flower-supernode --superlink fl.example.org:8000 --root-certificates ca.pem \\
        --auth-supernode-private-key supernode.key --host 127.0.0.1 --port 9094 --node-config node.toml

- Run it as a user of its own, who can read this site's folder and nothing else: an app that the server is made to send
  runs with this user's rights.
- The clock may be at most 5 seconds ahead of the server's and 5 minutes behind: use a time service (NTP).
- Back up the vault (`budget.vault`), and never restore an older copy while a newer one exists: what was spent since
  would be forgotten, and could be spent again.
- Two SuperNodes on one machine need two numbers for `--port`.
{holder_section}
## {last}. Run, watch, stop

On the server, in this folder, once all sites are online (`flwr supernode list fedlab_superlink`):

    flwr run . fedlab_superlink --stream         # also: --run-config "patience=600 wait=900"
    flwr log RUN_ID fedlab_superlink --stream    # from the beginning, at any time
    flwr list fedlab_superlink --run-id RUN_ID   # where it stands: read this, a failed run does not fail the command
    flwr stop RUN_ID fedlab_superlink

From elsewhere, also from a notebook, first open a tunnel: `ssh -N -L 8000:127.0.0.1:8000 fl.example.org`. The address
is then the same: `fl.flower.Control("127.0.0.1:8000", "ca.pem", "flower-home")`.

The run waits for all parties ({wait} seconds), has each say who it is, under which agreement and by which code, and
refuses to begin if one differs. A message to the sites and back takes 4 to 6 seconds when quiet, whatever it carries,
as sites ask every 3 seconds for news. {trips}
Stopping a SuperNode (Ctrl-C, or the service) ends its party's process within seconds; {lost}.

## When something is wrong

| It says | It means |
|---|---|
| `Failed to activate SuperNode` | the public key is not registered, or a SuperNode with this key is online already; \
after a crash the server takes a minute to notice |
| `CERTIFICATE_VERIFY_FAILED` | not the `ca.pem` of this server, or a name of it that its certificate does not \
have |
| `Connection attempt failed` | address, port, firewall, or the SuperLink is not running; it tries again by itself |
| `takes part in the agreement ... alone` | the app is not the one whose digest stands in `site.toml` |
| `made by the code ...` | another version of fedlab_nb is installed there |
| `did not come within` | a SuperNode is missing, or its `node.toml` names no `site.toml` |

## Upgrade

All parties at once, between runs: stop the SuperNodes and the SuperLink, install the same new version everywhere,
export this project anew, compare its digest, note it in every `site.toml`, start again. Vaults and keys stay.

## What this version does not do

A run that was ended is not gone on with: start another; what was spent stays spent. Sites cannot check who signed an
app: the digest in `site.toml` binds fedlab_nb, and a user without rights and the firewall above bind all else.
"""
_HOLDER_ROW = (
    "| key holder | one that neither the server nor an owner runs | SuperNode, and one process for each run "
    "| 345 MB | the secret key of a run, in memory only, while it lasts |\n"
)
_NOTEBOOK_ROW = (
    "| notebook | the one of the kernel that drives | SuperNode, and a process of Flower's in which a question waits "
    "| 150 MB more than a SuperNode's | no rows and no keys |\n"
)
_FINGERPRINTS = """
**Fingerprints.** Parties seal by keys that the server passes on; it could pass on its own, and read what is sealed. So
`check` shows a fingerprint of this party, which lasts, and whose are missing. Tell yours to every other party by
telephone or on paper, never through the server, and note theirs in `site.toml`:

    [known]
    "NAME IN THE AGREEMENT" = "64 SIGNS"

Keys of a noted party are refused unless it signed them. Of others the first that the server shows is taken, in each run
anew. The run's log says so, but that is the server's own: go on when `check` says that none is missing.
"""
_OF_HOLDER = " Every owner notes its fingerprint, and it notes theirs (section 3)."
_HOLDER = """
## 4. The key holder

As an owner, on a machine of its own that neither the server nor an owner runs, with `sites/{file}.toml`; it has no
rows and no vault.{fingerprints}
{risk}"""
_TASK = (
    " `fedlab_app/task.py` holds models or strategies of the federation's own; they run beside the rows: read it too."
)
_ASKING = (
    " Its function asks the questions: read it too. An epsilon that it names is that of one question; what all of them "
    "cost together is not their sum, and is counted by each site's vault. The server runs it, no site does. A site "
    "answers sums and counts as fedlab_nb knows them, under the settings below, debits its own vault for each, and "
    "refuses all training. That the server asks what stands in the function and nothing else is its word: "
)
_BOUNDED = (
    "what it could ask besides is bounded by the budget, beyond which a site refuses. Asked once more in one run, a "
    "question is answered with what was released, and costs nothing; in another run it is paid for once more."
)
_UNBOUNDED = "nothing bounds what it could ask besides but a budget that a site has of its own, in its `site.toml`."


def readme(name: str, parties: Parties, agreement: Agreement, cost: float | None = None) -> str:
    """The guide for those who run the machines; ``cost`` is what questions cost an owner on invented rows, if tried."""
    holder = parties.has_key_holder
    asking = isinstance(agreement.strategy, Questions)
    return _README.format(
        name=name,
        owners=counted(len(parties.owners), "owner"),
        version=PACKAGE,
        settings=agreement.words,
        names=", ".join(map(plain, parties.names)),
        digest=agreement.digest,
        warning=notes(name, agreement),
        more_rows=_HOLDER_ROW * holder + _NOTEBOOK_ROW * agreement.driven,
        threats=_table(parties, agreement, asking=asking),
        register=_register(parties),
        fingerprints=_FINGERPRINTS if agreement.seals else "",
        holder_section=_holder(agreement, asking=asking) if holder else "",
        last=5 if holder else 4,
        wait=WAIT,
        **(_of_questions(parties, agreement, cost) if asking else _of_training(parties, agreement)),
    )


def _holder(agreement: Agreement, *, asking: bool) -> str:
    told = _OF_HOLDER * agreement.seals
    return _HOLDER.format(file=KEY_HOLDER_FILE, fingerprints=told, risk=beside_key_holder(agreement, asking=asking))


def _of_training(parties: Parties, agreement: Agreement) -> dict[str, str]:
    """What the guide says of a training alone."""
    if agreement.vertical:
        return of_columns(parties, agreement)
    target, rounds = (
        code(parties.target) if parties.target else "the column that each site names",
        counted(agreement.num_rounds, "round"),
    )
    return {
        "does": "train one model",
        "work": f"- **Trained:** {code(repr(agreement.strategy))}, {rounds}, to predict {target}",
        "results": "the model, and what owners send",
        "keeps": "",
        "task": _TASK if agreement.modules else "",
        "trips": _trips(agreement),
        "lost": _lost(parties),
    }


def _trips(agreement: Agreement) -> str:
    """How many trips a round takes, counted on FedAvg; its score takes none of its own where it rides along."""
    house, (update, score) = agreement.house, _TRIPS[agreement.house.hiding]
    if house.min_owners is not None:
        return (
            f"A round takes about {update + score + 2} of them, the first one some more: who is lost is noticed first."
        )
    if agreement.driven:
        return f"A round takes about {update + score} of them, the first one some more."
    return (
        f"A round takes about {max(update, score)} of them, the first one some more. Its score travels with the next "
        "round, and is known when that one is."
    )


def _of_questions(parties: Parties, agreement: Agreement, cost: float | None) -> dict[str, str]:
    """What the guide says of questions alone."""
    if agreement.vertical:
        return of_questions(agreement)
    target = code(parties.target) if parties.target else "the target that each site names"
    tried = f"\n- **Cost:** on invented rows, epsilon {epsilon_text(cost)} of each owner for all of them together"
    return {
        "does": "answer questions",
        "work": f"- **Asked:** what the function `{agreement.strategy.name}` in `fedlab_app/task.py` asks, of all rows "
        f"that have a value in {target}{tried if cost else ''}",
        "results": "the answers, and what owners send",
        "keeps": "",
        "task": _ASKING + (_UNBOUNDED if parties.house.budget is None else _BOUNDED),
        "trips": f"A sum takes {_TRIPS[parties.house.hiding][1]} of them, the first one some more. A question is one "
        "sum where bounds and categories are declared, and several where they have to be learned.",
        "lost": "a question that an owner does not answer ends the run, and the answers before it are kept",
    }


def _table(parties: Parties, agreement: Agreement, *, asking: bool) -> str:
    rows = threats_apart(parties, agreement, asking=asking)
    return "\n".join(f"| {plain(t.who)} | {plain(t.could_read)} | {_VERDICTS[t.safe]} |" for t in rows)


def _register(parties: Parties) -> str:
    files = [owner.file for owner in parties.owners] + ["key-holder"] * parties.has_key_holder
    return "\n".join(f"    flwr supernode register ../{file}.pub fedlab_superlink --name {file}" for file in files)


def _lost(parties: Parties) -> str:
    least = parties.house.min_owners
    if least is None:
        return "a round in which an owner is missing fails, and ends the run"
    return (
        f"a round goes on without owners that are missing as long as {least} are left; one that is lost when a sum may "
        "be open already fails its round, and the run goes on with the next"
    )
