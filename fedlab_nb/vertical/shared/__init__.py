"""What the protocols of this room share.

reading.py (how an owner reads its own columns), meeting.py (who sends what to whom, over the rows in common), scores.py
(how good, at the owner of the labels), strategy.py (the round), words.py (a strategy on a card).
"""

from fedlab_nb.vertical.shared.meeting import Meeting, Mine, Setup
from fedlab_nb.vertical.shared.strategy import VerticalStrategy

__all__ = ["Meeting", "Mine", "Setup", "VerticalStrategy"]
