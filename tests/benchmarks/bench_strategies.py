"""What strategies reach where the literature measured them: printed to be read, never a pass or a fail.

python run.py bench strategies [seeds]           ten owners of the small digits, five ways to divide them, 50 rounds
python run.py bench strategies mnist [shards]    100 owners of MNIST, rounds until 97 %: McMahan et al. 2017, table 1

For MNIST, its folder (with mnist.npz) may follow; left out, it is ../shared/data/mnist beside the repository.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import fedlab_nb as fl
from fedlab_nb.horizontal.drift import MOON, SCAFFOLD, FedDyn, FedNova, FedProx
from fedlab_nb.horizontal.server import FedAdagrad, FedAdam, FedAvgM, FedYogi
from tests.horizontal.strategies.pictures import accuracies, digits_apart, dirichlet, federation_of, iid, shards

MNIST = Path(__file__).resolve().parents[3] / "shared" / "data" / "mnist"
ROUNDS, TARGET = 50, 0.95
LOCAL = {"lr": 0.1, "local_epochs": 5, "batch_size": 16}
STRATEGIES = {
    "FedAvg": (fl.FedAvg, {}),
    "FedProx": (FedProx, {"mu": 0.1}),
    "SCAFFOLD": (SCAFFOLD, {}),
    "FedNova": (FedNova, {}),
    "FedAvgM": (FedAvgM, {"server_momentum": 0.7}),
    "FedAdam": (FedAdam, {"server_lr": 0.03}),
    "FedYogi": (FedYogi, {"server_lr": 0.03}),
    "FedAdagrad": (FedAdagrad, {"server_lr": 0.1}),
    "FedDyn": (FedDyn, {"alpha": 0.1}),
    "MOON": (MOON, {}),
}
DIVISIONS = {
    "IID": iid,
    "Dir(1.0)": dirichlet(1.0),
    "Dir(0.3)": dirichlet(0.3),
    "Dir(0.1)": dirichlet(0.1),
    "2 shards": shards,
}
# Accuracy at round 50 (mean of five seeds) and the median round that reaches 95 %, of an implementation in numpy.
REFERENCE = {
    "FedAvg": (".968 [10]", ".963 [12]", ".959 [21]", ".950 [47]", ".927 [–]"),
    "FedProx": (".966 [12]", ".960 [15]", ".959 [22]", ".943 [–]", ".914 [–]"),
    "SCAFFOLD": (".971 [9]", ".969 [10]", ".966 [14]", ".960 [26]", ".968 [18]"),
    "FedNova": (".968 [10]", ".964 [12]", ".962 [16]", ".948 [48]", ".927 [–]"),
    "FedAvgM": (".968 [7]", ".967 [7]", ".962 [10]", ".959 [19]", ".949 [44]"),
    "FedAdam": (".962 [11]", ".963 [12]", ".959 [16]", ".954 [23]", ".945 [45]"),
    "FedYogi": (".963 [11]", ".963 [11]", ".957 [16]", ".952 [24]", ".946 [45]"),
    "FedAdagrad": (".974 [14]", ".969 [14]", ".969 [14]", ".963 [19]", ".962 [23]"),
    "FedDyn": (".970 [6]", ".968 [7]", ".965 [8]", ".966 [12]", ".964 [15]"),
}


def say(line: str) -> None:
    """One line, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def cell(runs: list[list[float]]) -> str:
    """Mean and spread of the last accuracies, and the median round that reached the target."""
    last = [run[-1] for run in runs]
    spread = f"±{statistics.stdev(last):.3f}".replace("0.", ".") if len(last) > 1 else ""
    reached = [next((i for i, a in enumerate(run, 1) if a >= TARGET), ROUNDS + 1) for run in runs]
    middle = statistics.median(reached)
    return f"{statistics.mean(last):.3f}"[1:] + spread + f" [{middle:.0f}]".replace(f"[{ROUNDS + 1}]", "[–]")


def digits(seeds: int) -> None:
    """The table of all strategies on all divisions, ours beside the reference's."""
    train, test = digits_apart()
    say(f"Accuracy at round {ROUNDS}, mean ± deviation of {seeds} seeds [median round that reaches 95 %]; / reference")
    say(f"| | {' | '.join(DIVISIONS)} | seconds |\n|{'---|' * (len(DIVISIONS) + 2)}")
    for name, (kind, own) in STRATEGIES.items():
        begun, cells = time.perf_counter(), []
        for place, divide in enumerate(DIVISIONS.values()):
            strategy = kind(fl.models.mlp(64), **LOCAL, **own)
            runs = [
                list(accuracies(strategy, federation_of(train, divide, seed=s), test, num_rounds=ROUNDS, seed=s))
                for s in range(seeds)
            ]
            cells.append(f"{cell(runs)} / {REFERENCE[name][place] if name in REFERENCE else '–'}")
        say(f"| {name} | {' | '.join(cells)} | {time.perf_counter() - begun:.0f} |")


def mnist(divided: str, folder: Path) -> None:
    """Rounds until 97 % of the test set: 784-200-200-10, a tenth of 100 owners a round, one epoch, batches of 10."""
    train, test = (fl.data.mnist(folder, part=part) for part in ("train", "test"))
    most, paper = (110, 87) if divided == "IID" else (1000, 664)
    say("100 owners with 600 pictures each are made; it takes a minute or two.")
    federation = federation_of(train, iid if divided == "IID" else shards, owners=100, sample_rate=0.1)
    strategy = fl.FedAvg(fl.models.mlp((200, 200)), lr=0.1, local_epochs=1, batch_size=10)
    begun, best = time.perf_counter(), 0.0
    for number, accuracy in enumerate(accuracies(strategy, federation, test, num_rounds=most, white=255.0), 1):
        best = max(best, accuracy)
        if number % 10 == 0 or best >= 0.97:
            say(f"round {number}: best {best:.4f}, {time.perf_counter() - begun:.0f} s")
        if best >= 0.97:
            break
    said = f"{number} rounds" if best >= 0.97 else f"not in {most} rounds"
    say(f"MNIST, 2NN, {divided}, C=0.1, E=1, B=10, to 97 %: {said} (McMahan et al. 2017: {paper})")


def main(arguments: list[str]) -> None:
    """Which of the two, as the first argument says."""
    if arguments[:1] == ["mnist"]:
        rest = arguments[1:]
        divided = "shards" if rest[:1] == ["shards"] else "IID"
        folder = rest[-1] if rest and rest[-1] != "shards" else MNIST
        mnist(divided, Path(folder))
    else:
        digits(int(arguments[0]) if arguments else 5)


if __name__ == "__main__":
    main(sys.argv[1:])
