"""Settings written for Flower: one line each, in a TOML file, so that no quote or space can break them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path

from fedlab_nb.errors import SettingError
from fedlab_nb.parties.rules import is_number

Setting = str | int | float | bool
_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


def write_settings(path: Path, settings: Mapping[str, Setting]) -> Path:
    """Write ``settings`` to ``path``, which must end in ``.toml``, and return it.

    Raises:
        SettingError: a name or a value that Flower could not read back as it is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{_name(name)} = {_value(name, value)}\n" for name, value in settings.items()), "utf-8")
    return path


def check_seconds(config: Mapping[str, object]) -> None:
    """Refuse seconds to wait, and of patience, that nobody could wait; what is not in ``config`` is left as it is.

    Raises:
        SettingError.
    """
    for name in ("wait", "patience"):
        value = config.get(name, 1.0)
        if not (is_number(value) and 0 < value < math.inf):  # type: ignore[operator]
            raise SettingError(
                f"{name}={value!r} was asked for.",
                "It is a number of seconds, larger than 0: no party comes or answers in less.",
                "For example fl.flower.run(project, control, wait=300, patience=120), or on the command line "
                'flwr run . fedlab_superlink --run-config "wait=300 patience=120".',
            )


def text(value: str) -> str:
    """``value`` as a TOML string."""
    # JSON's escapes are TOML's too, once nothing but control characters is escaped; DEL is the one they differ in.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise SettingError(
            f"A setting of a Flower app cannot be named {name!r}.",
            "Flower reads settings from lines `name = value`.",
            "Use letters, digits, dashes and underscores, with single dots between parts.",
        )
    return name


def _value(name: str, value: Setting) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return repr(value)
    if isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value):
        return text(value)
    raise SettingError(
        f"The setting {name} has a value of type {type(value).__name__} that Flower cannot carry.",
        "Settings of nodes and runs are text, whole numbers of 64 bits, finite decimal numbers, or true and false.",
        "Put larger things into a file at the site and give its path.",
    )
