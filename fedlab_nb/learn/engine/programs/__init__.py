"""Layer programs: torch's usual layers for many owners at once."""

from fedlab_nb.learn.engine.programs.compiled import compiled
from fedlab_nb.learn.engine.programs.network import Network, Slope, Tape
from fedlab_nb.learn.engine.programs.program import Seen, Views

__all__ = ["Network", "Seen", "Slope", "Tape", "Views", "compiled"]
