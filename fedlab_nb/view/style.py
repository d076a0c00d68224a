"""How things look: colours, the style sheet, the chart template."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from fedlab_nb.cards import core_css

# Okabe and Ito's colours: told apart with any colour vision.
BLUE, SKY, GREEN, VERMILLION, PURPLE, ORANGE = "#0072B2", "#56B4E9", "#009E73", "#D55E00", "#CC79A7", "#E69F00"
# Midway between white and black paper: readable on both, for pictures that cannot know their background.
MIDDLE = "#7f858d"
MIDDLE_BLUE, MIDDLE_RED, MIDDLE_ORANGE = "#1f86c7", "#d9640f", "#b57d00"

UNIT_METRICS = ("accuracy", "auc", "r2", "f1", "precision", "recall")


@cache
def static(name: str) -> str:
    """The text of a file that ships beside this module, such as ``"style.css"``."""
    return (files("fedlab_nb.view") / "static" / name).read_text(encoding="utf-8")


@cache
def full_sheet() -> str:
    """The style element of a whole dashboard: the card's, and the layout."""
    return f"<style>{core_css()}{static('style.css')}</style>"


def template() -> Any:
    """The one plotly template: transparent paper, quiet grid, the page's own font."""
    import plotly.graph_objects as go

    axis = {
        "gridcolor": "rgba(127,133,141,.22)",
        "zeroline": False,
        "linecolor": MIDDLE,
        "spikethickness": 1,
        "spikecolor": MIDDLE,
        "tickcolor": MIDDLE,
        "title": {"standoff": 8},
        "automargin": True,
    }
    return go.layout.Template(
        layout={
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"size": 12, "color": MIDDLE, "family": "system-ui, -apple-system, Segoe UI, sans-serif"},
            "colorway": [BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY],
            "xaxis": axis,
            "yaxis": axis,
            "hoverlabel": {"font": {"size": 12}},
            "bargap": 0.3,
            "bargroupgap": 0.05,
        }
    )
