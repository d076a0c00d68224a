"""What owners are asked: one vector beside each owner's rows, made to be added; and what the sums say.

Nothing here knows a federation: vectors come from a table, read-outs from totals, so both can be tried on any frame.
"""
