"""The report: one section a file, then how it is shown."""

from fedlab_nb.audit.report.report import Report, reported

__all__ = ["Report", "reported"]
