"""Owners of different columns of the same rows: their ids, who is in common, and how one sends to another.

ids.py (what an id may be), intake.py (what an owner takes in), alignment.py (the rows in common), federation.py (which
owners fit together), road.py (from one owner to another), split.py (one table made into such owners).
"""
