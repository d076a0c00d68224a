"""What the tests of messages share: an app's module with all kinds of definitions, and how messages look inside."""

import json
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import ClassVar, NamedTuple

import numpy as np

from fedlab_nb.errors import FedLabError, RoundError
from fedlab_nb.flower.codec import HELPERS, WORK, Allowed, decode, encode
from fedlab_nb.ledger import Ledger

HERE = __name__
FUNCTIONS = (
    "twice", "Ways.half", "Ways.made", "Ways.third", "adder.<locals>.add", "adder.<locals>.<lambda>",
    "pair.<locals>.<lambda>", "counter.<locals>.more", "counter.<locals>.read", "Ways.inner.<locals>.<lambda>",
    "Ways.lazy.<locals>.<lambda>", "Ways.still.<locals>.<lambda>", "Ways.<lambda>", "<lambda>",
    "itself.<locals>.again", "waiting.<locals>.later", "defaults.<locals>.of", "Plain", "Plain.method",
)  # fmt: skip
ALLOWED = Allowed(frozenset({HERE}), WORK, HELPERS | {(HERE, name) for name in FUNCTIONS})


class Colour(Enum):
    RED = "red"
    BLUE = object()


class Spot(NamedTuple):
    x: float
    name: str = "here"


@dataclass(frozen=True)
class Settings:
    lr: float
    names: tuple[str, ...] = ()
    depth: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "depth", len(self.names))
        if self.lr < 0:
            raise ValueError(self.lr)

    @cached_property
    def long(self) -> np.ndarray:
        return np.zeros(10_000)


@dataclass(frozen=True, slots=True)
class Tight:
    a: object
    b: object = None


class Plain:
    """Keeps what it is given."""

    kind = "plain"

    def __init__(self, **values):
        self.__dict__.update(values)

    def __setattr__(self, name, value):
        raise AssertionError

    def __getattr__(self, name):
        raise AttributeError(name)

    def __call__(self, *args):
        return self, args

    def method(self):
        return self


class Slots:
    __slots__ = ("__hidden", "empty", "shown")

    def __init__(self, shown, hidden):
        self.shown, self.__hidden = shown, hidden

    @property
    def hidden(self):
        return self.__hidden


class More(Slots):
    __slots__ = ("__dict__", "__hidden")

    def __init__(self, shown, hidden, own):
        super().__init__(shown, hidden)
        self.__hidden, self.extra = own, {"own": own}

    @property
    def own(self):
        return self.__hidden


class MineError(FedLabError):
    def __init__(self, number):
        super().__init__(f"It is {number}.", "It should be 1.", "Make it 1.")
        self.number = number


class LoudError(RoundError):
    pass


class Armed:
    """Something that would run code when it is let go, copied, or read."""

    ran: ClassVar[list[str]] = []

    def __del__(self):
        self.ran.append("del")


class Watchful:
    """Something whose own ways of being made are never used."""

    ran: ClassVar[list[str]] = []

    def __new__(cls, *args):
        cls.ran.append("new")
        return super().__new__(cls)

    def __init__(self, *args):
        self.ran.append("init")

    def __reduce__(self):
        self.ran.append("reduce")
        return Watchful, ()

    def __setstate__(self, state):
        self.ran.append("setstate")

    def __setattr__(self, name, value):
        self.ran.append("setattr")


class MyLedger(Ledger):
    """A class with a base that holds what is kept apart."""


class Listed(list):
    pass


def twice(x):
    return 2 * x


def adder(n):
    def add(x, m=1, *, k=2):
        return x + n + m + k

    return add, lambda x: x - n


def pair(a):
    return (lambda x: x + a, lambda x: x * a), lambda x: x**a


def counter():
    total = 0

    def more():
        nonlocal total
        total += 1

    def read():
        return total

    return more, read


def itself():
    def again(n):
        return 0 if n == 0 else 1 + again(n - 1)

    return again


def waiting():
    def later():
        return thing

    found = later
    if found is None:
        thing = 1
    return later


def defaults():
    def of(x, scale=np.arange(3.0), *, more={"a": (1, 2)}):  # noqa: B006, B008 - defaults of all kinds cross
        return x * scale, more

    return of


class Ways:
    """Functions in all places of a class."""

    default = (lambda x: x + 100,)
    factor = 10

    def half(self, x):
        return x / 2

    @classmethod
    def made(cls, x):
        return cls.factor * x

    @staticmethod
    def third(x):
        return x / 3

    def inner(self):
        return lambda x: (self.factor, x)

    @property
    def lazy(self):
        return lambda x: x * self.factor

    @staticmethod
    def still(y):
        return lambda x: x - y


TABLE = {"a": lambda x: x + 0.5}


def sent(value, allowed=ALLOWED, **hooks):
    """What arrives."""
    return decode(encode(value, allowed, **hooks), allowed, **hooks)


def message(values, root=None, segments=(), mark=b"FEDLAB1\n"):
    """A message of anybody's own making: each value is [kind, facts, parts]."""
    said = {"root": [0] if root is None else root, "values": values, "sizes": [len(s) for s in segments]}
    head = json.dumps(said).encode()
    return b"".join([mark, len(head).to_bytes(8, "little"), head, *segments])


def inside(data):
    """The values of a message, each [kind, facts, parts]."""
    end = 16 + int.from_bytes(data[8:16], "little")
    return json.loads(data[16:end].decode("utf-8", "surrogatepass"))["values"]


def same(a, b):
    """True if two values are equal in type and bits, part by part."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return (a.dtype, a.shape, a.tobytes("A")) == (b.dtype, b.shape, b.tobytes("A"))
    if isinstance(a, np.generic):
        return a.dtype == b.dtype and a.tobytes() == b.tobytes()
    if isinstance(a, float):
        return np.float64(a).tobytes() == np.float64(b).tobytes()
    if isinstance(a, complex):
        return np.complex128(a).tobytes() == np.complex128(b).tobytes()
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return len(a) == len(b) and all(map(same, a, b)) and all(map(same, a.values(), b.values()))
    return a == b
