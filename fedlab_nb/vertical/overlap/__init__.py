"""What transfer learning over few rows in common is made of.

sides.py (the numbers of each owner, and the gradient), sums.py (sums of products of what one owner has with what the
other has), units.py (both owners' gradients in a round), labels.py (all rows of the owner of the labels).
"""

from fedlab_nb.vertical.overlap.labels import with_direction
from fedlab_nb.vertical.overlap.sides import represent
from fedlab_nb.vertical.overlap.sums import Sums, opened_sums, session_of
from fedlab_nb.vertical.overlap.units import Came, Units

__all__ = ["Came", "Sums", "Units", "opened_sums", "represent", "session_of", "with_direction"]
