"""Several strategies or settings side by side.

Read running.py (what may be compared), laps.py (the runs, one after another), comparison.py (what is told of them).
"""

from fedlab_nb.comparing.comparison import Comparison
from fedlab_nb.comparing.running import compare

__all__ = ["Comparison", "compare"]
