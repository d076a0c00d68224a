"""What must hold of strategies with own models: identities, what is sent, and what owners keep."""

from dataclasses import replace

import numpy as np
import pytest
from torch import nn

import fedlab_nb as fl
from fedlab_nb.errors import RuleError, SettingError
from fedlab_nb.horizontal.personal import Ditto, FedBN, FedPer, FedRep, PerFedAvg, PFedMe
from fedlab_nb.horizontal.personal.kept import PartAtHome
from fedlab_nb.rounds import rounds
from tests.horizontal.personal.paper import HIDDEN, MODEL, Paper, owners, played
from tests.horizontal.personal.test_fedbn import with_norm
from tests.rounds.common import assert_teaches, declared, events_of, play

ALL = {
    "FedBN": FedBN(with_norm, local_epochs=1),
    "FedPer": FedPer(MODEL, local_epochs=1),
    "FedRep": FedRep(MODEL, local_epochs=1, head_epochs=2),
    "Ditto": Ditto(MODEL, local_epochs=1),
    "pFedMe": PFedMe(MODEL, 0.05, 1, inner_steps=2),
    "Per-FedAvg": PerFedAvg(MODEL, local_epochs=1),
    "Per-FedAvg, Hessian-free": PerFedAvg(MODEL, local_epochs=1, form="Hessian-free"),
}
every = pytest.mark.parametrize("strategy", ALL.values(), ids=ALL.keys())


def whole(history):
    """All that a run computes: scores, weights, and whatever is remembered."""
    return [
        (r.number, r.cohort, r.metrics, r.owner_metrics, r.state.weights["server"].tobytes(),
         {name: value.tobytes() for name, value in r.state.memory.items()})
        for r in history
    ]  # fmt: skip


def test_fedper_with_nothing_at_home_is_fedavg():
    mine = play(fl.Federation(owners()), FedPer(MODEL, personal_layers=0))
    theirs = play(fl.Federation(owners()), fl.FedAvg(MODEL))
    assert [r.state.weights["server"].tobytes() for r in mine] == [r.state.weights["server"].tobytes() for r in theirs]
    assert mine[-1].metrics["personal_accuracy"] == mine[-1].metrics["accuracy"]


def test_the_common_model_of_ditto_is_that_of_fedavg():
    mine, theirs = play(fl.Federation(owners()), Ditto(MODEL)), play(fl.Federation(owners()), fl.FedAvg(MODEL))
    assert [r.state.weights["server"].tobytes() for r in mine] == [r.state.weights["server"].tobytes() for r in theirs]


def test_ditto_without_a_pull_is_what_each_owner_learns_alone():
    strategy = Ditto(MODEL, lr=0.2, lam=0.0)
    states, paper = played(strategy, fl.Federation(owners()))
    for i, name in enumerate(paper.names):
        alone = paper.w0
        for number in (1, 2, 3):
            alone = paper.sgd(alone, number, i)
        assert strategy.personal(states[-1])[name] == pytest.approx(alone, abs=2e-5)


def test_the_stronger_the_pull_of_ditto_the_nearer_are_own_models_to_the_common_one():
    """At the lowest point, lam times the way from the common model is the own loss's gradient: it goes to zero."""
    far, lams = [], (0.0, 1.0, 10.0, 100.0)
    for lam in lams:
        strategy = Ditto(MODEL, 0.015, 25, 10**6, lam=lam)
        states, paper = played(strategy, fl.Federation(owners()), 1)
        far.append(np.linalg.norm(strategy.personal(states[1])["Owner 1"] - paper.w0))
    slope = np.linalg.norm(paper.gradient(paper.w0, *map(np.float64, paper.data[0])))
    assert far == sorted(far, reverse=True)
    assert far[-1] * lams[-1] == pytest.approx(slope, rel=0.1)


def test_pfedme_held_tightly_moves_as_gradient_descent_does():
    """For a large lam, lam * (w - theta) is the gradient: the step of pFedMe is one of gradient descent."""
    lam = 1000.0
    strategy = PFedMe(MODEL, 1e-3, 1, 10**6, lam=lam, inner_lr=1e-3, inner_steps=3)
    states, paper = played(strategy, fl.Federation(owners()), 1)
    step = [1e-3 * paper.gradient(paper.w0, *map(np.float64, rows)) for rows in paper.data]
    assert states[0].weights["server"] - states[1].weights["server"] == pytest.approx(
        np.mean(step, 0), rel=0.05, abs=2e-6
    )


@every
def test_a_run_that_goes_on_equals_the_uninterrupted_one_bit_for_bit(strategy):
    settings = {"sample_rate": 0.7, "dropout": 0.1}
    history = play(fl.Federation(owners(), **settings), strategy, num_rounds=4)
    assert history[-1].failed is None
    rest = play(fl.Federation(owners(), **settings), strategy, num_rounds=4, after=history[1])
    assert whole(rest) == whole(history[2:])
    assert len({r.cohort for r in history}) > 1


@every
def test_encrypted_and_plain_runs_have_equal_bits(strategy):
    plain = play(fl.Federation(owners()), strategy, num_rounds=2)
    assert whole(play(fl.Federation(owners(), encrypt=fl.CKKS()), strategy, num_rounds=2)) == whole(plain)
    assert set(plain[-1].metrics) >= {"accuracy", "personal_accuracy"}


@pytest.mark.parametrize("strategy", [ALL["FedPer"], ALL["Per-FedAvg"]], ids=["FedPer", "Per-FedAvg"])
def test_masked_runs_are_the_same_but_for_the_coarser_grid(strategy):
    plain = play(fl.Federation(owners()), strategy, num_rounds=2)
    masked = play(fl.Federation(owners(), encrypt=fl.SecAgg()), strategy, num_rounds=2)
    assert masked[-1].state.weights["server"] == pytest.approx(plain[-1].state.weights["server"], abs=1e-4)
    assert set(masked[-1].metrics) == set(plain[-1].metrics)


@pytest.mark.parametrize("name", [name for name in ALL if name != "FedBN"])
def test_executors_agree(name):
    runs = [
        play(fl.Federation(owners()), replace(ALL[name], executor=executor))[-1].state
        for executor in ("sequential", "stacked")
    ]
    assert runs[0].weights["server"] == pytest.approx(runs[1].weights["server"], abs=1e-4)
    assert all(value == pytest.approx(runs[1].memory[key], abs=1e-4) for key, value in runs[0].memory.items())


@every
def test_whole_owners_can_be_hidden_and_then_no_own_model_is_scored(strategy):
    protect = fl.OwnerLevelDP(clip=0.5, noise_multiplier=0.5)
    history = play(fl.Federation(declared(), protect=protect, noise_seed=1), strategy, num_rounds=2)
    assert history[-1].failed is None
    assert all(set(r.metrics) == {"accuracy"} for r in history)
    assert "readiness" not in history[-1].traffic
    own = () if isinstance(strategy, PerFedAvg) else history[-1].cohort
    assert set(strategy.personal(history[-1].state)) == set(own)


def test_owners_pay_for_their_update_alone():
    budget = fl.Budget(8, 0.01)
    federation = fl.Federation(declared(20, 15), protect=fl.OwnerLevelDP(), budget=budget, encrypt=fl.CKKS())
    history = play(federation, FedRep(MODEL, head_epochs=1))
    assert history[-1].epsilon == pytest.approx(8)
    assert {e.purpose for e in events_of(federation, "Phone 0")} == {"a round's update", "a round's score"}


@every
def test_row_level_privacy_is_refused(strategy):
    federation = fl.Federation(owners(), budget=fl.Budget(8, 1e-3))
    with pytest.raises(RuleError) as caught:
        rounds(federation, strategy)
    assert_teaches(caught, "OwnerLevelDP")
    assert len(federation.ledger) == 0


def home_of(strategy, paper):
    """Which weights stay at home."""
    if isinstance(strategy, PartAtHome):
        return strategy.home(strategy._learner(paper.setup))
    return np.zeros(paper.w0.size, dtype=bool)


def test_what_stays_at_home_is_in_no_message():
    for strategy in (FedPer(MODEL), FedRep(MODEL, head_epochs=2), FedBN(with_norm), Ditto(MODEL), PFedMe(MODEL, 0.05)):
        federation = fl.Federation(owners())
        history = play(federation, strategy)
        first, paper = history[0].state, Paper(federation, history[0].state)
        sent = [
            m for m in federation.ledger.messages if m.sender in federation.names and not isinstance(m.payload, str)
        ]
        updates = [m.payload for m in sent if m.kind == "update"]
        assert {m.kind for m in sent} <= {"update", "score count", "own score", "moment", "range count"}
        home = home_of(strategy, paper)
        assert {p.size for p in updates} == {paper.w0.size - home.sum() + 1}, "what is sent, and the weight"
        crossed = np.concatenate([np.ravel(m.payload) for m in sent])
        crossed = np.concatenate([crossed, *(p[:-1] / p[-1] for p in updates)])
        for record in history:
            for name, model in strategy.personal(record.state).items():
                secret = model[home] if home.any() else model
                change = secret - (first.weights["server"][home] if home.any() else record.state.weights["server"])
                for numbers in (secret, change):
                    telling = numbers[(np.abs(numbers) > 1e-6) & (numbers != 1.0)]
                    assert len(telling) > 3, name
                    apart = np.abs(crossed[:, None] - telling[None]).min(0)
                    assert np.mean(apart < 1e-7) < 0.2, "a number may meet another by chance, not most of them"


def test_per_fedavg_sends_a_word_and_no_model_when_it_adapts():
    federation = fl.Federation(owners())
    history = play(federation, PerFedAvg(MODEL))
    assert {m.payload for m in federation.ledger.messages if m.kind == "readiness"} == {"ready"}
    assert history[-1].traffic["readiness"].messages == 3
    none = [fl.DataOwner(o.name, frame_of(o), target="ill", held_out=0.0) for o in owners()]
    federation = fl.Federation(none)
    play(federation, PerFedAvg(MODEL), num_rounds=1)
    told = [m.receiver for m in federation.ledger.messages if m.kind == "model"]
    assert len(told) == 6, "for training, and for the own step: nobody scores it"


def frame_of(owner):
    return owner._inside(lambda rows: rows.training[0].assign(ill=rows.training[1].to_numpy()), stage="test")


@pytest.mark.parametrize(
    ("strategy", "words"),
    [
        (FedPer(MODEL, personal_layers=-1), ("personal_layers", "-1")),
        (FedPer(MODEL, personal_layers=1.5), ("personal_layers", "1.5")),
        (FedRep(MODEL, head_epochs=0), ("head_epochs", "0")),
        (Ditto(MODEL, lam=-1.0), ("lam", "-1")),
        (Ditto(MODEL, lr=0.5, lam=4.0), ("lam", "overshoot")),
        (PFedMe(MODEL, lam=0.0), ("lam", "0")),
        (PFedMe(MODEL, 0.2, lam=15.0), ("lam", "overshoot")),
        (PFedMe(MODEL, inner_lr=0.5), ("inner_lr", "overshoot")),
        (PFedMe(MODEL, inner_steps=0), ("inner_steps",)),
        (PFedMe(MODEL, beta=0), ("beta",)),
        (PFedMe(MODEL, momentum=0.9), ("momentum",)),
        (PerFedAvg(MODEL, inner_lr=0.0), ("inner_lr",)),
        (PerFedAvg(MODEL, form="second-order"), ("form", "second-order")),
        (PerFedAvg(MODEL, weight_decay=0.1), ("weight_decay",)),
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused_before_anything_leaves(strategy, words):
    federation = fl.Federation(owners())
    with pytest.raises(SettingError) as caught:
        rounds(federation, strategy)
    assert_teaches(caught, *words)
    assert len(federation.ledger) == 0


@pytest.mark.parametrize(
    "strategy", [FedPer(fl.models.logistic()), FedRep(fl.models.logistic()), FedPer(MODEL, personal_layers=2)]
)
def test_a_model_of_which_nothing_would_be_sent_is_refused(strategy):
    (record,) = play(fl.Federation(owners()), strategy)
    assert isinstance(record.failed.error, SettingError)
    assert_teaches(record.failed.error, "stay at home", "fl.models.mlp()")


def test_how_many_layers_stay_at_home_can_change_between_rounds():
    def deep(inputs, outputs):
        layers = nn.Linear(inputs, 4), nn.ReLU(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, outputs)
        return nn.Sequential(*layers)

    run = fl.train(fl.Federation(owners()), FedPer(deep), num_rounds=2)
    forked = run.fork(after=1, personal_layers=2)
    assert forked.history[-1].failed is None
    assert forked.history[-1].settings["personal_layers"] == 2
    with pytest.raises(SettingError, match="stay at home"):
        run.fork(after=1, personal_layers=3)
    sizes = [r.traffic["update"].nbytes for r in (run.history[-1], forked.history[-1])]
    assert sizes[0] > sizes[1]


def test_ledger_and_bytes_show_that_less_is_sent():
    sent = {
        strategy: play(fl.Federation(owners()), strategy, num_rounds=1)[0].traffic["update"].nbytes
        for strategy in (fl.FedAvg(MODEL), FedPer(MODEL))
    }
    less = [a - b for a, b in zip(list(sent.values())[:1], list(sent.values())[1:], strict=True)]
    assert less == [3 * 8 * (HIDDEN + 1)]
