"""The parties of a federation: data owners and what connects them."""

from fedlab_nb.parties.federation import Federation
from fedlab_nb.parties.owner import DataOwner, Rows
from fedlab_nb.parties.split import split_rows

__all__ = ["DataOwner", "Federation", "Rows", "split_rows"]
