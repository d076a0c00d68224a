"""A whole run in this process: the server's loop over a grid that is none, and parties as their processes have them.

What is between them is bytes, as over Flower; what a site or the way does wrong is put in by a test.
"""

import itertools
import warnings
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

import fedlab_nb as fl
from fedlab_nb.errors import FedLabError
from fedlab_nb.flower import news, server
from fedlab_nb.flower.agreement import Agreement
from fedlab_nb.flower.client import body_of, packed
from fedlab_nb.flower.grid import exchange, meeting
from fedlab_nb.flower.party.party import Party
from fedlab_nb.flower.project.folder import APP
from fedlab_nb.flower.rehearsal import Rehearsal

with warnings.catch_warnings(action="ignore"), suppress(ImportError):
    import flwr.app  # noqa: F401 - on its first import it warns of what a package that it uses will do without


class Clock:
    """Time that passes only while somebody sleeps: patience runs out at once, and at the same place in every run."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def asked(content, node, kind, *, group_id):
    """A message as the server writes it; Flower's own can only be made inside of a run."""
    assert kind == "query.fedlab"
    return SimpleNamespace(metadata=SimpleNamespace(dst_node_id=node, group_id=group_id), content=content)


def answered(data, node):
    """A reply as Flower gives it."""
    return SimpleNamespace(
        metadata=SimpleNamespace(reply_to_message_id="", src_node_id=node),
        content=packed(data),
        error=None,
        has_error=lambda: False,
    )


def failing(code, reason=""):
    """A reply that says that there is none."""
    return SimpleNamespace(
        metadata=SimpleNamespace(reply_to_message_id=""),
        error=SimpleNamespace(code=code, reason=reason),
        has_error=lambda: True,
    )


class Grid:
    """Nodes by number; ``ways`` are what happens on the way from and to some of them.

    A way gets the bytes for a node and a function that has the node answer them; it gives the replies: none, or some.
    """

    def __init__(self, parties):
        self.parties, self.ways, self.trips, self.message = dict(parties), {}, 0, ""
        self._number, self._ready = itertools.count(), []

    def get_node_ids(self):
        return [*self.parties]

    def push_messages(self, messages):
        self.trips += 1
        ids = []
        for message in messages:
            node, data, name = message.metadata.dst_node_id, body_of(message), f"message {next(self._number)}"
            way = self.ways.get(node, lambda data, ask: [ask(data)])
            self.message = name
            for came in way(data, self.parties[node]):
                reply = answered(came, node) if isinstance(came, bytes) else came
                # One that was held back belongs to the message that it was an answer to.
                reply.metadata.reply_to_message_id = reply.metadata.reply_to_message_id or name
                self._ready.append(reply)
            ids.append(name)
        return ids

    def pull_messages(self, _):
        """All that is there, also what nobody asked for: Flower is not as careless."""
        ready, self._ready = self._ready, []
        return ready


def set_clock(monkeypatch):
    """The server's waiting takes no time."""
    clock = Clock()
    for part in (exchange, meeting):
        monkeypatch.setattr(part, "time", clock)


class Net:
    """The project of a federation, with a site for each party as a rehearsal has it, and nothing started."""

    def __init__(self, federation, strategy, monkeypatch, num_rounds=2, **more):
        set_clock(monkeypatch)
        monkeypatch.setattr("flwr.app.Message", asked)
        self.rehearsal = Rehearsal(federation, strategy, num_rounds=num_rounds, **more)
        self.app = self.rehearsal.project / APP
        self.agreement = Agreement.read(self.app)
        self.settings = {}
        for node, site in enumerate(self.rehearsal._sites, 1):
            self.settings[node] = Path(site.config["site"])
        self.parties = {node: Party(path, self.app) for node, path in self.settings.items()}
        self.grid = Grid({node: party.reply for node, party in self.parties.items()})

    def change(self, node, **settings):
        """Other lines in a site's settings."""
        lines = self.settings[node].read_text().splitlines()
        lines = [line for line in lines if line.split(" = ")[0] not in settings]
        lines = [f'{name} = "{value}"' for name, value in settings.items()] + lines
        self.settings[node].write_text("\n".join(lines) + "\n")

    def begin_anew(self, node):
        """The process of a party is gone, and there is a new one."""
        self.parties[node] = Party(self.settings[node], self.app)
        self.grid.parties[node] = self.parties[node].reply

    def told(self, patience=1.0, wait=3.0):
        """What the server tells, as it goes."""
        return server.told(self.agreement, self.grid, patience, wait)

    def close(self):
        self.rehearsal.close()


STRATEGY = fl.FedAvg(fl.models.logistic(), executor="sequential")
FIRST, SECOND, THIRD, HOLDER = 1, 2, 3, 4


@pytest.fixture
def net(monkeypatch):
    """Makes federations in this process, and clears them away."""
    made = []

    def make(num_rounds=2, shift=0.0, **settings):
        # Budgets belong to data, and are shared by all that this process does with it.
        rows = fl.data.breast_cancer().head(240)
        parties = fl.split_rows(rows.assign(mean_radius=rows["mean_radius"] + shift), owners=3, seed=0)
        federation = fl.Federation(parties, **{"encrypt": fl.CKKS(), **settings})
        made.append(Net(federation, STRATEGY, monkeypatch, num_rounds))
        return made[-1]

    yield make
    for each in made:
        each.close()


def rounds_of(told):
    """The rounds that were told of, after which the run ended well."""
    *begun, end = told
    assert isinstance(end, news.Ended)
    assert end.error is None, end.error
    return [said.record for said in begun if isinstance(said, news.Played)]


def why_not(told):
    """Why a run ended before it had begun."""
    (end,) = told
    assert isinstance(end.error, FedLabError)
    assert all((end.error.what, end.error.why, end.error.do))
    return str(end.error)


def cut_off(net, node, kind, number):
    """From the first order on that has ``node`` compute ``kind`` of round ``number``, nothing comes back from it."""
    side = net.parties[node]._site._verbs["introduce"].__self__
    inner, off = side.compute, []

    def compute(what, work, look, *more):
        off.extend([1] * ((what, look.number) == (kind, number)))
        return inner(what, work, look, *more)

    net.parties[node]._site._verbs["compute"] = compute
    return off


def after(off, then):
    """A way on which, from ``off`` on, ``then(reply)`` comes in place of each reply."""

    def way(data, ask):
        reply = ask(data)
        return then(reply) if off else [reply]

    return way


def lost_once(off):
    """A way on which the answer gets lost in which ``off`` came about."""
    return after(off, lambda _: off.clear() or [])
