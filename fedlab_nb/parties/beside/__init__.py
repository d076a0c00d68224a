"""Work beside the rows of the owners of a round, and who of them failed."""

from fedlab_nb.parties.beside.beside import Work, beside
from fedlab_nb.parties.beside.collect import check_readable, collect
from fedlab_nb.parties.beside.lost import Lost
from fedlab_nb.parties.beside.numbers import looked_at, read_sum

__all__ = ["Lost", "Work", "beside", "check_readable", "collect", "looked_at", "read_sum"]
