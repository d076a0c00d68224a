"""The app's own module, ``task.py`` beside the agreement: models and strategies of one's own.

It is called after what is in it. So one kernel may have several apps at once, an app that is exported anew is
read anew, and a party can have nothing else under the name than what was agreed on.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING

from fedlab_nb.errors import SettingError

if TYPE_CHECKING:
    from typing_extensions import Buffer

FILE = "task.py"
_BEFORE = "fedlab_task_"


class _Loader(SourceFileLoader):
    def set_data(self, path: str, data: Buffer, *, _mode: int = 0o666) -> None:
        """Write no compiled copy beside the file: the folder of an app holds what was agreed on, and nothing else."""


def name_of(source: bytes) -> str:
    """What the module with this source is called."""
    return _BEFORE + hashlib.sha256(source).hexdigest()[:16]


def is_own(name: str) -> bool:
    """True if a module of this name is found beside the agreement, false if it is to be installed."""
    return name.startswith(_BEFORE)


def loaded(name: str, folder: Path) -> ModuleType:
    """The module of this name, from ``task.py`` in ``folder``; it is run once a process.

    Raises:
        SettingError: it is not there, is another one, or cannot be run.
    """
    path = (folder / FILE).absolute()
    try:
        there = name_of(path.read_bytes())
    except OSError:
        there = ""
    if there != name:
        raise SettingError(
            f"The file {FILE!r} of the app is {'another one than was agreed on' if there else 'not there'}.",
            "It holds models and strategies that parties run beside their rows.",
            "Take the app anew from whoever exported it.",
        )
    loader = _Loader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    module = sys.modules.get(name)
    if spec is None or module is not None:
        return _moved(sys.modules[name], spec)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise SettingError(
            f"The file {FILE!r} of the app fails when it is loaded: {type(error).__name__}: {error}.",
            "It holds models and strategies that parties run beside their rows.",
            "Load it by itself, python task.py, and correct what it says.",
        ) from error
    return module


def defined(source: bytes, name: str) -> tuple[tuple[str, str], ...]:
    """All functions and classes in a module with this source, as (module, name)."""
    waiting, found = [compile(source, FILE, "exec")], set()
    while waiting:
        inner = [code for code in waiting.pop().co_consts if isinstance(code, CodeType)]
        found |= {code.co_qualname for code in inner}
        waiting += inner
    return tuple((name, function) for function in sorted(found))


def _moved(module: ModuleType, spec: object) -> ModuleType:
    """The same module, found in another folder: the one it came from may be gone."""
    module.__spec__, module.__file__ = spec, spec.origin  # type: ignore[assignment, attr-defined]
    module.__loader__ = module.__spec__.loader if module.__spec__ else None
    return module
