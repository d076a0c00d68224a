"""Row-level privacy by Opacus: each owner makes one step on all its rows, clipped one by one, its noise on the sum.

Owners' steps are added up: one step of all of them, as with ``fl.RowLevelDP`` in this package.
"""

import warnings
from importlib.metadata import version

import torch
from opacus.grad_sample import GradSampleModule, GradSampleModuleFastGradientClipping
from opacus.optimizers import DPOptimizer, DPOptimizerFastGradientClipping
from opacus.utils.fast_gradient_clipping_utils import DPLossFastGradientClipping
from work import WARM, Laps, Work, tell

CLIP = 1.0

warnings.filterwarnings("ignore", message="Full backward hook is firing")


def private(work, *, ghost):
    """A round, and the module that it trains."""
    module = work.module()
    weights = list(module.parameters())
    wrap = GradSampleModuleFastGradientClipping if ghost else GradSampleModule
    wrapped = wrap(module, **({"max_grad_norm": CLIP} if ghost else {}))
    optimiser = (DPOptimizerFastGradientClipping if ghost else DPOptimizer)(
        torch.optim.SGD(module.parameters(), lr=work.lr),
        noise_multiplier=len(work.sizes) ** -0.5,  # together the owners' noise has a multiplier of 1
        max_grad_norm=CLIP,
        expected_batch_size=sum(work.sizes),
    )
    criterion = torch.nn.CrossEntropyLoss()
    if ghost:
        criterion = DPLossFastGradientClipping(wrapped, optimiser, criterion)
    rows = [(torch.from_numpy(X), torch.from_numpy(y)) for X, y in work.owners]

    def one_round():
        start = [w.detach().clone() for w in weights]
        total = [w.clone() for w in start]
        for X, y in rows:
            with torch.no_grad():
                torch._foreach_copy_(weights, start)
            optimiser.zero_grad()
            criterion(wrapped(X), y).backward()
            optimiser.step()
            with torch.no_grad():
                torch._foreach_add_(total, torch._foreach_sub(weights, start))
        with torch.no_grad():
            torch._foreach_copy_(weights, total)

    return one_round, module


def main():
    """Train, and tell."""
    work, found = Work.given(), {}
    torch.manual_seed(0)
    for name, ghost in (("Opacus, hooks", False), ("Opacus, ghost clipping", True)):
        one_round, module = private(work, ghost=ghost)
        laps = Laps()
        for _ in range(work.rounds + WARM):
            laps.time(one_round)
        found[name] = laps.told(work.loss(module))
    tell(found, version=version("opacus"))


if __name__ == "__main__":
    main()
