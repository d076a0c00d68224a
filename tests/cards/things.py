"""One object of every public kind, made by users who chose the worst names there are."""

from __future__ import annotations

import base64
import re
from functools import cache
from html.parser import HTMLParser

import numpy as np
import pandas as pd

import fedlab_nb as fl
from fedlab_nb.channel import open_channel
from fedlab_nb.crypto import BFV, CKKS, KeyHolder, SecAgg
from fedlab_nb.ledger import Ledger
from fedlab_nb.privacy import Account
from fedlab_nb.records import (
    Access,
    Failure,
    Holding,
    Peek,
    PrivacyEvent,
    Snapshot,
    Spending,
    State,
    Threat,
    Traffic,
    Update,
)
from fedlab_nb.records.message import Message
from tests.cards.vertical_things import vertical_things

EVIL = '<img src=x onerror="alert(1)">'
TWO_LINES = "Clinic\n\tB </td></table>"
# Numbers and words that only ever stand in private cells, however they are rounded or written.
WORD, NUMBER = "Zanzibar", 73191.25
# The number as it stands, rounded, scaled and with a comma; digits inside a longer word are a digest's.
SECRET = re.compile(rf"{WORD}|(?<![\w.])-?(73191|73,191|73\.191|7\.3191|0\.073191)")
VOID = {"img", "br", "hr", "meta", "input", "path", "rect", "circle"}


def frame(seed: int) -> pd.DataFrame:
    """Private rows: one number in them is the secret one, and one column is full of the secret word."""
    rng = np.random.default_rng(seed)
    value = rng.normal(0.0, 1e5, 40)
    value[3] = NUMBER
    ill = np.where(value > 0, EVIL, "no")
    return pd.DataFrame({EVIL: value, "where": [WORD] * 40, "a\nb": rng.choice(["x", "y"], 40), "ill": ill})


def owners() -> list[fl.DataOwner]:
    """Two owners of such rows. What they declare is public: their range is wider than the secret."""
    return [
        fl.DataOwner(
            name,
            frame(seed),
            target="ill",
            bounds={EVIL: (-1e6, 1e6)},
            categories={"where": ["elsewhere"], "a\nb": ["x", "y"], "ill": [EVIL, "no"]},
        )
        for seed, name in enumerate((EVIL, TWO_LINES))
    ]


class EvilModel:
    """A user's own model function, with a text of its own."""

    def __call__(self, inputs: int, outputs: int) -> object:
        return fl.models.logistic()(inputs, outputs)

    def __repr__(self) -> str:
        return f"{EVIL}\n<script>"


@cache
def things() -> dict[str, object]:
    """A name for each, and the object."""
    made = {
        "sealed": fl.Federation(owners(), encrypt=fl.CKKS()),
        "rehearsal": fl.Federation(owners(), encrypt=fl.CKKS(), budget=fl.Budget(8, 1e-3), noise_seed=1, dropout=0.1),
        "plain": fl.Federation(owners()),
    }
    found: dict[str, object] = {"a federation before its first round": fl.Federation(owners(), encrypt=fl.CKKS())}
    frame = fl.PrivateFrame(made["sealed"])
    found |= {
        "auditor": fl.Auditor(made["sealed"]),
        "private frame": frame,
        "private column": frame["a\nb"],
        "mask": frame[EVIL] > 0,
        "groups": frame.groupby("a\nb"),
        "exact: answer": frame.crosstab("a\nb", "ill"),
        "number": frame[EVIL].mean(),
        "standardiser": frame.standardise(),
        "vault's entry": made["sealed"].books.vault.entries()[0],
    }
    for name, federation in made.items():
        run = fl.train(federation, fl.FedAvg(EvilModel()), num_rounds=2)
        found |= {
            f"{name}: federation": federation,
            f"{name}: run": run,
            f"{name}: history": run.history,
            f"{name}: round": run.history[-1],
            f"{name}: state": run.history[-1].state,
            f"{name}: model": run.model,
            f"{name}: snapshot": run.snapshot(),
            f"{name}: spending": run.snapshot().spending,
            f"{name}: budget": run.budget,
            f"{name}: threats": run.threat_card,
            f"{name}: ledger": federation.ledger,
            f"{name}: account": federation.account(EVIL),
            f"{name}: verification": fl.Auditor(federation).verify(),
            f"{name}: check": fl.Auditor(federation).verify().checks[0],
            f"{name}: audit report": fl.Auditor(federation).report(),
            f"{name}: view of the server": federation.seen_by("server"),
            f"{name}: view of an owner": federation.seen_by(EVIL),
            f"{name}: wire of the first message": federation.wire(0),
            f"{name}: wire of the last message": federation.wire(len(federation.ledger) - 1),
            f"{name}: wire of an update": federation.wire(update_in(federation)),
        }
        crossings = federation.ledger.crossings
        found |= {
            f"{name}: message {kind} from {i}": federation.ledger.newest(kind, *rest)
            for i, (kind, *rest) in enumerate(crossings)
        }
    found |= vertical_things(EVIL, TWO_LINES, WORD, NUMBER)
    run = fl.train(fl.Federation(owners()), fl.horizontal.Ditto(EvilModel()), num_rounds=1)
    found |= {"own model": run.personal(EVIL), "run with own models": run, "comparison": fl.compare({EVIL: run})}
    return found | _vertical() | _simple() | _strategies() | _parts() | _cryptographic() | _records()


def _simple() -> dict[str, object]:
    owner = owners()[0]
    return {
        "owner": owner,
        "schema": owner.schema,
        "column": owner.schema.features[0],
        "budget": fl.Budget(epsilon=8, delta=1e-3),
        "vault": fl.Vault(),
        "adaptive clip": fl.AdaptiveClip(),
        "a large budget": fl.Budget(epsilon=900, delta=1e-9),
        "rows": fl.RowLevelDP(),
        "owners": fl.OwnerLevelDP(clip=2.0, noise_multiplier=1.5),
        "strategy": fl.FedAvg(EvilModel(), lr=0.2),
        "mlp": fl.models.mlp((8, 4)),
        "cnn": fl.models.cnn(),
        "series": fl.models.series(24),
        "text": fl.models.text(),
        "logistic": fl.models.logistic(),
        "history without rounds": fl.History(),
    }


def _vertical() -> dict[str, object]:
    """Owners of different columns of the same rows, and what they are asked."""
    whole = frame(0).assign(key=[f"{WORD} {n}" for n in range(40)], other=[float(n % 3) for n in range(40)])
    classes = {"ill": [EVIL, "no"]}
    bank = fl.DataOwner(EVIL, whole[["key", EVIL, "ill"]], target="ill", id="key", categories=classes)
    shop = fl.DataOwner(TWO_LINES, whole[["key", "a\nb", "other"]], id="key", categories={"a\nb": ["x", "y"]})
    federation = fl.Federation([bank, shop], encrypt=fl.CKKS("deep"))
    asked = fl.PrivateFrame(federation)
    return {
        "owner with ids": shop,
        "vertical federation": federation,
        "alignment": asked.align(),
        "vertical frame": asked,
        "vertical table: answer": asked.crosstab("a\nb", "ill"),
        "vertical correlations: answer": asked.corr(),
    }


def _strategies() -> dict[str, object]:
    """Every strategy, as it stands without any setting."""
    made = [getattr(fl.horizontal, name)(EvilModel()) for name in fl.horizontal.__all__]
    return {f"strategy {type(strategy).__name__}": strategy for strategy in made}


def _parts() -> dict[str, object]:
    """Rules, compressors, ways to divide a table, and what the checks say."""
    rules = [
        fl.aggregate.Krum(2),
        fl.aggregate.MultiKrum(2),
        fl.aggregate.Median(),
        fl.aggregate.TrimmedMean(1),
        fl.aggregate.GeometricMedian(),
        fl.aggregate.NormClipping(),
        fl.aggregate.CentredClipping(1.0),
        fl.aggregate.FLTrust(frame(0)),
    ]
    packers = [fl.compress.TopK(0.1), fl.compress.RandomK(0.1), fl.compress.QSGD(7), fl.compress.SignSGD(0.01)]
    numbers, rng = np.full(9, NUMBER), np.random.default_rng(0)
    broken = fl.checks.check_aggregator(lambda changes, weights: changes[0, 0])
    return {
        **{f"rule {rule!r}": rule for rule in rules},
        **{f"compressor {packer!r}": packer for packer in packers},
        **{f"packed by {packer!r}": packer.compress(numbers, rng) for packer in packers},
        "check": fl.checks.check_aggregator(fl.aggregate.Median()),
        "failed check": broken,
        "fault": broken.faults[0],
        "partitioner": fl.partition.Dirichlet(0.3),
        "partitions": fl.partition.show(frame(0), 4),
    }


def _cryptographic() -> dict[str, object]:
    scheme, ledger = CKKS(), Ledger()
    plan, numbers = scheme.plan(bound=10.0, owners=2), np.array([1.5, 2.5])
    open_channel(scheme, [EVIL, TWO_LINES], ledger, 1).sum(EVIL, {EVIL: numbers, TWO_LINES: numbers}, plan, 1)
    sealed = [message.payload for message in ledger.messages if message.encrypted]
    return {
        "scheme": scheme,
        "exact scheme": BFV(),
        "masks": SecAgg(),
        "key holder": KeyHolder(scheme, session="s"),
        "plan": plan,
        "exact plan": BFV().plan(bound=1.0, owners=3),
        "sealed part": sealed[0],
        "sealed sum": sealed[-1],
        "comparison of channels": fl.compare_channels(owners=3, numbers=5),
        "comparison with a refusal": fl.compare_channels(owners=3, numbers=5, dropouts=2, schemes=[SecAgg(), BFV()]),
    }


def _records() -> dict[str, object]:
    message = Message(3, 1, EVIL, TWO_LINES, EVIL, 9, 9, False, Peek(True, EVIL, (40,), EVIL), "d" * 64, "p" * 64)
    failure = Failure(EVIL, TWO_LINES, fl.errors.RoundError(EVIL, "update", f"{EVIL} failed.", "Why.", "Do."))
    state = State({EVIL: np.zeros(3)}, memory={EVIL: np.zeros(3)})
    record = fl.Round(1, state, (EVIL,), {EVIL: 0.5}, settings={EVIL: 0.5}, traffic={EVIL: Traffic(1, 9, 9, False)})
    failed = fl.Round(2, state, (EVIL, TWO_LINES), failed=failure)
    spending = Spending(8.0, 1e-3, 2.0, "row", EVIL, private=True, lines=((EVIL, EVIL),))
    event = PrivacyEvent(1, EVIL, "training", "row", "gaussian", 1.5)
    account = Account()
    account.add(event, 0.2)
    account.add(PrivacyEvent(0, TWO_LINES, "all", "row", "none"), 0.2)
    return {
        "message": message,
        "failure": failure,
        "state": state,
        "round": record,
        "failed round": failed,
        "history": fl.History((record, failed)),
        "spending": spending,
        "snapshot": Snapshot(EVIL, "running", 3, fl.History((record, failed)), spending, note=EVIL, owners=(EVIL,)),
        "event": event,
        "account": account,
        "access": Access(EVIL, "own", "sealed", "never"),
        "threat": Threat(EVIL, TWO_LINES, safe=None),
        "traffic": Traffic(2, 300, 20, encrypted=True),
        "update": Update(np.array([NUMBER]), 2.0),
        "holding": Holding(EVIL, "owner", EVIL, (EVIL,), EVIL, ("seal",), "public key", EVIL, EVIL),
    }


def update_in(federation: fl.Federation) -> int:
    """The number of the first update that the owner with the worst name sent."""
    return next(m.number for m in federation.ledger.messages if m.kind == "update" and m.sender == EVIL)


def page_of(thing: object) -> str:
    """What a notebook shows of it."""
    if hasattr(thing, "_repr_mimebundle_"):
        return str(thing._repr_mimebundle_()["text/html"])
    return str(thing._repr_html_())  # type: ignore[attr-defined]


def pictures_of(page: str) -> list[str]:
    """The drawings inside the page's image elements."""
    return [base64.b64decode(data).decode() for data in re.findall(r'data:image/svg\+xml;base64,([^"]+)', page)]


class Reader(HTMLParser):
    """Reads a page, and notes what does not fit: elements that do not close, and attributes that run something."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.tags: set[str] = set()
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        self.faults += [f"{tag} is not closed" for tag in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.faults += [f"{tag} has {name}" for name, _ in attrs if name.startswith("on")]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.faults += [f"{tag} has {name}" for name, _ in attrs if name.startswith("on")]

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.faults.append(f"{tag} is closed where it was not open")

    def handle_data(self, data: str) -> None:
        self.words.append(data)
