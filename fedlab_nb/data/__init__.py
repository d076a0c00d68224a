"""Sample data, ways to divide it, and the encoding of any table into numbers."""

from fedlab_nb.data.partition import partition
from fedlab_nb.data.samples import breast_cancer, clinics, digits

__all__ = ["breast_cancer", "clinics", "digits", "partition"]
