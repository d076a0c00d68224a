"""The round that the papers of this room share; each of them says what owners do, and what the server does.

Source: McMahan et al. 2017, "Communication-efficient learning of deep networks from decentralized data", Algorithm 1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.aggregate import Rule, needs_of
from fedlab_nb.channel.opening import Tensors
from fedlab_nb.compress import Compressor, SignSGD
from fedlab_nb.data.declared import describe
from fedlab_nb.horizontal.checks import check, starting_weights
from fedlab_nb.horizontal.evaluate import VERDICT, evaluate, score_events
from fedlab_nb.horizontal.noise import event, noise_plan
from fedlab_nb.horizontal.owner_level import check_adaptive, clip_setting
from fedlab_nb.horizontal.prepare import Setup, prepare
from fedlab_nb.horizontal.side.combining import Terms, combined
from fedlab_nb.horizontal.side.fits import check_parts
from fedlab_nb.horizontal.side.local import LocalRound, Side
from fedlab_nb.horizontal.side.rows import Clipped
from fedlab_nb.horizontal.side.state import moved
from fedlab_nb.horizontal.side.words import numbers_of, strategy_card, strategy_words
from fedlab_nb.horizontal.trained import trained
from fedlab_nb.learn import SGD, Architecture, Executor, Learner, TrainedModel
from fedlab_nb.parties import Federation
from fedlab_nb.parties.shown.trust import UPDATE, spending
from fedlab_nb.protect import OwnerLevelDP, RowLevelDP
from fedlab_nb.records import PrivacyEvent, Round, Scores, Spending, State

Floats = NDArray[np.float64]
Memory = Mapping[str, Floats]
Debits = dict[str, list[PrivacyEvent]]

# The largest number that an owner may send where nothing is clipped.
LARGEST_CHANGE = 64.0


@dataclass(frozen=True, repr=False)
class Averaging:
    """w <- w + serve(sum_i weight_i * sent_i / sum_i weight_i), over the owners i of a round.

    What ``sent_i`` is says ``local``, and what the server makes of its mean says ``serve``; a strategy is these two.
    weight_i is owner i's share of the rows, or 1 ("equal").

    With ``fl.RowLevelDP`` an owner makes one step a round, on the sum of its rows' clipped gradients: the noise then
    goes on the sum over all owners, and under encryption is little more than if the rows lay in one place. With
    ``fl.OwnerLevelDP`` the sum of what owners send, clipped, is divided by the number of owners to be expected.

    Left out, ``lr`` is 0.1 (2.0 at row level, where gradients are clipped), ``local_epochs`` 2, ``batch_size`` 16.
    ``momentum`` and ``weight_decay`` are those of the local steps. ``aggregate`` is a rule in place of the mean, such
    as ``fl.aggregate.Median()``, for which the server reads each update, or, with ``groups=5``, the sums of five groups
    of owners; ``compress`` is what owners pack their updates with, such as ``fl.compress.TopK(0.1)``. ``executor``
    says how the owners of a round are computed: one by one ("sequential"), as one batch of models ("stacked"), or
    whichever is faster here ("auto").
    """

    model: Architecture
    lr: float | None = None
    local_epochs: int | None = None
    batch_size: int | None = None
    weighting: Literal["rows", "equal"] | None = None
    momentum: float = field(default=0.0, kw_only=True)
    weight_decay: float = field(default=0.0, kw_only=True)
    aggregate: Rule | None = field(default=None, kw_only=True)
    groups: int | None = field(default=None, kw_only=True)
    compress: Compressor | None = field(default=None, kw_only=True)
    executor: Executor = field(default="auto", kw_only=True)

    title: ClassVar[str] = "Averaging"
    formula: ClassVar[str] = "w ← w + Σ weight · sent / Σ weight, over the owners of a round"
    one_step: ClassVar[bool] = True  # it is the same when an owner makes a single step: so it works at row level
    stateless: ClassVar[bool] = True  # no owner keeps anything between rounds
    reach: ClassVar[float] = LARGEST_CHANGE

    @property
    def needs(self) -> tuple[str, ...]:
        """What it needs beyond a sum: row weights where they were asked for, and what its rule and compressor need."""
        rule = needs_of(self.aggregate) if self.aggregate is not None else ()
        if self.groups is not None:
            rule = ("group sums",)
        packing = getattr(self.compress, "needs", ())
        return (*(("row weights",) if self.weighting == "rows" else ()), *rule, *packing)

    def local(self, at: LocalRound) -> dict[str, Floats]:
        """Beside the rows: what each owner of the round sends, here the change (d,) of its weights."""
        return at.changes(self.rule(at.lr))

    def serve(self, state: State, mean: Floats, came: float) -> tuple[Floats, Memory]:  # noqa: ARG002 - some need it
        """At the server: the new weights (d,) and what it remembers, from the mean of what was sent.

        ``came`` is which part of all owners sent something.
        """
        return state.weights["server"] + mean, {}

    def rule(self, lr: float) -> SGD:
        """One local step."""
        return SGD(lr, self.momentum, self.weight_decay)

    def check(self, federation: Federation, num_rounds: int, *, seed: int = 0, after: Round | None = None) -> None:
        """Refuse, before anything leaves, what cannot work or could not keep its privacy claim.

        Raises:
            SettingError, RuleError, BudgetExceededError.
        """
        check(self, federation, num_rounds, seed, after)
        check_parts(self, federation)
        if clip_setting(federation.house.protect, None):
            setup = after.state.context if after else None
            run = self.asked(num_rounds, seed)
            plan = setup.plan if isinstance(setup, Setup) else noise_plan(federation, num_rounds, run)[0]
            check_adaptive(federation, plan)

    def start(self, federation: Federation, *, num_rounds: int, seed: int) -> State:
        """Agree on how columns are read and how much noise there will be; begin with weights from ``seed``."""
        setup = prepare(federation, num_rounds, seed, self.asked(num_rounds, seed))
        weights = starting_weights(self.model, setup, seed, federation.house.protect)
        return State({"server": weights}, context=setup)

    def step(self, state: State, federation: Federation, number: int, cohort: Sequence[str], *, last: bool) -> State:
        """One round: the model goes out, what owners send comes back as one sum, the server takes its step."""
        setup: Setup = state.context  # type: ignore[assignment]
        weights, protect = state.weights["server"], federation.house.protect
        noise = self._noise(setup, protect)
        debits, ahead = self._debits(setup, federation, number, cohort, noise, last=last)
        if len(cohort) < max(1, 2 * (self.groups or 0)):  # too few for the groups is as nobody: a group of one shows it
            federation.charge(ahead)
            return state
        federation.tell("model", weights.astype(np.float32), number=number, to=cohort)
        absent = federation.dropouts(number, setup.seed)
        terms = Terms(number, cohort, debits, ahead, absent, self._asked(federation, setup, weights), noise)
        learner = self._learner(setup)
        kept: dict[str, Floats] = {}
        if isinstance(protect, RowLevelDP):
            work = Clipped(learner, setup, federation, number, weights)
            noise_sd, names = noise * protect.clip, learner.tensors
            total = federation.gather("update", work, **terms.all, bound=work.bound, noise_sd=noise_sd, tensors=names)
            # Of those that take part, as many rows as are to be expected: how many there were is for nobody to know.
            rows = protect.row_rate * setup.rows * federation.came(cohort)
            mean = -self._lr(federation) * total.value / rows
        else:
            side = self._side(learner, state, federation, number)
            mean, kept = combined(self, federation, state, side, terms, self._parts(learner))
            kept |= side.kept_without(federation.losses.names)
        # At owner level who came must not matter, as no noise covers that.
        of_owners = isinstance(protect, OwnerLevelDP)
        came = federation.house.sample_rate if of_owners else federation.came(cohort)
        new, memory = self.serve(state, mean, came)
        return moved(state, new, {**memory, **kept})

    def settings(self, federation: Federation, state: State | None) -> dict[str, float]:
        """Learning rate, local epochs, what else the strategy has, and the federation's settings of the next round.

        At row level an owner makes one step a round, so that there are no local epochs to choose. A clip norm that
        follows the updates is called "adaptive_clip": it is not for people to change.
        """
        one_step = isinstance(federation.house.protect, RowLevelDP)
        own = {"lr": self._lr(federation)} | ({} if one_step else {"local_epochs": self.local_epochs or 2})
        setup = state.context if state is not None else None
        protect = federation.house.protect
        noise = {"noise_multiplier": self._noise(setup, protect)} if protect and isinstance(setup, Setup) else {}
        return {**own, **numbers_of(self), **federation.house.settings, **clip_setting(protect, state), **noise}

    def evaluate(self, state: State, federation: Federation, number: int, *, last: bool) -> Scores:
        """The scores of the model on the rows that were held out."""
        setup: Setup = state.context  # type: ignore[assignment]
        weights = state.weights["server"]
        asked = self._asked(federation, setup, weights)
        scores_own = federation.house.protect is None and self.has_personal(state)
        personal = partial(self.personal, state) if scores_own else None
        learner = self._learner(setup)
        return evaluate(federation, setup, learner, weights, number, last=last, asked=asked, personal=personal)

    def personal(self, state: State) -> Mapping[str, Floats]:  # noqa: ARG002 - for those that have such models
        """Each owner's own model (d,), of those that have one by now."""
        return {}

    def shown(self, state: State, name: str) -> Mapping[str, Floats]:  # noqa: ARG002 - for those that show more
        """What an owner is told besides the model, by name; "server": an older model, if it is at work on that."""
        return {}

    def has_personal(self, state: State) -> bool:  # noqa: ARG002 - for those that have such models
        """True if an owner has a model of its own by now."""
        return False

    def asked(self, num_rounds: int, seed: int) -> str:
        """What run this is, equal for equal runs.

        "" for a strategy or model of one's own, which no words tell, and where owners keep something between rounds,
        which no stored answer would bring back.
        """
        ours = type(self).__module__.startswith("fedlab_nb.") and type(self.model).__module__.startswith("fedlab_nb.")
        told = ours and self.stateless and self.aggregate is None and self.compress is None
        return f"{self!r}, {num_rounds} rounds from seed {seed}" if told else ""

    def _asked(self, federation: Federation, setup: Setup, weights: Floats) -> str:
        """What is asked of the rows in one round; "" where no answer is kept, as telling it takes time."""
        if not federation.books.keeps(federation.house) or not (run := self.asked(0, setup.seed)):
            return ""
        weighed = hashlib.sha256(weights.tobytes()).hexdigest()
        reading = f"{describe(setup.encoding)} {setup.encoding.feature_names}"
        return f"{run}, weights {weighed}, {setup.rows!r} rows read as {reading}"

    def model_of(self, state: State) -> TrainedModel:
        """The model in this state, with the way it reads columns."""
        setup: Setup = state.context  # type: ignore[assignment]
        return trained(self.model, state.weights["server"], setup.encoding)

    def computed(self, state: State) -> str:
        """How the owners of a round were computed, and why, in a sentence."""
        setup: Setup = state.context  # type: ignore[assignment]
        chosen = self._learner(setup).chosen
        way = "together, as one batch of models" if chosen.name == "stacked" else "one after another"
        return f"Owners are computed {way}: {chosen.reason}."

    def spending(self, federation: Federation, record: Round, num_rounds: int) -> Spending:
        """Where the budgets stand after ``record``, the verdict after round ``num_rounds`` set aside."""
        setup = record.state.context
        if not isinstance(setup, Setup) or setup.plan is None:
            return spending(federation)
        promised = [e for e in score_events(federation, setup, num_rounds, last=True) if e.purpose == VERDICT]
        return spending(
            federation,
            self.releases(setup, federation, record.number + 1),
            promised if record.number < num_rounds else [],
            rounds_to_come=max(num_rounds - record.number, 0),
        )

    def releases(self, setup: Setup, federation: Federation, number: int, *, last: bool = False) -> list[PrivacyEvent]:
        """What an owner that takes part in round ``number`` will release."""
        noise = self._noise(setup, federation.house.protect)
        name = federation.names[0]
        debits, ahead = self._debits(setup, federation, number, [name], noise, last=last)
        return [*debits[name], *ahead[name]]

    def _debits(
        self, setup: Setup, federation: Federation, number: int, cohort: Sequence[str], noise: float, *, last: bool
    ) -> tuple[Debits, Debits]:
        """What a round's update costs those who take part, and what its scores will cost all owners."""
        scores = score_events(federation, setup, number, last=last)
        rows = "all" if setup.plan and setup.plan.unit == "owner" else "training"
        rate = getattr(federation.house.protect, "row_rate", 1.0)
        training = event(federation, number, UPDATE, rows, noise, sample_rate=rate)
        return {name: [training] for name in cohort}, dict.fromkeys(federation.names, scores)

    @staticmethod
    def _noise(setup: Setup, protect: RowLevelDP | OwnerLevelDP | None) -> float:
        """The noise multiplier in force: the one that was chosen, else the one that the budget was calibrated to."""
        if setup.plan is None or protect is None:
            return 0.0
        return protect.noise_multiplier or setup.plan.training

    def _side(self, learner: Learner, state: State, federation: Federation, number: int) -> Side:
        votes = isinstance(self.compress, SignSGD)
        return Side(
            self,
            learner,
            state,
            number,
            lr=self._lr(federation),
            epochs=self.local_epochs or 2,
            batch_size=self.batch_size or 16,
            equal=votes or isinstance(federation.house.protect, OwnerLevelDP) or self.weighting == "equal",
            hides_owners=isinstance(federation.house.protect, OwnerLevelDP),
        )

    def _lr(self, federation: Federation) -> float:
        return self.lr or (2.0 if isinstance(federation.house.protect, RowLevelDP) else 0.1)

    def _learner(self, setup: Setup) -> Learner:
        encoding = setup.encoding
        return Learner.of(self.model, encoding.n_inputs, encoding.n_outputs, encoding.task, self.executor)

    def _parts(self, learner: Learner) -> Tensors:
        """Names and sizes of the parts of what owners send."""
        return learner.tensors

    @property
    def plain_change(self) -> bool:
        """True if what owners send is the change (d,) of their weights, and nothing besides."""
        return type(self)._parts is Averaging._parts  # noqa: SLF001

    def __repr__(self) -> str:
        return strategy_words(self)

    def _repr_html_(self) -> str:
        return strategy_card(self)
