"""The same loop past one machine, on Flower: each owner in a process of its own.

Read server.py first (the loop as a ServerApp), then orders/ (what crosses), party/ (what runs at a site), and
federation.py (the road between parties, with owners elsewhere). ``export`` writes a project for real sites;
``Rehearsal`` runs the owners of a notebook on this machine as they would run apart. In place of a training, both take a
function that asks questions (survey/), or an ``fl.vertical.JointPrediction`` (predicting/). With ``driven=True`` a
notebook holds, changes and ends the run (driving/).
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fedlab_nb.flower.deploy.control import Control
    from fedlab_nb.flower.driving.run import WatchedRun
    from fedlab_nb.flower.predicting.watched import WatchedPrediction
    from fedlab_nb.flower.project.export import Project, export
    from fedlab_nb.flower.rehearsal import Rehearsal
    from fedlab_nb.flower.survey.watched import WatchedSurvey
    from fedlab_nb.flower.watch import attach, run

# Lazy: a site's short-lived process loads this room for every message, and needs nothing of it.
_PLACES = {
    "Control": "deploy.control",
    "Project": "project",
    "Rehearsal": "rehearsal",
    "WatchedPrediction": "predicting.watched",
    "WatchedRun": "driving.run",
    "WatchedSurvey": "survey.watched",
    "attach": "watch",
    "export": "project",
    "run": "watch",
}

__all__ = [
    "Control",
    "Project",
    "Rehearsal",
    "WatchedPrediction",
    "WatchedRun",
    "WatchedSurvey",
    "attach",
    "export",
    "run",
]


def __getattr__(name: str) -> object:
    if name in _PLACES:
        found: object = getattr(import_module(f"fedlab_nb.flower.{_PLACES[name]}"), name)
        globals()[name] = found
        return found
    raise AttributeError(f"module 'fedlab_nb.flower' has no attribute {name!r}; it has: {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
