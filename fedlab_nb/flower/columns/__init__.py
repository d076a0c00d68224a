"""Owners of different columns past one machine: each party goes through the protocol, and carries out its own lines."""
