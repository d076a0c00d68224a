"""A split network takes the steps of the network in one piece on the joined table; it hands over no columns."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import fedlab_nb as fl
from fedlab_nb.errors import RuleError, SettingError
from fedlab_nb.learn.engine.plan import orders
from fedlab_nb.records.kept.values import put_together, taken_apart
from fedlab_nb.units import bytes_text
from fedlab_nb.vertical.cut import LabelDP, Marvell, MaxNormNoise
from tests.vertical.common import with_gaps
from tests.vertical.cut.common import SplitNN, federated, owners, people, run, seen_beside

EPOCHS = 5


class Whole(nn.Module):
    """The network in one piece, of torch's own layers."""

    def __init__(self, inputs, cuts, hidden, outputs):
        super().__init__()
        self.bottoms = nn.ModuleList(
            nn.Sequential(nn.Linear(d, hidden), nn.ReLU(), nn.Linear(hidden, cut), nn.Tanh())
            for d, cut in zip(inputs, cuts, strict=True)
        )
        self.top = nn.Sequential(nn.Linear(sum(cuts), hidden), nn.ReLU(), nn.Linear(hidden, outputs))
        self.double()

    def forward(self, parts):
        return self.top(torch.cat([bottom(x) for bottom, x in zip(self.bottoms, parts, strict=True)], 1))


def flat(module):
    return np.concatenate([p.detach().numpy().ravel() for p in module.parameters()])


def load(module, weights):
    start = 0
    for p in module.parameters():
        p.data = torch.from_numpy(weights[start : start + p.numel()].copy()).view_as(p)
        start += p.numel()
    assert start == len(weights)


def losses(task):
    return {
        "binary": lambda out, y: nn.functional.binary_cross_entropy_with_logits(out[:, 0], y),
        "multiclass": lambda out, y: nn.functional.cross_entropy(out, y.long()),
        "regression": lambda out, y: nn.functional.mse_loss(out[:, 0], y),
    }[task]


def pooled_training(fed, begin, strategy, seed):
    """The weights after EPOCHS of plain gradient descent on the joined table."""
    setup = begin.context
    inputs, y = seen_beside(fed, setup)
    columns = {owner.name: len(owner.schema.features) for owner in fed.owners}
    cuts = [strategy.cut or (8 if n == "bank" else min(8, columns[n] - 1)) for n in fed.names]
    whole = Whole([inputs[n].shape[1] for n in fed.names], cuts, 16, setup.outputs)
    bank = sum(p.numel() for p in whole.bottoms[0].parameters())
    load(whole.bottoms[0], begin.weights["bank"][:bank])
    load(whole.top, begin.weights["bank"][bank:])
    for bottom, name in zip(whole.bottoms[1:], fed.names[1:], strict=True):
        load(bottom, begin.weights[name])
    tensors = [torch.from_numpy(inputs[n]) for n in fed.names]
    optimiser, loss = torch.optim.SGD(whole.parameters(), lr=strategy.lr), losses(setup.task)
    for epoch in range(1, EPOCHS + 1):
        order = orders([(seed, epoch, 0)], 0, [len(y)])[0]
        for start in range(0, len(y), strategy.batch_size or len(y)):
            rows = order[start : start + (strategy.batch_size or len(y))]
            optimiser.zero_grad()
            loss(whole([x[rows] for x in tensors]), torch.from_numpy(y[rows])).backward()
            optimiser.step()
    parts = {n: flat(bottom) for n, bottom in zip(fed.names, whole.bottoms, strict=True)}
    return parts | {"bank": np.append(parts["bank"], flat(whole.top))}, whole


TARGETS = {
    "default": {"bank": ["income", "age", "sector", "default"], "shop": ["visits", "spent", "region"]},
    "sector": {"bank": ["income", "age", "sector"], "shop": ["visits", "spent", "region"]},
    "spent": {"bank": ["income", "age", "spent"], "shop": ["visits", "region", "sector"]},
}


@pytest.mark.parametrize("parties", [2, 3])
@pytest.mark.parametrize("target", TARGETS)
def test_after_five_epochs_it_has_the_weights_of_plain_training_on_the_joined_table(parties, target):
    held = TARGETS[target] | ({"post": ["letters", "parcels"]} if parties == 3 else {})
    parts = fl.split_columns(people(), id="customer", target=target, overlap=0.8, shuffle=True, seed=1, **held)
    fed, strategy = federated(parts), SplitNN("bank", batch_size=None if target == "spent" else 25)
    begin = strategy.start(fed, num_rounds=EPOCHS, seed=4)
    expected, whole = pooled_training(fed, begin, strategy, seed=4)
    found = run(fed, strategy, EPOCHS, seed=4)[-1]
    for name in fed.names:
        assert found.state.weights[name].dtype == np.float64
        assert np.abs(found.state.weights[name] - begin.weights[name]).max() > 1e-3, "it has learned"
        np.testing.assert_allclose(found.state.weights[name], expected[name], atol=1e-9)
    inputs, y = seen_beside(fed, begin.context, "held_out")
    out = whole([torch.from_numpy(inputs[n]) for n in fed.names]).detach()
    if target == "spent":
        scale = begin.context.target.scale
        assert found.metrics["rmse"] == pytest.approx(
            scale * float(((out[:, 0] - torch.from_numpy(y)) ** 2).mean()) ** 0.5
        )
    else:
        assert found.metrics["loss"] == pytest.approx(float(losses(begin.context.task)(out, torch.from_numpy(y))))


def test_missing_values_are_read_as_everywhere_else():
    assert "auc" in run(federated(owners(with_gaps())))[-1].metrics


def test_equal_seeds_give_equal_bits_and_others_do_not():
    first, again = (run(federated(), seed=2)[-1].state.weights for _ in range(2))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["shop"], run(federated(), seed=3)[-1].state.weights["shop"])


@pytest.mark.parametrize("defence", [None, MaxNormNoise(), Marvell(), LabelDP(2.0)])
def test_a_run_that_goes_on_equals_the_uninterrupted_one_bit_for_bit(defence):
    strategy, fed = SplitNN("bank", defence=defence), federated(noise_seed=5)
    whole = run(fed, strategy, 4)
    kept = replace(whole[1], state=put_together(*taken_apart(whole[1].state)))
    rest = run(federated(noise_seed=9), strategy, 4, after=kept)
    assert [r.number for r in rest] == [3, 4]
    assert all(np.array_equal(whole[-1].state.weights[n], rest[-1].state.weights[n]) for n in fed.names)
    assert dict(whole[-1].metrics) == dict(rest[-1].metrics)


def test_each_owner_has_its_own_part_and_the_secret_of_the_noise_is_with_the_labels():
    states = [run(federated(), SplitNN("bank", defence=Marvell()), 1)[0].state for _ in range(2)]
    assert set(states[0].weights) == {"bank", "shop"}
    assert {*states[0].memory} - {"course"} == {"bank"}
    assert not np.array_equal(states[0].memory["bank"], states[1].memory["bank"]), "no seed gives it"
    assert not np.array_equal(states[0].weights["shop"], states[1].weights["shop"])


def test_it_takes_part_in_what_the_federation_counts():
    fed = federated(owners(parties=3))
    record = run(fed, SplitNN("bank", batch_size=50), 1)[0]
    rows = record.state.context.rows
    batches = -(-rows // 50)
    assert record.traffic["activation gradients"].messages == 2 * batches
    assert record.traffic["activations"].messages == 2 * batches + 2, "and once for the rows held out"
    assert not record.traffic["activations"].encrypted


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"cut": 0}, "cut=0"),
        ({"cut": 2.5}, "cut=2.5"),
        ({"hidden": ()}, "columns can be read from it"),
        ({"hidden": (0,)}, "hidden"),
        ({"lr": 0}, "lr=0"),
        ({"lr": float("nan")}, "lr"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"defence": "noise"}, "defence"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, words):
    with pytest.raises(SettingError, match=words):
        SplitNN("bank", **settings)


def test_one_width_may_be_given_as_a_number():
    assert SplitNN("bank", hidden=8).hidden == (8,)


def test_an_owner_whose_columns_would_cross_is_refused_before_anything_leaves():
    lonely = fl.split_columns(people(), id="customer", bank=["income", "age", "default"], shop=["visits"])
    wide = owners()
    for parts, strategy, error, words in (
        (lonely, SplitNN("bank"), RuleError, "'shop' has 1 column"),
        (wide, SplitNN("bank", cut=3), SettingError, "'shop' has 3 columns"),
        (wide, SplitNN("shop"), SettingError, "'bank' has it"),
    ):
        fed = federated(parts)
        with pytest.raises(error, match=words):
            fl.rounds(fed, strategy, num_rounds=2)
        assert len(fed.ledger) == 0
    assert run(federated(wide), SplitNN("bank", cut=2), 1)


@pytest.mark.parametrize(("target", "defence"), [("spent", LabelDP()), ("sector", Marvell()), ("spent", Marvell())])
def test_a_defence_for_other_labels_is_refused_before_anything_is_trained(target, defence):
    fed = federated(fl.split_columns(people(), id="customer", target=target, **TARGETS[target]))
    record = next(iter(fl.rounds(fed, SplitNN("bank", defence=defence), num_rounds=1)))
    assert "It is made for" in str(record.failed.error)
    assert "activations" not in {message.kind for message in fed.ledger.messages}


@pytest.mark.parametrize("lr", [1e200, 1e308])
def test_steps_that_are_too_long_end_the_run_and_say_so(lr):
    records = list(fl.rounds(federated(), SplitNN("bank", lr=lr), num_rounds=3))
    failed = records[-1].failed
    assert failed.party == "bank"
    assert "smaller rate" in str(failed.error)
    assert len(records) < 4


def test_what_parties_learn_is_on_the_card():
    shown = SplitNN("bank", defence=Marvell())._repr_html_()
    assert "groups rows by label almost without error" in shown
    assert "work back to columns" in shown
    assert repr(SplitNN("bank", cut=2)) == "SplitNN(labels_at='bank', cut=2)"


def test_joint_predictions_are_those_of_the_parts():
    fed = federated()
    record = run(fed, rounds=2)[-1]
    found = SplitNN("bank").model_of(record.state).predict(fed)
    assert len(found) == fl.vertical.align(fed).rows
    assert set(found["prediction"]) <= {"no", "yes"}
    inputs, _ = seen_beside(fed, record.state.context, "held_out")
    scores = SplitNN("bank").merged_scores(record.state, inputs)
    chances = 1 / (1 + np.exp(-scores[:, 0]))
    loss = -np.mean(np.log(np.where(seen_beside(fed, record.state.context, "held_out")[1] > 0.5, chances, 1 - chances)))
    assert record.metrics["loss"] == pytest.approx(loss), "the same in one pair of hands"


def test_noise_does_not_come_twice_where_a_round_is_tried_again_with_other_settings():
    strategy, fed = SplitNN("bank", batch_size=None, defence=Marvell(1e6)), federated()
    begun = run(fed, strategy, 1)[0]

    def sent(lr):
        before = len(fed.ledger)
        run(fed, replace(strategy, lr=lr), 2, after=begun)
        return next(m.payload for m in fed.ledger.messages[before:] if m.kind == "activation gradients")

    assert np.array_equal(sent(0.1), sent(0.1)), "the same once more tells nothing more"
    assert np.corrcoef(sent(0.1).ravel(), sent(0.2).ravel())[0, 1] < 0.5


def test_a_run_that_began_without_a_defence_goes_on_with_one():
    fed = federated()
    begun = run(fed, SplitNN("bank", batch_size=None), 1)[0]
    before = len(fed.ledger)
    for defence in (None, MaxNormNoise(), LabelDP(0.1)):
        run(fed, SplitNN("bank", batch_size=None, defence=defence), 2, after=begun)
    first = [m.payload for m in fed.ledger.messages[before:] if m.kind == "activation gradients"]
    assert len(first) == 3
    assert not np.allclose(first[0], first[1])
    assert not np.allclose(first[0], first[2])


@pytest.mark.parametrize("other", [{"cut": 1}, {"hidden": (5,)}])
def test_another_shape_is_refused_to_a_run_that_goes_on(other):
    fed = federated()
    begun = run(fed, rounds=1)[0]
    with pytest.raises(SettingError, match="other widths"):
        fl.rounds(fed, SplitNN("bank", **other), num_rounds=2, after=begun)


def test_what_may_be_changed_between_rounds_is_the_rate_and_the_batch():
    assert SplitNN("bank", cut=2).settings(None, None) == {"lr": 0.1, "batch_size": 32}
    assert SplitNN("bank", batch_size=None).settings(None, None) == {"lr": 0.1}


def test_what_crossed_is_not_called_encrypted_where_only_ids_were_hidden():
    run = fl.train(federated(), SplitNN("bank"), num_rounds=1)
    (record,) = run.history
    ids, clear = record.traffic["masked ids"].nbytes, sum(t.nbytes for t in record.traffic.values() if not t.encrypted)
    assert f"{bytes_text(clear)} sent in the clear, {bytes_text(ids)} hidden to find rows in common" in repr(run)
    page = run._repr_mimebundle_()["text/html"]
    assert "no numbers were encrypted" in page
    assert "sent encrypted" not in page
    assert "as sent, encrypted" not in page
