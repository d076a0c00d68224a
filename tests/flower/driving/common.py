"""A driven run in this process: the server in a thread, the notebook's node over its real line, a log that goes on."""

import threading
import time
from functools import partial

import pytest

import fedlab_nb as fl
from fedlab_nb.flower import news, server, watch
from fedlab_nb.flower.driving import asking
from fedlab_nb.flower.driving.node import answered, is_notebook
from fedlab_nb.flower.driving.words import Question
from fedlab_nb.flower.party.place import HELLO
from fedlab_nb.flower.rehearsal import Rehearsal
from tests.flower import net as nets
from tests.flower.net import Grid, Net, body_of, failing
from tests.flower.net import answered as reply_of

# Only there so that a broken test ends.
LONG = 60.0
RUN = 7
STRATEGY = fl.FedAvg(fl.models.logistic(), executor="sequential")


def until(condition):
    """Wait until it holds."""
    end = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.005)


class DrivenGrid(Grid):
    """As ``Grid``; the notebook's node answers in a thread of its own, and replies go to who asks for them.

    ``ask(data)`` is what the notebook's node does; a test may put something else in its place.
    """

    def __init__(self, parties, notebook, ask):
        super().__init__(parties)
        self.notebook, self.ask, self.questions, self.lost = notebook, ask, [], False

    def push_messages(self, messages):
        return [self._pushed(message) for message in messages]

    def _pushed(self, message):
        data = body_of(message)
        if message.metadata.dst_node_id != self.notebook or data == HELLO:
            return super().push_messages([message])[0]
        name = f"question {len(self.questions)}"
        self.questions.append(data)
        threading.Thread(target=self._answer, args=(name, data), daemon=True).start()
        return name

    def _answer(self, name, data):
        try:
            came = failing(1, "no node") if self.lost else reply_of(self.ask(data), self.notebook)
        except Exception as error:  # noqa: BLE001 - as Flower does
            came = failing(2, str(error))
        came.metadata.reply_to_message_id = name
        self._ready.append(came)

    def pull_messages(self, ids):
        ready = [reply for reply in self._ready if reply.metadata.reply_to_message_id in ids]
        for reply in ready:
            self._ready.remove(reply)
        return ready

    @property
    def waiting(self):
        """The replies of the notebook's node that the server has not fetched yet."""
        return [r for r in self._ready if r.metadata.reply_to_message_id.startswith("question")]

    def said(self):
        """What the server said with each question."""
        return [Question.read(data[1:]) for data in self.questions]


class Driven:
    """One driven run: ``begin`` starts the server, ``let`` has rounds played, ``attach`` is what a notebook does."""

    def __init__(self, monkeypatch, num_rounds=4, work=None, **settings):
        monkeypatch.setattr(nets, "Rehearsal", partial(Rehearsal, driven=True))
        monkeypatch.setattr(asking, "LOOK", 0.02)
        monkeypatch.setattr(server, "print", self._print, raising=False)
        self.num_rounds = num_rounds
        self.net = Net(*(work or (federation(**settings), STRATEGY)), monkeypatch, num_rounds)
        (self.node,) = [node for node, path in self.net.settings.items() if is_notebook(path)]
        ask = partial(answered, self.net.settings[self.node], str(RUN), self.net.app)
        self.grid = DrivenGrid(self.net.grid.parties, self.node, ask)
        self.lines, self.words, self.said, self.stopped, self._threads, self._seen = [], [], [], [], [], []
        self._gate, self.over = threading.Semaphore(0), threading.Event()

    def begin(self):
        """The server's process begins; its parties have met when this returns."""
        self._threads.append(threading.Thread(target=self._serve, daemon=True))
        self._threads[-1].start()
        until(lambda: self.lines or self.over.is_set())
        return self

    def let(self, rounds=1):
        """Let so many rounds begin, if the notebook does not hold them, and wait for the first of them."""
        before = len(self.rounds)
        self.free(rounds)
        until(lambda: len(self.rounds) > before or self.over.is_set())
        return self

    def free(self, rounds=1):
        """Let so many rounds begin, if the notebook does not hold them."""
        for _ in range(rounds):
            self._gate.release()

    def end(self):
        """Let all rounds be played, and wait for the end."""
        self.free(self.num_rounds + 1)
        assert self.over.wait(LONG)
        return self

    @property
    def rounds(self):
        """The rounds that were played."""
        return [said.record for said in self.said if isinstance(said, news.Played)]

    def attach(self):
        """A notebook takes the wheel."""
        run = watch.attach(self.net.rehearsal.project, self, RUN)
        self._seen.append(run)
        until(lambda: len(run.history) == len(self.rounds))
        return run

    def heard(self, run):
        """Wait until what this notebook wishes is with the server, or on its way and there."""
        wish = run._pressed.wheel.wish
        until(lambda: self.grid.waiting or any(q.taken >= wish.serial for q in self.grid.said()))

    def close(self):
        """All threads end, and nothing is left."""
        self.grid.lost = True
        if self._threads:
            self.end()
        for thread in self._threads:
            thread.join(LONG)
            assert not thread.is_alive()
        assert all(run._pressed.ended.wait(LONG) for run in self._seen)
        self.net.close()

    # What a ``Control`` does.

    def run(self, app, config=None):
        raise AssertionError("begin() begins it")

    def log(self, run_id):
        assert run_id == RUN
        at = 0
        while not self.over.is_set() or at < len(self.lines):
            if at < len(self.lines):
                at += 1
                yield self.lines[at - 1]
            else:
                time.sleep(0.005)

    def stop(self, run_id):
        self.stopped.append(run_id)

    def _serve(self):
        told = server.told(self.net.agreement, self.grid, 1.0, 3.0)
        for number, said in enumerate(told, 1):
            self.said.append(said)
            self.lines += news.lines(number, said, self.net.agreement.allowed)
            if not isinstance(said, news.Ended):
                self._gate.acquire()
        self.over.set()

    def _print(self, words, flush):
        assert flush
        self.words.append(words)


def federation(shift=0.0, **settings):
    # Budgets belong to data, and are shared by all that this process does with it.
    rows = fl.data.breast_cancer().head(240)
    owners = fl.split_rows(rows.assign(mean_radius=rows["mean_radius"] + shift), owners=3, seed=0)
    return fl.Federation(owners, **settings)


def interrupted_at_first_look(run):
    """Ctrl-C, once, as soon as somebody waits for the run."""

    def interrupted():
        del run._eyes.look
        raise KeyboardInterrupt

    run._eyes.look = interrupted


def weights(records):
    """The models after each of the rounds."""
    return [record.state.weights["server"] for record in records]


def notes(run):
    """What the handle told its reader."""
    return [note.words for note in run.snapshot().notes]


@pytest.fixture
def drive(monkeypatch):
    """Makes driven runs, and ends them."""
    made = []

    def make(num_rounds=4, work=None, **settings):
        made.append(Driven(monkeypatch, num_rounds, work, **settings))
        return made[-1]

    yield make
    for each in made:
        each.close()
