"""FedAvg by pfl: its simulated backend with its own algorithm, users weighted by their rows, nothing evaluated."""

from importlib.metadata import version

import numpy as np
import torch
from pfl.aggregate.simulate import SimulatedBackend
from pfl.aggregate.weighting import WeightByDatapoints
from pfl.algorithm.base import NNAlgorithmParams
from pfl.algorithm.federated_averaging import FederatedAveraging
from pfl.callback.base import TrainingProcessCallback
from pfl.data.federated_dataset import FederatedDataset
from pfl.data.pytorch import PyTorchTensorDataset
from pfl.data.sampling import get_user_sampler
from pfl.hyperparam import NNTrainHyperParams
from pfl.metrics import Metrics
from pfl.model.pytorch import PyTorchModel
from work import WARM, Laps, Work, tell


class Model(torch.nn.Module):
    """The module with the loss that pfl asks for."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def loss(self, X, y):
        """The mean loss of a batch."""
        return torch.nn.functional.cross_entropy(self.inner(X), y)

    def metrics(self, X, y):
        """Nothing is evaluated: pfl asks for this all the same."""
        return {}


class Watch(TrainingProcessCallback):
    """Stops the time of each round."""

    def __init__(self, laps):
        self.laps = laps

    def after_central_iteration(self, aggregate_metrics, model, *, central_iteration):
        """A round is over."""
        self.laps.tick()
        return False, Metrics()


def main():
    """Train, and tell."""
    work, laps = Work.given(), Laps()
    np.random.seed(0)  # noqa: NPY002 - pfl draws users from it
    inner = work.module()
    data = {str(i): [torch.from_numpy(part) for part in rows] for i, rows in enumerate(work.owners)}
    users = FederatedDataset(
        lambda user: PyTorchTensorDataset(data[user], user_id=user), get_user_sampler("minimize_reuse", list(data))
    )
    model = Model(inner)
    trained = PyTorchModel(
        model, local_optimizer_create=torch.optim.SGD, central_optimizer=torch.optim.SGD(model.parameters(), 1.0)
    )
    rounds = work.rounds + WARM
    asked = NNAlgorithmParams(
        central_num_iterations=rounds,
        evaluation_frequency=rounds + 1,
        train_cohort_size=len(data),
        val_cohort_size=None,
    )
    local = NNTrainHyperParams(local_num_epochs=work.epochs, local_learning_rate=work.lr, local_batch_size=work.batch)
    laps.start()
    FederatedAveraging().run(
        algorithm_params=asked,
        backend=SimulatedBackend(training_data=users, val_data=users, postprocessors=[WeightByDatapoints()]),
        model=trained,
        model_train_params=local,
        callbacks=[Watch(laps)],
        send_metrics_to_platform=False,
    )
    tell({"pfl": laps.told(work.loss(inner))}, version=version("pfl"))


if __name__ == "__main__":
    main()
