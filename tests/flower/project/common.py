"""What the tests of exported projects share: owners with files, and models and strategies of a user's own."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import fedlab_nb as fl

OWN = '''
"""A model and a strategy of one's own."""

from dataclasses import dataclass

from torch import nn

from fedlab_nb.horizontal import FedAvg

WIDTH = 3


def small(inputs, outputs):
    """A small network."""
    return nn.Sequential(nn.Linear(inputs, WIDTH), nn.Tanh(), nn.Linear(WIDTH, outputs))


@dataclass(frozen=True, repr=False)
class Halved(FedAvg):
    """Half of every mean."""

    part: float = 0.5

    def serve(self, state, mean, came):
        """A shorter step."""
        return state.weights["server"] + self.part * mean, {}
'''


def own_module(folder: Path, name: str, text: str = OWN):
    """A file of the user's own, imported as the notebook would."""
    path = folder / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


NAMES = ["Clinic A", "Clinic B"]
BOUNDS = {"mean_radius": (0, 30.5), "mean_texture": (5.0, 40.0)}
CATEGORIES = {"diagnosis": ["benign", "malignant"]}
DECLARED = {"target": "diagnosis", "bounds": BOUNDS, "categories": CATEGORIES}


def frame(rows: int = 240):
    return fl.data.breast_cancer().head(rows)[[*BOUNDS, "diagnosis"]]


def owners(**more):
    """Two owners, who declare everything."""
    return [fl.DataOwner(name, frame().iloc[i::2], **DECLARED, **more) for i, name in enumerate(NAMES)]


def federation(**settings):
    return fl.Federation(owners(), **settings)


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
