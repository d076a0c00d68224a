"""The auditor's room: what the record of a federation shows, and what it does not."""

from fedlab_nb.audit.auditor import Auditor
from fedlab_nb.audit.report import Report
from fedlab_nb.audit.verify import Check, Verification

__all__ = ["Auditor", "Check", "Report", "Verification"]
