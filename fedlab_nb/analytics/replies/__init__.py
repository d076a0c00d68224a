"""The answers themselves: each asks the owners once, reads the sums, and makes a table of them."""
