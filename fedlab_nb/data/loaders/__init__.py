"""Tables that do not ship: from your own files, from an address with a checksum, and from well-known archives."""

from fedlab_nb.data.loaders.heart import heart_disease
from fedlab_nb.data.loaders.images import femnist, mnist
from fedlab_nb.data.loaders.tables import load, openml

__all__ = ["femnist", "heart_disease", "load", "mnist", "openml"]
