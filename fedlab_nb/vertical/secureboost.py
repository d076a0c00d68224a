"""SecureBoost: gradient boosted trees whose nodes ask columns of different owners; a round is a tree.

Who does what in one tree (G is the owner of the labels, H any other owner; G has the key):
    1  G        works out g and h of every row, from its labels and the scores so far; they never leave it unsealed
    2  G -> H   g and h of a node's rows, sealed, 0 for all other rows; in the order that all owners have
    3  H        multiplies by 1 for each row that a candidate of its own ("income <= 3?") sends left, else by 0
    4  H -> G   the sums, sealed, one for each candidate; G opens them and knows what every split would win
    5  G -> H   if a candidate of H wins: its handle (a number) and the places of the node's rows
    6  H -> G   for each of these rows, left or right; or nothing, if fewer than ``min_rows`` would go one way
Of two children only the one with fewer rows is sealed: the sums of the other are those of their parent less its own. A
leaf's value stays with G. To predict, G leads rows down the trees, and asks as in 5 and 6 whose column comes next. What
comes depends on what G knows: so it tells each H, in a round, whether a tree comes (or rows go down earlier ones first,
after a restart); in a level, how many nodes are sealed; and after 6, by a message 5 without rows, that it asks no more.

Who learns what, if all follow the protocol:
    G    how many candidates H has; of each, whose column and edge it does not know, the sums of g and h over the rows
         that go left, in every node; for each split, which rows go left, or that it would be few. From sums and its own
         g and h it can work out which rows go left by any candidate, so in which order a hidden column puts rows: in
         small nodes at once, of all rows after many trees (least squares: of 472 rows 98 % after 30 trees).
    H    nothing of the labels, but for nodes that it divides: that these rows are together, and are likelier to have
         the same label the deeper the node is. How many nodes of each level are sealed; which of its candidates won.
         When no more trees come. It is not told how often others are asked, nor what they keep back.
    the server    how good the model is on held-out rows.
In the paper H learns which rows are in every node; here only in those that it divides. Candidates are cumulative
("at most so much") and in an order that tells neither column nor edge. On rows that are predicted, H learns which of
them come to a node of its own.

Source: Cheng et al., "SecureBoost: a lossless federated learning framework", IEEE Intelligent Systems 2021, sections 4
and 5; Chen, Guestrin, "XGBoost", KDD 2016, sections 2.2 and 3.4 (missing values); Ke et al., "LightGBM", NeurIPS 2017,
section 3 (GOSS).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.cards import Card
from fedlab_nb.errors import SettingError
from fedlab_nb.parties import Federation
from fedlab_nb.parties.columns.fitting import check_products
from fedlab_nb.parties.columns.road import charge, drop_keys, product_session
from fedlab_nb.parties.rules import is_number
from fedlab_nb.places import NotHere, here
from fedlab_nb.records import Round, Schema, State
from fedlab_nb.vertical.align import align
from fedlab_nb.vertical.shared import Meeting, Mine, Setup, VerticalStrategy
from fedlab_nb.vertical.shared.reading import standard_reading
from fedlab_nb.vertical.shared.scores import metrics
from fedlab_nb.vertical.shared.strategy import SCORES
from fedlab_nb.vertical.trees.columns.bins import Candidates, find_candidates, secret_of
from fedlab_nb.vertical.trees.columns.reading import TreeReading
from fedlab_nb.vertical.trees.exchange import forget_factors
from fedlab_nb.vertical.trees.forest import Forest, part_of_labels, read_labels_part
from fedlab_nb.vertical.trees.importance import HELPED, Importance, importances
from fedlab_nb.vertical.trees.labels.gradients import Goss, base_scores
from fedlab_nb.vertical.trees.labels.growing import Desk
from fedlab_nb.vertical.trees.labels.settings import check_held_out, check_same, check_settings, check_some, fixed_of
from fedlab_nb.vertical.trees.level import Growth
from fedlab_nb.vertical.trees.picture import tree_card
from fedlab_nb.vertical.trees.plain import desk_of, plain_scores, scores_of
from fedlab_nb.vertical.trees.walking import ENDED, NEXT, WALK, finish, next_in_round, scores, walk

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]

FIXED = "fixed settings"
"""In a state's memory: depth, bins and min_rows, by which candidates and trees were made (3,)."""
_COUNT = "candidates of {}"
"""In a state's memory: how many an owner has, for itself and the owner of the labels (1,)."""
_LEADER = (
    "how many candidates each other owner has; of each, whose column and edge it does not know, the sums of g and h "
    "over the rows of a node that go left: from them it can work out which rows these are, and in which order a hidden "
    "column puts rows, in small nodes at once, of some hundred rows nearly all after 30 trees; for each split which go "
    "left, or that fewer than min_rows would"
)
_OTHER = (
    "how many nodes of each level are sealed, when no more trees come, and which of its candidates win; for nodes that "
    "it divides, which rows are together, and so are likelier to have the same label; the same of predicted rows"
)


@dataclass(frozen=True, repr=False)
class SecureBoost(VerticalStrategy):
    """Gradient boosted trees over columns of several owners; for several classes a round has a tree for each.

    Law: the trees and the scores are those of the same algorithm on the pooled columns, bit for bit.

    ``depth`` is how many questions a row is asked in a tree, ``bins`` into how many parts a column is cut at most,
    ``lr`` the share of each leaf that counts; ``reg_lambda`` and ``gamma`` are XGBoost's. ``min_rows`` is how many rows
    in common a candidate has on either side, and a leaf, at least: 5 or more, since sums about few rows tell of single
    people. ``goss=(0.2, 0.1)`` grows trees, after the first 1 / lr, on the 20 % of rows with the largest gradients and
    10 % of all rows drawn from the rest. Which ones nobody else learns, and so it saves no time: the places of the
    largest gradients would tell of labels. With ``complete_secure`` the first tree asks only columns of the owner of
    the labels, after which gradients tell less of labels. ``patience`` is after how many rounds that are no better on
    held-out rows no more trees are grown: predictions then come from the trees up to the best round.

    Who learns what stands on the card that a notebook shows of it, and in ``learns``. Source: Cheng et al. 2021.

    Example:
        >>> SecureBoost(labels_at="bank", depth=2).depth
        2
    """

    depth: int = 3
    bins: int = 32
    lr: float = 0.3
    reg_lambda: float = 1.0
    gamma: float = 0.0
    min_rows: int = 20
    goss: Goss | None = None
    complete_secure: bool = False
    patience: int | None = None

    title: ClassVar[str] = "SecureBoost"
    formula: ClassVar[str] = "a split wins half of G_l² / (H_l + λ) + G_r² / (H_r + λ) - G² / (H + λ), less gamma"
    learns: ClassVar[tuple[tuple[str, str], ...]] = (
        ("the owner of the labels", _LEADER),
        ("another owner", _OTHER),
        ("the server", "how good the model is on held-out rows"),
        ("an owner together with the owner of the labels", "all that both have: the one has the key, the other asks"),
    )

    def check(self, federation: Federation, num_rounds: int, *, seed: int = 0, after: Round | None = None) -> None:
        """Refuse, before anything leaves, what cannot work.

        Raises:
            SettingError, RuleError.
        """
        check_settings(self)
        super().check(federation, num_rounds, seed=seed, after=after)
        check_held_out(self.patience, federation)
        if after is not None:
            check_same(self, after.state.memory[FIXED].tolist())

    def read(self, features: pd.DataFrame, schema: Schema, owner: str) -> TreeReading:
        """Numbers and categories as trees ask about them; columns of which nothing can be learned are refused."""
        return TreeReading(standard_reading(features, schema, owner).encoding)

    def begin(self, at: Meeting) -> State:
        """Every owner cuts its columns into bins; the owner of the labels learns how many candidates each has."""
        setup, leader = at.setup, at.labels_at

        def cut(mine: Mine) -> Floats:
            secret = secret_of(setup.seed, mine.name, setup.readings[mine.name].inputs)
            return find_candidates(mine.X, self.bins, self.min_rows, secret).table.ravel()

        parts = {name: at.own("candidates", cut, at=name) for name in at.names}
        counts = {
            name: at.send("number of candidates", partial(_count, parts), sender=name, to=leader) for name in at.others
        }

        def first(mine: Mine) -> Floats:
            own = Candidates.of(parts[leader])
            check_some(len(own), *counts.values())
            return part_of_labels(own, Forest.empty(self.depth, base_scores(mine.y, setup.task, setup.outputs)))

        memory = {_COUNT.format(name): count for name, count in counts.items()}
        parts |= {leader: at.own("first scores", first, at=leader)}
        return State(parts, {FIXED: np.array(fixed_of(self), dtype=np.float64), **memory}, setup)

    def advance(self, at: Meeting, state: State, *, last: bool) -> State:
        """One tree for each output, from the gradients at the scores so far."""
        leader, weights = at.labels_at, state.weights
        scheme = check_products(at.federation.house.encrypt, type(self).__name__)
        session = product_session(at.federation, scheme, at.number, opener=leader)
        forest = at.own("trees", lambda _: read_labels_part(weights[leader])[1], at=leader)
        told = [at.send(NEXT, partial(self._next, state, forest), sender=leader, to=name) for name in at.others]
        comes = int(here(told, np.array([ENDED]))[0])
        if comes == ENDED:
            return state
        if comes == WALK:
            walk(at, weights, forest)
        desk = at.own("gradients", lambda mine: self._desk(mine, at, forest), at=leader)
        growth, going = Growth(at, session, desk, weights, self.min_rows), self._asked(at, state)
        try:
            for level in range(self.depth):
                going = growth.level(level, going)
        except BaseException:
            drop_keys(at.federation)  # keys of sums that failed are not used again
            raise
        if last:
            forget_factors(at)

        def leaves(mine: Mine) -> Floats:
            return part_of_labels(read_labels_part(weights[leader])[0], finish(mine, desk, forest))

        after = State({**weights, leader: at.own("leaves", leaves, at=leader)}, state.memory, state.context)
        return self._judged(at, after) if self.patience is not None and at.setup.held_out else after

    def foretell(self, at: Meeting, state: State) -> None:
        """Rows walk down the trees up to the best round; the sums of their leaves are the scores."""
        leader = at.labels_at
        forest = at.own("trees", lambda _: self._forest(state), at=leader)
        walk(at, state.weights, forest)
        at.own(SCORES, lambda mine: mine.memory.__setitem__(SCORES, scores(mine, forest)), at=leader)

    def merged_scores(self, state: State, inputs: Mapping[str, Floats]) -> Floats:
        """The scores (n, outputs) where all parts, and by owner the inputs (n, d), are in one pair of hands."""
        setup: Setup = state.context  # type: ignore[assignment]
        own = read_labels_part(state.weights[setup.labels_at])[0]
        candidates = {
            place: own if name == setup.labels_at else Candidates.of(state.weights[name])
            for place, name in enumerate(setup.owners)
        }
        columns = {place: inputs[name] for place, name in enumerate(setup.owners)}
        return scores_of(self._forest(state), candidates, columns)

    def plain(
        self, columns: Mapping[str, Floats], y: Floats, new: Mapping[str, Floats], setup: Setup, num_rounds: int
    ) -> Floats:
        """The same trees with all columns in one place; without held-out labels there, of all rounds (no patience)."""
        return plain_scores(self, columns, y, new, setup, num_rounds)

    def importance(self, federation: Federation, state: State, *, hide_names: bool = True) -> pd.DataFrame:
        """What the splits of each column have won in all, and how many there are; the greatest gain first.

        Others' columns are numbers ("shop feature 3") unless all agree not to hide their names. Who learns what:
        trees/importance.py.

        Raises:
            RoundError: naming the owner that fails.
        """
        import pandas as pd

        setup: Setup = state.context  # type: ignore[assignment]
        with federation.in_use():
            alignment, number = align(federation), federation.turn()
            charge(federation, HELPED, federation.names, number=number)
            at = Meeting(federation, alignment, setup, number)
            found = importances(at, state, self._forest(state).rounds, hide_names=hide_names)
        return pd.DataFrame(found, columns=list(Importance._fields))

    def tree(self, state: State, number: int = 0, *, shown: Collection[str] | None = None) -> Card:
        """A picture of tree ``number``, from 0 on, as those see it who have the parts of the owners ``shown``.

        Left out, that is the owner of the labels: others' questions are handles then.

        Raises:
            SettingError: there is no such tree.
        """
        setup: Setup = state.context  # type: ignore[assignment]
        trees = read_labels_part(state.weights[setup.labels_at])[1].trees
        if not is_number(number, whole=True) or not 0 <= number < trees:
            raise SettingError(
                f"Tree {number!r} was asked for, and there are {trees}.",
                "Trees are counted from 0, round by round.",
                f"Ask for one from 0 to {trees - 1}." if trees else "Train for a round first.",
            )
        return tree_card(state, number, (setup.labels_at,) if shown is None else shown)

    def _desk(self, mine: Mine, at: Meeting, forest: Forest) -> Desk:
        return desk_of(self, scores(mine, forest), mine.y, at.setup.task, at.number, at.setup.seed)

    def _asked(self, at: Meeting, state: State) -> dict[str, int]:
        """How many candidates others have that this round may ask: known to each of them, and to whoever has labels."""
        alone = self.complete_secure and at.number == 1
        counts = {name: state.memory[_COUNT.format(name)] for name in at.others if not alone}
        return {name: int(count[0]) for name, count in counts.items() if not isinstance(count, NotHere) and count[0]}

    def _next(self, state: State, forest: Forest, mine: Mine) -> Floats:
        """At the owner of the labels: what comes in this round."""
        best = state.memory.get(mine.name)
        waited = 0 if best is None else forest.rounds - best[0]  # rounds that were no better than one before
        return next_in_round(mine, forest, ended=self.patience is not None and waited >= self.patience)

    def _judged(self, at: Meeting, state: State) -> State:
        """With the best round so far, and how good it was, for the owner of the labels to remember."""
        held_out, leader = Meeting(at.federation, at.alignment, at.setup, at.number, "held_out"), at.labels_at
        forest = held_out.own("trees", lambda _: read_labels_part(state.weights[leader])[1], at=leader)
        walk(held_out, state.weights, forest)

        def judge(mine: Mine) -> Floats:
            found = metrics(scores(mine, forest), mine.y, at.setup)
            loss = found.get("loss", found.get("rmse", np.inf))
            best = state.memory.get(leader)
            return np.array([forest.rounds, loss]) if best is None or loss < best[1] else best

        best = held_out.own("best round", judge, at=leader)
        return State(state.weights, {**state.memory, leader: best}, state.context)

    def _forest(self, state: State) -> Forest:
        """The trees that predict: those up to the best round."""
        leader = state.context.labels_at  # type: ignore[attr-defined]
        best, forest = state.memory.get(leader), read_labels_part(state.weights[leader])[1]
        return forest if best is None else forest.first(int(best[0]))


def _count(parts: Mapping[str, Floats], mine: Mine) -> Floats:
    return np.array([len(parts[mine.name]) / 3])
