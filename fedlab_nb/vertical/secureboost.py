"""SecureBoost: gradient boosted trees whose nodes ask columns of different owners; a round is a tree.

Who does what in one tree (G is the owner of the labels, H any other owner; G has the key):
    1  G        works out g and h of every row, from its labels and the scores so far; they never leave it unsealed
    2  G -> H   g and h of a node's rows, sealed, 0 for all other rows; in the order that all owners have
    3  H        multiplies by 1 for each row that a candidate of its own ("income <= 3?") sends left, else by 0
    4  H -> G   the sums, sealed, one for each candidate; G opens them and knows what every split would win
    5  G -> H   if a candidate of H wins: its handle (a number) and the places of the node's rows
    6  H -> G   for each of these rows, left or right; or nothing, if fewer than ``min_rows`` would go one way
Of two children only the one with fewer rows is sealed: the sums of the other are those of their parent less its own. A
leaf's value stays with G. To predict, G leads rows down the trees, and asks as in 5 and 6 whose column comes next.

Who learns what, if all follow the protocol:
    G    how many candidates H has; of each, whose column and edge it does not know, the sums of g and h over the rows
         that go left, in every node; for each split, which rows go left, or that it would be few. From sums and its own
         g and h it can work out which rows go left by any candidate, so in which order a hidden column puts rows: in
         small nodes at once, of all rows after many trees (least squares: of 472 rows 98 % after 30 trees).
    H    nothing of the labels, but for nodes that it divides: that these rows are together, and are likelier to have
         the same label the deeper the node is. How many nodes there are in each level; which of its candidates won.
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
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.cards import Card
from fedlab_nb.crypto import CKKS
from fedlab_nb.errors import SettingError
from fedlab_nb.parties import Federation
from fedlab_nb.parties.columns.fitting import check_products
from fedlab_nb.parties.columns.road import charge, drop_keys, product_session
from fedlab_nb.parties.rules import is_number
from fedlab_nb.records import Round, Schema, State
from fedlab_nb.vertical.align import align
from fedlab_nb.vertical.shared import Meeting, Mine, Setup, VerticalStrategy
from fedlab_nb.vertical.shared.reading import standard_reading
from fedlab_nb.vertical.shared.scores import metrics
from fedlab_nb.vertical.shared.strategy import SCORES
from fedlab_nb.vertical.trees.columns.bins import Candidates, find_candidates, secret_of
from fedlab_nb.vertical.trees.columns.reading import TreeReading
from fedlab_nb.vertical.trees.exchange import FACTORS
from fedlab_nb.vertical.trees.forest import Forest, part_of_labels, read_labels_part
from fedlab_nb.vertical.trees.importance import HELPED, Importance, importances
from fedlab_nb.vertical.trees.labels.gradients import Goss, base_scores
from fedlab_nb.vertical.trees.labels.growing import Desk
from fedlab_nb.vertical.trees.labels.settings import check_held_out, check_same, check_settings, fixed_of
from fedlab_nb.vertical.trees.level import grow_level
from fedlab_nb.vertical.trees.picture import tree_card
from fedlab_nb.vertical.trees.plain import desk_of, plain_scores, scores_of
from fedlab_nb.vertical.trees.walking import REACHED, scores, walk

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]

FIXED = "fixed settings"
"""In a state's memory: depth, bins and min_rows, by which candidates and trees were made (3,)."""
_LEADER = (
    "how many candidates each other owner has; of each, whose column and edge it does not know, the sums of g and h "
    "over the rows of a node that go left: from them it can work out which rows these are, and in which order a hidden "
    "column puts rows, in small nodes at once, of some hundred rows nearly all after 30 trees; for each split which go "
    "left, or that fewer than min_rows would"
)
_OTHER = (
    "how many nodes each level has, and which of its candidates win; for nodes that it divides, which rows are "
    "together, and so are likelier to have the same label; the same of rows that are predicted"
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
        for name in at.others:
            count = np.array([len(parts[name]) / 3])
            at.send("number of candidates", lambda _, count=count: count, sender=name, to=leader)  # type: ignore[misc]
        _check_some(parts)
        base = at.own("first scores", lambda mine: base_scores(mine.y, setup.task, setup.outputs), at=leader)
        trees = part_of_labels(Candidates.of(parts[leader]), Forest.empty(self.depth, base))
        return State(parts | {leader: trees}, {FIXED: np.array(fixed_of(self), dtype=np.float64)}, setup)

    def advance(self, at: Meeting, state: State, *, last: bool) -> State:
        """One tree for each output, from the gradients at the scores so far."""
        leader = at.labels_at
        own, forest = read_labels_part(state.weights[leader])
        if self._ended(state, forest):
            return state
        walk(at, state, forest.rounds)  # only rows that have not been through all trees, as after a restart
        desk = at.own("gradients", lambda mine: self._desk(mine, at, forest), at=leader)
        session = product_session(at.federation, self._scheme(at), at.number, opener=leader)
        try:
            for level in range(self.depth):
                grow_level(at, session, desk, self._asked(at, state, own), level, self.min_rows)
        except BaseException:
            drop_keys(at.federation)  # keys of sums that failed are not used again
            raise
        grown = at.own("leaves", lambda mine: _finish(mine, desk, forest), at=leader)
        if last:
            _forget(at)
        after = State({**state.weights, leader: part_of_labels(own, grown)}, state.memory, state.context)
        return self._judged(at, after, grown) if self.patience is not None and at.setup.held_out else after

    def foretell(self, at: Meeting, state: State) -> None:
        """Rows walk down the trees up to the best round; the sums of their leaves are the scores."""
        rounds = self._rounds(state)
        walk(at, state, rounds)
        forest = read_labels_part(state.weights[at.labels_at])[1].first(rounds)
        at.own(SCORES, lambda mine: mine.memory.__setitem__(SCORES, scores(mine, forest)), at=at.labels_at)

    def merged_scores(self, state: State, inputs: Mapping[str, Floats]) -> Floats:
        """The scores (n, outputs) where all parts, and by owner the inputs (n, d), are in one pair of hands."""
        setup: Setup = state.context  # type: ignore[assignment]
        own, forest = read_labels_part(state.weights[setup.labels_at])
        candidates = {
            place: own if name == setup.labels_at else Candidates.of(state.weights[name])
            for place, name in enumerate(setup.owners)
        }
        columns = {place: inputs[name] for place, name in enumerate(setup.owners)}
        return scores_of(forest.first(self._rounds(state)), candidates, columns)

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
            found = importances(at, state, self._rounds(state), hide_names=hide_names)
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

    def _scheme(self, at: Meeting) -> CKKS:
        return check_products(at.federation.house.encrypt, type(self).__name__)

    def _asked(self, at: Meeting, state: State, own: Candidates) -> dict[str, Candidates]:
        """The candidates of all owners whose columns this round may ask, those of the owner of the labels first."""
        alone = self.complete_secure and at.number == 1
        names = [] if alone else [name for name in at.others if state.weights[name].size]
        return {at.labels_at: own} | {name: Candidates.of(state.weights[name]) for name in names}

    def _judged(self, at: Meeting, state: State, forest: Forest) -> State:
        """With the best round so far, and how good it was, for the owner of the labels to remember."""
        held_out = Meeting(at.federation, at.alignment, at.setup, at.number, "held_out")
        walk(held_out, state, forest.rounds)

        def judge(mine: Mine) -> Floats:
            found = metrics(scores(mine, forest), mine.y, at.setup)
            loss = found.get("loss", found.get("rmse", np.inf))
            best = state.memory.get(at.labels_at)
            return np.array([forest.rounds, loss]) if best is None or loss < best[1] else best

        best = held_out.own("best round", judge, at=at.labels_at)
        return State(state.weights, {**state.memory, at.labels_at: best}, state.context)

    def _ended(self, state: State, forest: Forest) -> bool:
        """Whether the last ``patience`` rounds were no better than one before."""
        best = state.memory.get(state.context.labels_at)  # type: ignore[attr-defined]
        return best is not None and self.patience is not None and forest.rounds - best[0] >= self.patience

    def _rounds(self, state: State) -> int:
        """How many rounds' trees predict."""
        leader = state.context.labels_at  # type: ignore[attr-defined]
        best = state.memory.get(leader)
        return int(best[0]) if best is not None else read_labels_part(state.weights[leader])[1].rounds


def _finish(mine: Mine, desk: Desk, forest: Forest) -> Forest:
    """The forest with the new trees; training rows are where growing has left them."""
    grown = forest.grown(desk.finish())
    reached = mine.memory[REACHED][1][: forest.trees] if forest.trees else desk.reached[:0]
    mine.memory[REACHED] = grown, np.concatenate([reached, desk.reached])
    return grown


def _forget(at: Meeting) -> None:
    """Owners free the memory of what they multiplied with; it can be worked out again."""
    for name in at.others:
        at.own("factors", lambda mine: mine.memory.pop(FACTORS, None), at=name)


def _check_some(parts: dict[str, Floats]) -> None:
    if not any(len(part) for part in parts.values()):
        raise SettingError(
            "No owner has a column that divides the rows in common into two parts large enough.",
            "Without a question to ask, there is no tree.",
            "Choose a smaller min_rows (5 at least), more bins, or bring owners together with more rows in common.",
        )
