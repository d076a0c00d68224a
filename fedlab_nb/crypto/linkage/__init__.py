"""Rows that are alike, without showing them: keyed Bloom filters, which are pseudonyms and no encryption.

filters.py (a row as 1,024 bits), partner.py (what the two owners agree on), compare.py (what whoever gets both lists of
filters does with them).

Source: Schnell, Bachteler, Reiher, "A novel error-tolerant anonymous linking code", German Record Linkage Center
WP-GRLC-2011-02: the bits of all fields in one filter.

Example:
    >>> from fedlab_nb.crypto.linkage import Partner, best_pairs, fields, filters_in
    >>> a, b = Partner("A"), Partner("B")
    >>> a.meet("B", b.public), b.meet("A", a.public)
    (None, None)
    >>> halves = a.half(b"what only A has"), b.half(b"what only B has")
    >>> a.agree(halves[1]), b.agree(halves[0])
    (None, None)
    >>> sent = a.filters([fields(["anna miller", "1970"])]), b.filters([fields(["ana miller", "1970"])])
    >>> best_pairs(filters_in(sent[0].payload, sender="A"), filters_in(sent[1].payload, sender="B"), 0.8).places
    array([[0, 0]])
"""

from fedlab_nb.crypto.linkage.compare import MARGIN, Links, best_pairs
from fedlab_nb.crypto.linkage.filters import BITS, FILTER_BYTES, Filters, fields, filters_in, texts_in
from fedlab_nb.crypto.linkage.partner import Partner

__all__ = [
    "BITS",
    "FILTER_BYTES",
    "MARGIN",
    "Filters",
    "Links",
    "Partner",
    "best_pairs",
    "fields",
    "filters_in",
    "texts_in",
]
