"""FedAvg by Flower: its simulation on ray, an actor for each core, its own strategy, nothing evaluated.

Owners' rows and model stay in the actors, and there is no loader: what is timed is Flower, on the wall. The first
rounds start processes and are left out.
"""

import os
from importlib.metadata import version

import torch
from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation
from work import WARM, Laps, Work, kept, tell

CORES = os.cpu_count()
work, laps, client, server, ended = Work.given(), Laps(), ClientApp(), ServerApp(), []
FOLDER = work.folder  # all of the work that travels to the actors


@client.train()
def train(message, context):
    """One owner's round."""
    given, owners, module = kept(FOLDER)
    module.load_state_dict(message.content["arrays"].to_torch_state_dict())
    X, y = map(torch.from_numpy, owners[context.node_config["partition-id"]])
    optimiser = torch.optim.SGD(module.parameters(), lr=given.lr)
    for _ in range(given.epochs):
        for batch in torch.randperm(len(X)).split(given.batch):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(module(X[batch]), y[batch]).backward()
            optimiser.step()
    sent = {"arrays": ArrayRecord(module.state_dict()), "metrics": MetricRecord({"num-examples": len(X)})}
    return Message(content=RecordDict(sent), reply_to=message)


class Timed(FedAvg):
    """Flower's strategy; the time is stopped after what a round does last."""

    def configure_evaluate(self, *given, **more):
        """All there is to a round is done: nothing is evaluated."""
        laps.tick()
        return super().configure_evaluate(*given, **more)


@server.main()
def serve(grid, context):
    """All rounds."""
    strategy = Timed(fraction_train=1.0, fraction_evaluate=0.0, min_available_nodes=len(work.sizes))
    start = ArrayRecord(work.module().state_dict())
    laps.start()
    ended.append(strategy.start(grid=grid, initial_arrays=start, num_rounds=work.rounds + WARM))


def main():
    """Train, and tell."""
    ray = {"num_cpus": CORES, "include_dashboard": False}
    settings = {"client_resources": {"num_cpus": 1, "num_gpus": 0.0}, "init_args": ray}
    run_simulation(server, client, num_supernodes=len(work.sizes), backend_config=settings)
    module = work.module()
    module.load_state_dict(ended[0].arrays.to_torch_state_dict())
    found = laps.told(work.loss(module)) | {"cpu": []}  # most of it is spent in other processes
    tell({"Flower": found}, version=f"{version('flwr')} (ray {version('ray')})")


if __name__ == "__main__":
    main()
