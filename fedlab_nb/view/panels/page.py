"""All panels together: the one skeleton that the live page fills again and again, and the saved one once."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from fedlab_nb.cards import image
from fedlab_nb.records import Snapshot
from fedlab_nb.view.draw.picture import NARROW, WIDE, snapshot_svg
from fedlab_nb.view.panels.budget import budget_panel
from fedlab_nb.view.panels.head import chart_head, header_panel, road_panel
from fedlab_nb.view.panels.owners import owners_panel
from fedlab_nb.view.panels.story import notes_panel, rounds_panel
from fedlab_nb.view.panels.wire import access_panel, threats_panel, traffic_panel
from fedlab_nb.view.style import full_sheet, static
from fedlab_nb.view.words import sentence

SLOTS: dict[str, Callable[[Snapshot], str]] = {
    "head": header_panel,
    "road": road_panel,
    "title": chart_head,
    "owners": owners_panel,
    "access": access_panel,
    "threats": threats_panel,
    "budget": budget_panel,
    "traffic": traffic_panel,
    "notes": notes_panel,
}
"""The panels by name, all but the picture: what is drawn anew while a run goes on."""


def slots(snapshot: Snapshot) -> dict[str, str]:
    """Every panel of ``SLOTS`` as HTML."""
    return {name: draw(snapshot) for name, draw in SLOTS.items()}


def skeleton(fill: Callable[[str], str]) -> str:
    """The layout of the page, with what ``fill`` gives for each place in it.

    Places are those of ``SLOTS``, "picture", "controls" (buttons and sliders) and "rounds" (the table).
    """
    chart = (
        f'<section class="fl-card fl-chartcard" data-testid="chart">{fill("title")}'
        f'<div class="fl-picture">{fill("picture")}</div>{fill("scrub")}</section>'
    )
    left = f"{chart}{fill('owners')}{fill('access')}"
    right = (
        f"{fill('settings')}{fill('budget')}{fill('traffic')}{fill('notes')}"
        f'<div class="fl-last">{fill("threats")}</div>'
    )
    return (
        f'<div class="fl-stack"><div class="fl-top">{fill("head")}{fill("road")}</div>{fill("controls")}'
        f'<div class="fl-grid"><div class="fl-side">{left}</div><div class="fl-side">{right}</div></div>'
        f"{fill('rounds')}</div>"
    )


def picture(snapshot: Snapshot) -> str:
    """The static picture as image elements: they stay when an untrusted notebook is cleaned of everything else.

    One is drawn for wide pages and one for narrow ones; the style sheet shows the one that fits.
    """

    def drawn(width: int) -> str:
        return image(snapshot_svg(snapshot, width=width, headline=False, key=False), sentence(snapshot))

    narrow = f'<span class="fl-narrow" style="display:none">{drawn(NARROW)}</span>'
    return f'<span class="fl-wide">{drawn(WIDE)}</span>{narrow}'


def static_html(snapshot: Snapshot, *, unfolded: bool = False) -> str:
    """The whole dashboard as static HTML: readable in a saved notebook, without kernel, script or network."""
    made = {
        **slots(snapshot),
        "picture": picture(snapshot),
        "rounds": rounds_panel(snapshot, unfolded=unfolded),
    }
    return f'<div class="fl fl-root">{full_sheet()}{skeleton(lambda name: made.get(name, ""))}</div>'


def alone(panel: str) -> str:
    """One panel by itself, as a card."""
    return f'<div class="fl">{full_sheet()}{panel}</div>'


def report_html(snapshot: Snapshot, title: str) -> str:
    """A complete HTML page of one run: nothing is loaded from anywhere, both themes, fit to print."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title></head><body><main>{static_html(snapshot, unfolded=True)}</main>"
        f"<style>{static('report.css')}</style></body></html>"
    )
