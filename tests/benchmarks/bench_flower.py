"""What a round over real Flower processes takes: printed to be read, never a pass or a fail.

python run.py bench flower          start-up; real trips beside empty ones on the same grid; memory of each process
python run.py bench flower link     the quickstart's model over a link of 20 Mbit/s and 50 ms (Linux, as root)

A trip is one message to each party and its answer. Flower itself takes seconds for it, whatever is in it: a SuperNode
asks every three seconds whether there is something for it, and a new process starts for each message. So each real trip
is followed by an empty one to the same parties, in the same run: other work on this machine then slows both. Every
third empty one is also made in Flower's own way (grid.send_and_receive), which looks every three seconds for answers.
An empty round of Flower is two of those: its own FedAvg asks the nodes to train, and then to evaluate.
"""

from __future__ import annotations

import os
import re
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import psutil

import fedlab_nb as fl
from fedlab_nb.flower.project.folder import APP
from fedlab_nb.flower.rehearsal import Rehearsal

# The server of the project, with a clock at each trip.
TIMED = '''"""The server, with a clock at each trip."""

import itertools
import time
from pathlib import Path

from fedlab_nb.flower import server
from fedlab_nb.flower.client import KIND, packed
from fedlab_nb.flower.grid.exchange import GridExchange
from fedlab_nb.flower.party.place import HELLO, ORDERS

app = server.server_app(Path(__file__).parent)
inner, count = GridExchange.sent, itertools.count()


def say(what, began, parties, sent, came):
    now = time.monotonic()
    print(f"BENCH {what} {began:.4f} {now:.4f} {parties} {sent} {came}", flush=True)


def timed(self, what, bodies):
    began = time.monotonic()
    replies = inner(self, bodies)
    came = sum(len(reply) for reply in replies.values() if isinstance(reply, bytes))
    say(what, began, len(bodies), sum(map(len, bodies.values())), came)
    return replies


def flowers_own(self, names):
    from flwr.app import Message

    began = time.monotonic()
    messages = [Message(packed(HELLO), self._nodes[name], f"query.{KIND}") for name in names]
    replies = list(self._grid.send_and_receive(messages, timeout=self._patience))
    say("own", began, len(replies), len(names), 0)


def sent(self, bodies):
    if not all(body[:1] == ORDERS for body in bodies.values()):
        return inner(self, bodies)
    replies = timed(self, "real", bodies)
    if EMPTY:
        timed(self, "empty", dict.fromkeys(bodies, HELLO))
        if next(count) % 3 == 0:
            flowers_own(self, [*bodies])
    return replies


GridExchange.sent = sent
'''
LINE = re.compile(r"BENCH (\w+) ([\d.]+) ([\d.]+) (\d+) (\d+) (\d+)")
ROLES = {
    "SuperLink": "flower-superlink",
    "SuperNode": "flower-supernode",
    "superexec (one at each of them)": "flower-superexec",
    "ServerApp": "flwr-serverapp",
    "ClientApp, while it hands over": "flwr-clientapp",
    "party, for the whole run": "fedlab_nb.flower.party.process",
}


@dataclass(frozen=True)
class Trip:
    """One message to each of some parties and its answer: seconds, and bytes there and back."""

    what: str
    began: float
    ended: float
    parties: int
    sent: int
    came: int

    @property
    def seconds(self) -> float:
        """From the first byte to the last answer."""
        return self.ended - self.began


def say(line: str = "") -> None:
    """One line, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Memory:
    """The largest memory of a process of each role, looked at again and again while a run goes on."""

    def __init__(self) -> None:
        self.most: dict[str, tuple[int, int]] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._before = set(psutil.pids())

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.3):
            for process in psutil.process_iter():
                try:
                    command = " ".join(process.cmdline()[:5]) if process.pid not in self._before else ""
                    role = next((name for name, word in ROLES.items() if word in command), None)
                    if role:
                        memory = process.memory_full_info()
                        self.most[role] = max(self.most.get(role, (0, 0)), (memory.rss, memory.uss))
                except psutil.Error:
                    continue


def timed_project(lab: Rehearsal, *, empty: bool) -> None:
    """Put the clock into the project's server."""
    (lab.project / APP / "server_app.py").write_text(TIMED.replace("if EMPTY:", f"if {empty}:"))


def trips(lab: Rehearsal, run: int) -> list[Trip | int]:
    """Trips, and the number of each round where it was over, as the run's log has them."""
    found: list[Trip | int] = []
    for line in lab.control.log(run):
        if match := LINE.search(line):
            what, began, ended, *counts = match.groups()
            found.append(Trip(what, float(began), float(ended), *map(int, counts)))
        elif match := re.match(r"Round (\d+): ", line):
            found.append(int(match[1]))
    return found


def by_round(found: list[Trip | int]) -> Iterator[tuple[int, list[Trip]]]:
    """The trips of each round; those before the first belong to it."""
    now: list[Trip] = []
    for item in found:
        if isinstance(item, int):
            yield item, now
            now = []
        else:
            now.append(item)


def spread(trips: list[Trip]) -> str:
    """Median, least and most seconds."""
    seconds = sorted(trip.seconds for trip in trips)
    return f"{statistics.median(seconds):6.2f} ({seconds[0]:.2f} to {seconds[-1]:.2f})" if seconds else "     -"


def main(owners: int = 3, rounds: int = 4) -> None:
    """Print start-up, trips and memory: in the clear, and under CKKS."""
    for encrypt in (None, fl.CKKS()):
        measured(encrypt, owners, rounds)


def measured(encrypt: fl.CKKS | None, owners: int, rounds: int) -> None:
    """The same under one encryption."""
    federation = fl.Federation(fl.split_rows(fl.data.breast_cancer(), owners=owners, seed=0), encrypt=encrypt)
    strategy = fl.FedAvg(fl.models.logistic(), executor="sequential")
    say(f"\n== {owners} owners, FedAvg(logistic), {encrypt or 'in the clear'}, {rounds} rounds, {os.cpu_count()} cores")
    say(f"load of this machine at the beginning: {os.getloadavg()[0]:.1f}")
    with Memory() as memory:
        lab = Rehearsal(federation, strategy, num_rounds=rounds)
        try:
            timed_project(lab, empty=True)
            began = time.perf_counter()
            lab.start()
            say(f"start-up: {time.perf_counter() - began:.1f} s until all SuperNodes have met the SuperLink")
            run = lab.run(patience=300.0)
            run.wait()
            found = trips(lab, run.number)
        finally:
            lab.close()
    show(found)
    say("\nlargest memory of one process, MB: all of it, and what is its own")
    for name, (rss, uss) in memory.most.items():
        say(f"  {name:32} {rss / 1e6:6.0f} {uss / 1e6:6.0f}")
    say(f"\nload of this machine at the end: {os.getloadavg()[0]:.1f}")


def show(found: list[Trip | int]) -> None:
    """Real trips beside empty ones."""
    say("\nround  trips   real, s a trip            empty, s a trip           ratio   real, s   bytes there and back")
    for number, all_trips in by_round(found):
        real, empty = ([t for t in all_trips if t.what == what] for what in ("real", "empty"))
        ratio = sum(t.seconds for t in real) / sum(t.seconds for t in empty)
        line = f"{number:5} {len(real):6}  {spread(real):24}  {spread(empty):24} {ratio:6.2f}"
        say(
            f"{line}  {sum(t.seconds for t in real):8.1f}   {sum(t.sent for t in real):,} {sum(t.came for t in real):,}"
        )
    every = [item for item in found if isinstance(item, Trip)]
    real, empty, own = ([t for t in every if t.what == what] for what in ("real", "empty", "own"))
    ratios = [one.seconds / other.seconds for one, other in zip(real, empty, strict=True)]
    say(f"all trips: real {spread(real)}, empty {spread(empty)}, Flower's own way {spread(own)}")
    total = sum(t.seconds for t in real) / sum(t.seconds for t in empty)
    say(f"a real trip over the empty one after it: median {statistics.median(ratios):.2f}; all over all {total:.2f}")
    steady = [sum(t.seconds for t in those if t.what == "real") for number, those in by_round(found) if number > 1]
    if steady and own:
        real_round, empty_round = statistics.median(steady), 2 * statistics.median(trip.seconds for trip in own)
        ratio = f"{real_round / empty_round:.2f}"
        say(f"a round after the first: {real_round:.1f} s; an empty one of Flower: {empty_round:.1f} s; ratio {ratio}")


if __name__ == "__main__":
    # Every process runs the code that this one runs.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [sys.path[0], os.environ.get("PYTHONPATH", "")]))
    if sys.argv[1:2] == ["link"]:
        from tests.benchmarks.flower_link import over_a_link

        over_a_link(*map(int, sys.argv[2:]))
    else:
        main(*map(int, sys.argv[1:]))
