"""The lists of what messages may name are true of the package as it is."""

import pkgutil
import subprocess
import sys
from importlib import import_module
from types import MemberDescriptorType

import numpy as np
import pandas as pd
import pytest

import fedlab_nb
from fedlab_nb.analytics.questions.moments import sum_powers
from fedlab_nb.errors import SettingError
from fedlab_nb.flower.codec import HELPERS, WORK, Allowed, encode, same_code
from fedlab_nb.flower.codec.allowed import DENIED, ROOMS
from fedlab_nb.flower.codec.names import found
from fedlab_nb.flower.codec.objects import check_class

# Rooms that need what is not installed everywhere are not loaded here: no message reaches them.
ELSEWHERE = ("fedlab_nb.flower", "fedlab_nb.view", "fedlab_nb.contracts")


def classes():
    """All classes of the package's rooms."""
    for module in pkgutil.walk_packages(fedlab_nb.__path__, "fedlab_nb."):
        if not module.name.startswith(ELSEWHERE):
            for value in vars(import_module(module.name)).values():
                if isinstance(value, type) and value.__module__ == module.name:
                    yield value


def hides_something(cls):
    """True if Python gives one of its attributes a name that is hard to reach: it keeps a secret."""
    names = [name for name, slot in vars(cls).items() if isinstance(slot, MemberDescriptorType)]
    return any(name.startswith(f"_{cls.__name__.lstrip('_')}__") for name in names)


def test_what_is_denied_is_there():
    assert [name for name in sorted(DENIED) if not isinstance(found(*name), type)] == []


def test_every_room_of_data_is_there():
    assert [room for room in ROOMS if import_module(f"fedlab_nb.{room}") is None] == []


def test_no_class_that_hides_something_is_data():
    hiding = [cls for cls in classes() if hides_something(cls)]
    assert {"KeyHolder", "Identity", "MaskingOwner", "JointOwner", "Blind", "Partner"} <= {c.__name__ for c in hiding}
    for cls in hiding:
        with pytest.raises(SettingError):
            check_class(cls, Allowed())


def test_helpers_are_no_work():
    assert not WORK & HELPERS


READS = """
import sys
import numpy as np, pandas as pd
from fedlab_nb.flower.codec import decode, same_code
question = decode(sys.stdin.buffer.read())
table = pd.DataFrame({"a": np.arange(50.0), "b": np.sin(np.arange(50.0))})
sys.stdout.buffer.write(same_code().encode() + question.vector(table).tobytes())
"""


@pytest.mark.parametrize("seed", ["0", "1"])
def test_another_process_understands_the_message_whatever_its_hashes(seed, root, monkeypatch):
    monkeypatch.setenv("PYTHONHASHSEED", seed)
    question = sum_powers({"a": (0.0, 40.0), "b": (-0.5, 1.0)})
    done = subprocess.run(
        [sys.executable, "-c", READS], input=encode(question), capture_output=True, cwd=root, check=True
    )
    table = pd.DataFrame({"a": np.arange(50.0), "b": np.sin(np.arange(50.0))})
    assert done.stdout[64:] == question.vector(table).tobytes()
    same_code.cache_clear()
    assert done.stdout[:64].decode() == same_code()
