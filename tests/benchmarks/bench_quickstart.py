"""What the quickstart costs: printed for a person to read, never a pass or a fail.

python run.py bench
"""

import contextlib
import io
import os
import statistics
import subprocess
import sys

# In an interpreter of its own, so that nothing is loaded before the clock starts.
FIRST_ROUND = """
import contextlib, io, sys, time
start = time.perf_counter()
with contextlib.redirect_stdout(io.StringIO()):
    import fedlab_nb as fl
    owners = fl.split_rows(fl.data.breast_cancer(), owners=5, skew=0.5)
    fed = fl.Federation(owners, encrypt=fl.CKKS(), budget=fl.Budget(epsilon=8, delta=1e-3))
    rounds = fl.rounds(fed, fl.FedAvg(fl.models.mlp()), num_rounds=20)
    next(rounds)
    seconds = time.perf_counter() - start
    for _ in rounds:
        pass
import psutil
memory = psutil.Process().memory_info()
print(seconds, getattr(memory, "peak_wset", 0) / 1e6 or __import__("resource").getrusage(0).ru_maxrss / 1e3)
"""
REPEATS = 5


def first_round() -> tuple[float, float]:
    """Seconds from import to the end of the first encrypted round, and the peak memory of all twenty in megabytes."""
    done = subprocess.run([sys.executable, "-c", FIRST_ROUND], capture_output=True, text=True, check=True)
    seconds, megabytes = done.stdout.split()
    return float(seconds), float(megabytes)


def large_update() -> tuple[float, float]:
    """Bytes a parameter, and seconds, of one owner's sealed update of a hundred thousand parameters."""
    import numpy as np

    from fedlab_nb.channel import open_channel
    from fedlab_nb.crypto import CKKS
    from fedlab_nb.ledger import Ledger

    scheme, owners = CKKS(), ("Owner 1", "Owner 2")
    plan, values = scheme.plan(bound=1.0, owners=5), np.random.default_rng(0).uniform(-1, 1, 100_000)
    taken = []
    for _ in range(REPEATS):
        ledger = Ledger()
        open_channel(scheme, owners, ledger, 1).sum("update", dict.fromkeys(owners, values), plan, 1)
        taken.append(ledger.seconds["encrypt"] / len(owners))
    sealed = next(message for message in ledger.messages if message.kind == "update")
    return sealed.nbytes / values.size, statistics.median(taken)


def quickstart(*, encrypted: bool):
    """One run of the quickstart, in silence."""
    import fedlab_nb as fl

    owners = fl.split_rows(fl.data.breast_cancer(), owners=5, skew=0.5)
    budget = fl.Budget(epsilon=8, delta=1e-3)
    with contextlib.redirect_stdout(io.StringIO()):
        # Rehearsals on the same rows: without a noise seed their budget would be one, and spent after the first run.
        fed = fl.Federation(owners, encrypt=fl.CKKS() if encrypted else None, budget=budget, noise_seed=0)
        run = fl.train(fed, fl.FedAvg(fl.models.mlp()), num_rounds=20)
        run.wait()
    return run


def main() -> None:
    """Print the table."""
    firsts = [first_round() for _ in range(3)]
    seconds: dict[bool, list[float]] = {False: [], True: []}
    areas, runs = {}, {}
    for _ in range(REPEATS):
        for encrypted in (False, True):  # by turns, so that a busy machine slows both alike
            run = quickstart(encrypted=encrypted)
            table = run.frame()
            seconds[encrypted] += list(table["seconds"][1:])
            areas[encrypted] = table["auc"].iloc[-1]
            runs[encrypted] = run
    updates = {sealed: run.history[-1].traffic["update"] for sealed, run in runs.items()}
    parameters = runs[True].history[-1].state.weights["server"].size
    each = {sealed: update.nbytes / update.messages / parameters for sealed, update in updates.items()}
    bytes_each, seal_seconds = large_update()
    rows = [
        ("import to first encrypted round, seconds (best of 3)", f"{min(s for s, _ in firsts):.2f}"),
        ("peak memory of the process, MB (median of 3)", f"{statistics.median(m for _, m in firsts):.0f}"),
        ("a round in the clear, seconds (median)", f"{statistics.median(seconds[False]):.4f}"),
        ("a round encrypted, seconds (median)", f"{statistics.median(seconds[True]):.4f}"),
        (f"an update of {parameters} parameters in the clear, bytes a parameter", f"{each[False]:.1f}"),
        (f"an update of {parameters} parameters encrypted, bytes a parameter", f"{each[True]:.1f}"),
        ("an update of 100,000 parameters encrypted, bytes a parameter", f"{bytes_each:.1f}"),
        ("sealing these 100,000 parameters, seconds (median)", f"{seal_seconds:.2f}"),
        # In the clear the server sees each update, so that each owner adds by itself what all add together when sealed.
        ("AUC after 20 rounds in the clear (one rehearsal)", f"{areas[False]:.3f}"),
        ("AUC after 20 rounds encrypted (one rehearsal)", f"{areas[True]:.3f}"),
        ("cores", str(os.cpu_count())),
    ]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        sys.stdout.write(f"{name:<{width}}  {value:>12}\n")


if __name__ == "__main__":
    main()
