"""Questions to parties apart: as plain data (asked.py), of one owner (alone.py, sides.py), and what came (came.py).

Every question is a function of a source. Whoever takes part in it goes through that function from top to bottom, and
carries out its own lines; an answer is there where it was asked for, and ``NotHere`` elsewhere.
"""
