"""What a user chooses to hide single updates with, and the public arithmetic that makes their sums exact.

Read plan.py first (what is agreed on in public), then ckks.py, bfv.py, masks.py (what each scheme makes of it).
"""

from fedlab_nb.crypto.schemes.bfv import BFV
from fedlab_nb.crypto.schemes.ckks import CKKS
from fedlab_nb.crypto.schemes.masks import SecAgg
from fedlab_nb.crypto.schemes.plan import Layout, Plan, Scheme

__all__ = ["BFV", "CKKS", "Layout", "Plan", "Scheme", "SecAgg"]
