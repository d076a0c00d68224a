"""Models of every kind of layer, rules of every kind, and owners of all sizes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from fedlab_nb.learn.engine import SGD, Batch, Job, Trained
from fedlab_nb.learn.engine.flat import flat_weights, trainable

INPUTS, CLASSES, SIZES = 16, 3, (5, 0, 1, 17, 9, 2, 16, 3)


def image(*layers: nn.Module) -> list[nn.Module]:
    """Layers for rows that are images of 4 x 4."""
    return [nn.Unflatten(1, (1, 4, 4)), *layers]


def activations() -> nn.Module:
    kinds = [nn.GELU(), nn.SiLU(), nn.LeakyReLU(0.1), nn.Sigmoid(), nn.GELU(approximate="tanh"), nn.Tanh(), nn.ReLU()]
    layers = [part for kind in kinds for part in (nn.Linear(7, 7), kind)]
    return nn.Sequential(nn.Linear(INPUTS, 7), nn.Identity(), *layers, nn.Linear(7, CLASSES, bias=False))


def cnn() -> nn.Module:
    first = image(nn.Conv2d(1, 9, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
    then = [nn.Conv2d(9, 10, (2, 1), stride=(1, 2), padding=(1, 0)), nn.Tanh(), nn.AvgPool2d((3, 1)), nn.Flatten()]
    return nn.Sequential(nn.Sequential(*first), *then, nn.Linear(10, CLASSES))


def strided() -> nn.Module:
    first = image(nn.Conv2d(1, 4, 3, padding=1, stride=2, bias=False), nn.ReLU(), nn.Conv2d(4, 9, 2, padding=1))
    return nn.Sequential(*first, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(9, CLASSES))


def series() -> nn.Module:
    first = [nn.Unflatten(1, (2, 8)), nn.Conv1d(2, 9, 3, padding=1, stride=2), nn.ReLU(), nn.MaxPool1d(2)]
    then = [nn.Conv1d(9, 4, 2, padding=1), nn.AvgPool1d(2, 1), nn.AdaptiveAvgPool1d(1), nn.Flatten()]
    return nn.Sequential(*first, *then, nn.Linear(4, CLASSES))


def thinned() -> nn.Module:
    first = [nn.Linear(INPUTS, 12), nn.ReLU(), nn.Dropout(0.3)]
    return nn.Sequential(*first, nn.Linear(12, 7), nn.Dropout(), nn.Linear(7, CLASSES))


def batch_normed() -> nn.Module:
    return nn.Sequential(nn.Linear(INPUTS, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, CLASSES))


def batch_normed_images() -> nn.Module:
    first = image(nn.Conv2d(1, 9, 3, padding=1), nn.BatchNorm2d(9, momentum=0.3, affine=False), nn.ReLU())
    return nn.Sequential(*first, nn.Flatten(), nn.Linear(144, CLASSES))


def layer_normed() -> nn.Module:
    first = image(nn.Conv2d(1, 9, 3, padding=1), nn.LayerNorm((4, 4)), nn.ReLU(), nn.LayerNorm((9, 4, 4), bias=False))
    return nn.Sequential(nn.LayerNorm(INPUTS), *first, nn.Flatten(), nn.Linear(144, CLASSES))


def group_normed() -> nn.Module:
    first = image(nn.Conv2d(1, 8, 3, padding=1), nn.GroupNorm(4, 8), nn.ReLU(inplace=True))
    return nn.Sequential(*first, nn.Flatten(), nn.Linear(128, CLASSES))


MODELS: dict[str, Callable[[], nn.Module]] = {
    "logistic": lambda: nn.Sequential(nn.Linear(INPUTS, CLASSES)),
    "mlp": lambda: nn.Sequential(nn.Linear(INPUTS, 12), nn.ReLU(), nn.Linear(12, CLASSES)),
    "activations": activations,
    "cnn": cnn,
    "strided": strided,
    "series": series,
    "dropout": thinned,
    "batchnorm": batch_normed,
    "batchnorm2d": batch_normed_images,
    "layernorm": layer_normed,
    "groupnorm": group_normed,
}
BATCHNORM = {"batchnorm", "batchnorm2d"}


@dataclass(frozen=True)
class Pulled:
    """Momentum on the loss and on how far the representation is from what the anchor makes of the row."""

    sgd: SGD

    def begin(self, w: Tensor) -> dict[str, Tensor]:
        return self.sgd.begin(w)

    def step(self, w: Tensor, batch: Batch, kept: Mapping[str, Tensor]) -> None:
        wanted = batch.representation(batch.anchor)

        def pull(z: Tensor) -> Tensor:
            return 0.3 * (z - wanted) / (z - wanted).norm(dim=2, keepdim=True).clamp(min=1e-3)

        self.sgd.move(w, batch.gradient(w, pull), batch, kept)


@dataclass(frozen=True)
class Ahead:
    """Two turns: the gradient at one minibatch moves a copy, the gradient there at the next one moves the weights."""

    lr: float

    def begin(self, w: Tensor) -> dict[str, Tensor]:
        return {"ahead": w.clone(), "turn": w[:, :1] * 0.0}

    def step(self, w: Tensor, batch: Batch, kept: Mapping[str, Tensor]) -> None:
        ahead, first = kept["ahead"], kept["turn"] == 0
        there = batch.gradient(ahead)
        ahead.copy_((w - self.lr * batch.gradient(w)).where(first, ahead))
        w.copy_(w.where(first, w - self.lr * there))
        kept["turn"].copy_(1 - kept["turn"])


def mask(module: nn.Module) -> np.ndarray:
    """Every other parameter."""
    return (np.arange(trainable(module)) % 2).astype(np.float32)


RULES: dict[str, Callable[[nn.Module], object]] = {
    "sgd": lambda _: SGD(0.1),
    "momentum": lambda _: SGD(0.1, momentum=0.9),
    "weight decay": lambda _: SGD(0.1, weight_decay=0.05),
    "prox": lambda _: SGD(0.1, prox=0.3),
    "offset": lambda _: SGD(0.1),
    "mask": lambda module: SGD(0.1, momentum=0.5, only=mask(module)),
    "pull": lambda _: Pulled(SGD(0.1, momentum=0.5)),
    "ahead": lambda _: Ahead(0.1),
}


def built(name: str, seed: int = 0) -> nn.Module:
    """A model with weights from ``seed``; torch's generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MODELS[name]()


def rows(n: int, seed: int, task: str = "multiclass") -> tuple[np.ndarray, np.ndarray]:
    """Features and targets of one owner."""
    rng = np.random.default_rng([seed, n])
    X = rng.normal(size=(n, INPUTS)).astype(np.float32)
    if task == "multiclass":
        return X, rng.integers(0, CLASSES, n)
    y = rng.integers(0, 2, n) if task == "binary" else rng.normal(size=n)
    return X, y.astype(np.float32)


def jobs_of(
    module: nn.Module,
    sizes: Sequence[int] = SIZES,
    number: int = 1,
    *,
    start: np.ndarray | None = None,
    offset: bool = False,
    apart: bool = False,
    task: str = "multiclass",
) -> list[Job]:
    """One job an owner; some have an offset, all an anchor; ``apart``: each its own starting weights."""
    weights, jobs = flat_weights(module) if start is None else start, []
    for i, n in enumerate(sizes):
        rng = np.random.default_rng([number, i])
        begin = weights + 0.01 * rng.normal(size=weights.size) if apart else weights
        turned = 0.1 * rng.normal(size=weights.size) if offset and i % 2 else None
        anchor = weights + 0.1 * rng.normal(size=weights.size)
        jobs.append(Job((7, number, i), *rows(n, i, task), begin, turned, anchor))
    return jobs


def mean(jobs: Sequence[Job], trained: Sequence[Trained]) -> np.ndarray:
    """The weights' mean, each owner counting as many times as it has rows."""
    total = sum(map(len, jobs))
    return sum(t.weights * (len(job) / total) for job, t in zip(jobs, trained, strict=True))
