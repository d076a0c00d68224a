"""FedAvg by FedLab: its standalone pipeline with its serial trainer, nothing evaluated."""

import no_torchvision  # noqa: F401 - before FedLab, which asks for it

# isort: split
from importlib.metadata import version

import torch
from fedlab.contrib.algorithm.basic_client import SGDSerialClientTrainer
from fedlab.contrib.algorithm.basic_server import SyncServerHandler
from fedlab.core.standalone import StandalonePipeline
from fedlab.utils import Aggregators, SerializationTool
from torch.utils.data import DataLoader, TensorDataset
from work import WARM, Laps, Work, tell


class Data:
    """A loader of each owner's rows, as FedLab's own data sets make them."""

    def __init__(self, owners):
        self.sets = [TensorDataset(torch.from_numpy(X), torch.from_numpy(y)) for X, y in owners]

    def get_dataloader(self, id, batch_size):  # noqa: A002 - FedLab's name
        """The rows of owner ``id``, shuffled anew in each pass."""
        return DataLoader(self.sets[id], batch_size=batch_size, shuffle=True)


class Handler(SyncServerHandler):
    """A server that weighs owners by their rows: FedLab's own has equal weights."""

    sizes = ()

    def global_update(self, buffer):
        """Average what owners sent; all of them take part, in order."""
        mean = Aggregators.fedavg_aggregate([sent[0] for sent in buffer], list(self.sizes))
        SerializationTool.deserialize_model(self._model, mean)


class Pipeline(StandalonePipeline):
    """FedLab's loop; where it would evaluate, the time is stopped."""

    laps = None

    def evaluate(self):
        """A round is over."""
        self.laps.tick()


def main():
    """Train, and tell."""
    work, laps = Work.given(), Laps()
    torch.manual_seed(0)
    handler = Handler(work.module(), global_round=work.rounds + WARM, sample_ratio=1.0)
    handler.sizes = work.sizes
    trainer = SGDSerialClientTrainer(work.module(), len(work.sizes))
    trainer.setup_dataset(Data(work.owners))
    trainer.setup_optim(work.epochs, work.batch, work.lr)
    pipeline = Pipeline(handler, trainer)
    pipeline.laps = laps
    laps.start()
    pipeline.main()
    tell({"FedLab": laps.told(work.loss(handler.model))}, version=version("fedlab"))


if __name__ == "__main__":
    main()
