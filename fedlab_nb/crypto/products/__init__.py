"""Sums of products of two owners' columns, row by row: one seals, the other multiplies, and only the sums are opened.

Read plan.py first (sizes and scale, agreed on in public), then sides.py (the owner that seals, the owner that
multiplies, whoever opens); polynomials.py is the arithmetic below.
"""

from fedlab_nb.crypto.products.plan import ProductPlan, Shipment
from fedlab_nb.crypto.products.sides import (
    Factors,
    Products,
    factors_of,
    multiplied,
    opened,
    opened_padded,
    sealed_columns,
    unpadded,
)

__all__ = [
    "Factors",
    "ProductPlan",
    "Products",
    "Shipment",
    "factors_of",
    "multiplied",
    "opened",
    "opened_padded",
    "sealed_columns",
    "unpadded",
]
