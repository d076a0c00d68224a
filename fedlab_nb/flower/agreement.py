"""What all parties of a run agree on before it begins, as a file that each of them has.

It is part of the app that every site installs. A site may note its digest beforehand: then no other run is taken part
in, whatever app is sent to it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedlab_nb.crypto.seal import KEY_HOLDER
from fedlab_nb.errors import SettingError
from fedlab_nb.flower import task
from fedlab_nb.flower.codec import (
    ASKING,
    ASKING_HELPERS,
    TRAINING,
    TRAINING_HELPERS,
    Allowed,
    decode,
    encode,
    same_code,
)
from fedlab_nb.flower.driving.words import NOTEBOOK
from fedlab_nb.flower.survey.questions import Questions
from fedlab_nb.parties.house import House
from fedlab_nb.vertical import JointPrediction

FILE = "agreement.json"
# Where an object is, in words about it: in another process it is elsewhere.
_PLACE = re.compile(r" at 0x[0-9a-fA-F]+")


@dataclass(frozen=True)
class Agreement:
    """One run: which owners, under which settings, trained how, and by which code.

    Of questions, ``strategy`` says which they are, of a joint prediction, by parts of which strategy; there are no
    rounds then: ``num_rounds`` is 0.

    ``modules`` are the app's own, beside this package: models and strategies of one's own are there. ``functions`` are
    those of them that may be named, by (module, name). ``driven`` says that a notebook, which is a node of its own, may
    hold, change and end the run. ``linkage`` is the threshold (Dice) by which two owners without a common id link rows
    that are alike; None where they have an id, or the same columns.
    """

    names: tuple[str, ...]
    house: House
    strategy: Any
    num_rounds: int
    seed: int = 0
    modules: tuple[str, ...] = ()
    functions: tuple[tuple[str, str], ...] = ()
    driven: bool = False
    linkage: float | None = None

    @property
    def parties(self) -> tuple[str, ...]:
        """All who take part: the owners, and a key holder apart where there is one."""
        if self.vertical and not isinstance(self.strategy, Questions):
            return (*self.names, *self.strategy.openers_among(len(self.names)))
        return (*self.names, KEY_HOLDER) if getattr(self.house.encrypt, "keys", "") == "authority" else self.names

    @property
    def nodes(self) -> tuple[str, ...]:
        """Whose nodes must be there: those of all parties, and of the notebook where there is one at the wheel."""
        return (*self.parties, NOTEBOOK) if self.driven else self.parties

    @property
    def vertical(self) -> bool:
        """Whether owners hold different columns: each party then runs the protocol itself."""
        return hasattr(self.strategy, "labels_at") or bool(getattr(self.strategy, "agreed", ()))

    @property
    def steps(self) -> int:
        """How many steps owners of different columns take together, each when the server begins it."""
        if isinstance(self.strategy, Questions):
            return len(self.strategy.agreed)
        return 1 if isinstance(self.strategy, JointPrediction) else self.num_rounds

    @property
    def key_makers(self) -> tuple[str, ...]:
        """Who makes the key that opens sums: the key holder, or the first owner for all of them."""
        return self.names[:1] if getattr(self.house.encrypt, "keys", "") == "owners" else (KEY_HOLDER,)

    @property
    def allowed(self) -> Allowed:
        """What messages of this run may name: an app that trains answers no questions, and the other way round."""
        if isinstance(self.strategy, Questions):
            return Allowed(frozenset(), ASKING, ASKING_HELPERS)
        return Allowed(frozenset(self.modules), TRAINING, TRAINING_HELPERS | frozenset(self.functions))

    @property
    def words(self) -> str:
        """The settings of the federation, for people."""
        if self.vertical and isinstance(self.strategy, Questions) and self.house.encrypt is None:
            return "not encrypted: the server reads what each owner answers, and nothing is asked across owners"
        return _words(self.house, vertical=self.vertical)

    @property
    def seals(self) -> bool:
        """Whether anything is sealed by keys that the server passes on, and which it could exchange for its own."""
        return self.vertical or self.house.encrypt is not None

    def on_first_sight(self, unknown: Mapping[str, Sequence[str]]) -> str:
        """What to say of parties that have not noted each other's fingerprints, ``unknown`` by party; "" if nothing.

        >>> from fedlab_nb.crypto import SecAgg
        >>> agreement = Agreement(("A", "B"), House(encrypt=SecAgg()), None, 1)
        >>> agreement.on_first_sight({"A": ["B"], "B": []})
        "Fingerprints not noted: 'A' of 'B'. Of these the server's word is taken: it could put in keys of its own."
        """
        missing = [f"{who!r} of {', '.join(map(repr, those))}" for who, those in unknown.items() if those]
        if not missing or not self.seals:
            return ""
        whose = "; ".join(missing)
        return f"Fingerprints not noted: {whose}. Of these the server's word is taken: it could put in keys of its own."

    @property
    def text(self) -> str:
        """The file: what people read first, and the same for machines."""
        facts = self.names, self.house, self.strategy, self.num_rounds, self.seed, self.linkage
        body = {
            "owners": [*self.names],
            "federation": self.words,
            **({} if self.linkage is None else {"linkage": linked_words(self.linkage)}),
            **self._work,
            "driven": self.driven,
            "code": same_code(*self.modules),
            "modules": [*self.modules],
            "functions": [list(name) for name in self.functions],
            "exactly": base64.b85encode(encode(facts, self.allowed)).decode(),
        }
        return json.dumps(body, indent=2, ensure_ascii=False) + "\n"

    @property
    def _work(self) -> dict[str, object]:
        """What is done, for people: a training, questions, or a prediction."""
        if isinstance(self.strategy, Questions):
            asked = [asked.text for asked in self.strategy.agreed]
            return {"questions": repr(self.strategy), **({"asked": asked} if asked else {})}
        trained = _PLACE.sub("", repr(self.strategy))
        if isinstance(self.strategy, JointPrediction):
            return {"prediction": trained}
        return {"strategy": trained, "num_rounds": self.num_rounds, "seed": self.seed}

    @property
    def digest(self) -> str:
        """SHA-256 of the file, in hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def write(self, folder: Path) -> Path:
        """Write the file into ``folder``."""
        path = folder / FILE
        path.write_text(self.text, encoding="utf-8", newline="\n")
        return path

    @classmethod
    def read(cls, folder: Path) -> Agreement:
        """The agreement in ``folder``.

        Raises:
            SettingError: it is not there, cannot be read, was changed by hand, or was made by other code than is
                installed here.
        """
        path = folder / FILE
        try:
            text = path.read_text(encoding="utf-8")
            body = json.loads(text)
            modules = tuple(map(str, body["modules"]))
            functions = tuple((str(module), str(name)) for module, name in body["functions"])
            driven = bool(body["driven"])
            made_by, exactly = str(body["code"]), base64.b85decode(body["exactly"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SettingError(
                f"The agreement {path.name!r} cannot be read ({type(error).__name__}).",
                "It says who takes part in what; nothing is done without it.",
                "Take the app anew from whoever exported it: fl.flower.export(...).",
            ) from error
        for module in filter(task.is_own, modules):
            task.loaded(module, folder)
        if made_by != same_code(*modules):
            raise SettingError(
                f"The agreement was made by the code {made_by[:12]}, and here is {same_code(*modules)[:12]}.",
                "Parties name steps to each other by their place in the code: in another version it may be another.",
                "Install the same version of fedlab_nb everywhere, and export the app with it.",
            )
        allowed = cls((), House(), None, 0, modules=modules, functions=functions).allowed
        names, house, strategy, num_rounds, seed, linkage = decode(exactly, allowed)
        if isinstance(strategy, Questions):
            strategy.check(folder)
        read = cls(names, house, strategy, num_rounds, seed, modules, functions, driven, linkage)
        if read.text != text:
            raise SettingError(
                f"The agreement {path.name!r} says one thing to people and another to programs.",
                "What people read in it would not be what is done.",
                "It was changed by hand: take the app anew from whoever exported it, fl.flower.export(...).",
            )
        return read


def _words(house: House, *, vertical: bool) -> str:
    readers = (
        "an owner reads what another sends it, the server neither" if vertical else "the server reads every update"
    )
    parts = [repr(house.encrypt) if house.encrypt else f"not encrypted: {readers}"]
    parts += [repr(part) for part in (house.protect, house.budget) if part is not None]
    if house.noise_seed is not None:
        parts.append("a rehearsal: its noise can be repeated and protects nobody")
    if house.sample_rate != 1.0:
        parts.append(f"each owner takes part in a round with chance {house.sample_rate:g}")
    if house.dropout:
        parts.append(f"and drops out of it with chance {house.dropout:g}")
    if house.min_owners is not None:
        parts.append(f"at least {house.min_owners} owners a round")
    return "; ".join(parts)


def linked_words(threshold: float) -> str:
    """How rows are found where owners have no id in common.

    >>> linked_words(0.85)
    'rows of both owners that are alike by 0.85 or more (Dice) are linked; the server gets a pseudonym of each row'
    """
    alike = f"rows of both owners that are alike by {threshold!r} or more (Dice)"
    return f"{alike} are linked; the server gets a pseudonym of each row"
