"""Owners vouch for a sum before it is opened: that it is the sum of exactly what each of them sealed, and nothing else.

Read request.py first (who says what to whom), then linear.py (why so little has to be said).
"""

from fedlab_nb.crypto.vouching.request import Request, check_vouched, witness

__all__ = ["Request", "check_vouched", "witness"]
