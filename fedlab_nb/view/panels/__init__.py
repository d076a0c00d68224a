"""The dashboard's panels as HTML: pure functions of a snapshot, the same for the live page and the saved one."""

from fedlab_nb.view.panels.page import SLOTS, alone, report_html, skeleton, slots, static_html

__all__ = ["SLOTS", "alone", "report_html", "skeleton", "slots", "static_html"]
