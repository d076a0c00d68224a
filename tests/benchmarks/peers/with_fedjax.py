"""FedAvg by FedJAX: its own algorithm with its jit backend on one thread, nothing evaluated.

FedJAX fills an owner's last batch up with rows drawn anew and counts passes over batches: as many steps or fewer.
"""

from importlib.metadata import version

import fedjax
import jax
import jax.numpy as jnp
import numpy as np
from fedjax.algorithms import fed_avg
from work import WARM, Laps, Work, tell

jax.tree_map = jax.tree_util.tree_map  # FedJAX 0.0.17 calls it by a name that newer versions of jax have dropped


def laid_out(start):
    """Torch's weights as jax lays them out: channels last, inputs before outputs."""
    layers = []
    for number in range(0, len(start), 2):
        weight, bias = start[number : number + 2]
        if weight.ndim == 4:
            weight = weight.transpose(2, 3, 1, 0)
        elif layers and layers[-1]["weight"].ndim == 4:
            filters = layers[-1]["bias"].size
            side = round((weight.shape[1] // filters) ** 0.5)
            weight = weight.reshape(-1, filters, side, side).transpose(2, 3, 1, 0).reshape(-1, weight.shape[0])
        else:
            weight = weight.T
        layers.append({"weight": weight, "bias": bias})
    return jax.tree_util.tree_map(jnp.asarray, layers)


def scores(layers, X):
    """Of convolutions, each followed by ReLU and by halving the picture, and of linear layers with ReLU between."""
    for number, layer in enumerate(layers):
        if layer["weight"].ndim == 4:
            X = X.reshape(len(X), 8, 8, 1) if X.ndim == 2 else X
            filtered = jax.lax.conv_general_dilated(
                X, layer["weight"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
            n, high, wide, filters = filtered.shape
            halves = jax.nn.relu(filtered + layer["bias"]).reshape(n, high // 2, 2, wide // 2, 2, filters)
            X = halves.max(axis=(2, 4))
        else:
            X = X.reshape(len(X), -1) @ layer["weight"] + layer["bias"]
            X = jax.nn.relu(X) if number < len(layers) - 1 else X
    return X


def loss(layers, batch):
    """The mean loss of a batch."""
    told = jax.nn.log_softmax(scores(layers, batch["x"]))
    return -jnp.take_along_axis(told, batch["y"][:, None], axis=1).mean()


def main():
    """Train, and tell."""
    work = Work.given()
    gradient = jax.grad(loss)
    algorithm = fed_avg.federated_averaging(
        lambda layers, batch, _: gradient(layers, batch),
        fedjax.optimizers.sgd(work.lr),
        fedjax.optimizers.sgd(1.0),
        fedjax.ShuffleRepeatBatchHParams(batch_size=work.batch, num_epochs=work.epochs),
    )
    data = [fedjax.ClientDataset({"x": X, "y": y.astype(np.int32)}) for X, y in work.owners]
    state, key = algorithm.init(laid_out(work.start)), jax.random.PRNGKey(0)

    def one_round():
        nonlocal state, key
        key, now = jax.random.split(key)
        keys = jax.random.split(now, len(data))
        state, _ = algorithm.apply(state, [(str(i), rows, keys[i]) for i, rows in enumerate(data)])
        jax.block_until_ready(state.params)

    laps = Laps()
    for _ in range(work.rounds + WARM):
        laps.time(one_round)
    found = float(loss(state.params, {"x": jnp.asarray(work.X), "y": jnp.asarray(work.y.astype(np.int32))}))
    tell({"FedJAX": laps.told(found)}, version=f"{version('fedjax')} (jax {version('jax')})")


if __name__ == "__main__":
    main()
