"""Sums over owners elsewhere: how long their vectors are, who is missing in them, and the rounds after one failed."""
