"""Frozen records that pass between the rooms: numpy only, no behaviour beyond their own laws."""

from fedlab_nb.records.event import PrivacyEvent
from fedlab_nb.records.history import History
from fedlab_nb.records.holding import Holding
from fedlab_nb.records.message import FINDING, Message, Peek
from fedlab_nb.records.round import Failure, Round, Scores, Traffic
from fedlab_nb.records.schema import Column, Schema
from fedlab_nb.records.snapshot import Access, Branch, Hop, Note, OwnerLine, Snapshot, Spending, Threat, WhatIf
from fedlab_nb.records.state import State, Update

__all__ = [
    "FINDING",
    "Access",
    "Branch",
    "Column",
    "Failure",
    "History",
    "Holding",
    "Hop",
    "Message",
    "Note",
    "OwnerLine",
    "Peek",
    "PrivacyEvent",
    "Round",
    "Schema",
    "Scores",
    "Snapshot",
    "Spending",
    "State",
    "Threat",
    "Traffic",
    "Update",
    "WhatIf",
]
