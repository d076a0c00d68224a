"""The loss of a row, and its gradient at the model's output, for each kind of target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedlab_nb.records.schema import Task

if TYPE_CHECKING:
    from torch import Tensor


def losses(task: Task, outputs: Tensor, target: Tensor) -> Tensor:
    """The loss of each row (n,): cross-entropy in nats, or the squared error of a standardised number."""
    from torch.nn import functional

    if task == "multiclass":
        return functional.cross_entropy(outputs, target, reduction="none")
    if task == "binary":
        return functional.binary_cross_entropy_with_logits(outputs[:, 0], target.to(outputs.dtype), reduction="none")
    return (outputs[:, 0] - target) ** 2


def mean_loss(task: Task, outputs: Tensor, target: Tensor) -> Tensor:
    """The mean of the rows' losses."""
    from torch.nn import functional

    return functional.cross_entropy(outputs, target) if task == "multiclass" else losses(task, outputs, target).mean()


def losses_alike(task: Task, outputs: Tensor, target: Tensor) -> Tensor:
    """The same for K owners (K, B) from outputs (K, B, outputs): equal bits wherever in the tensor a row stands.

    Of two classes: max(z, 0) - z y + log(1 + exp(-|z|)) with the log-odds z.
    """
    if task == "multiclass":
        chosen: Tensor = outputs.log_softmax(2).gather(2, target.unsqueeze(2))
        return -chosen[..., 0]
    first = outputs[..., 0]
    if task == "binary":
        return first.clamp(min=0.0) - first * target + first.abs().neg().exp().log1p()
    return (first - target) ** 2


def slopes(task: Task, outputs: Tensor, target: Tensor) -> Tensor:
    """The gradient (K, B, outputs) of each row's loss at its outputs: softmax - indicator of the class, or 2 * error.

    Of two classes the first output is the log-odds, of a number the prediction: at any other output it is 0.
    """
    if task == "multiclass":
        # Step by step: torch's own softmax takes several times as long over a last axis as short as this.
        d = outputs.sub(outputs.amax(2, keepdim=True)).exp_()
        d.div_(d.sum(2, keepdim=True))
        return d.scatter_add_(2, target.unsqueeze(2), d.new_full((1, 1, 1), -1.0).expand(*target.shape, 1))
    first = outputs[..., :1]
    known = target.unsqueeze(2).to(outputs.dtype)
    slope = first.neg().exp_().add_(1.0).reciprocal_().sub_(known) if task == "binary" else (first - known).mul_(2.0)
    if outputs.shape[2] == 1:
        return slope
    d = outputs.new_zeros(outputs.shape)
    d[..., :1] = slope
    return d
