"""Sums of products: what one owner's columns and another's have to do with each other, row by row, and only in sum.

Who learns what, if all follow the protocol:
    the left owner    nothing.
    the right owner    nothing about the left one's numbers: it multiplies what it cannot read.
    the key holder    the sums, rounded to a grid, and no row of either owner.
    whoever it tells ("server", or an owner)    what ``read`` makes of the sums, and nothing else.
The key holder with the right owner could open every number of the left one. An owner that multiplies by other numbers
than its columns gets other sums opened, which nobody notices.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.crypto import CKKS, Sealed
from fedlab_nb.crypto.products import ProductPlan
from fedlab_nb.crypto.seal import KEY_HOLDER
from fedlab_nb.parties import Federation, Rows
from fedlab_nb.parties.columns.alignment import Alignment
from fedlab_nb.parties.columns.fitting import check_products
from fedlab_nb.parties.columns.road import drop_keys, product_session, send

Floats = NDArray[np.float64]

# Digits after the point, in bits, of columns that are no counts.
FINE = 20


class Factor(NamedTuple):
    """One owner's side: its columns (rows, width) beside its rows in common, each with a mean square of at most 1.

    ``bits`` are those after the point; 0 for columns of 0 and 1, whose sums are counts.
    """

    owner: str
    width: int
    columns: Callable[[Rows], Floats]
    bits: int = FINE


def sums_of_products(
    federation: Federation,
    alignment: Alignment,
    kind: str,
    left: Factor,
    right: Factor,
    read: Callable[[Floats], Floats],
    *,
    number: int,
    to: str = "server",
) -> Floats:
    """What ``read`` makes at the key holder of the sums over rows of left column times right one, (left, right).

    Whoever multiplies or opens knows the widths of both sides and the rows; elsewhere they are not looked at.

    Law: the sums are those of the columns rounded to their bits, exactly. ``kind`` names the question in the ledger; in
    one ``number`` the key holder opens one of it for each pair of owners. What it costs is charged before.

    Raises:
        RuleError: the encryption in force has no products, or an owner has its key.
        RoundError, EncryptionError: nothing was released.
    """
    session = product_session(federation, check_products(federation.house.encrypt, f"The {kind}"), number)
    plan = cache(partial(_planned, session.scheme, alignment.rows, left, right))

    def seal(rows: Rows) -> Sealed:
        columns = left.columns(alignment.of(rows))
        return session.seal(plan(), columns, number=number, kind=kind, sender=left.owner, to=right.owner)

    def multiply(rows: Rows) -> Sealed:
        columns = right.columns(alignment.of(rows))
        factors = session.factors(plan(), columns, sender=right.owner)
        return session.multiply(plan(), [(sealed, factors)], number=number, kind=kind, sender=right.owner).sealed

    def opened(_: None) -> Floats:
        return read(session.open(plan(), summed, number=number, kind=kind))

    try:
        sealed = send(federation, kind, seal, number=number, sender=left.owner, to=right.owner)
        summed = send(federation, f"sum of {kind}s", multiply, number=number, sender=right.owner, to=KEY_HOLDER)
        return send(federation, f"sum of {kind}s, opened", opened, number=number, sender=KEY_HOLDER, to=to)
    except BaseException:
        drop_keys(federation)  # keys of sums that failed are not used again
        raise


def _planned(scheme: CKKS, rows: int, left: Factor, right: Factor) -> ProductPlan:
    return ProductPlan(
        scheme=scheme, rows=rows, left=left.width, right=right.width, left_bits=left.bits, right_bits=right.bits
    )
