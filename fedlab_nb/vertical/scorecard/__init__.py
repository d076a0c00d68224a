"""Scorecards: points for what a row is like, each owner with those of its own columns.

evidence.py (columns read as weights of evidence of their bins), points.py (one owner's points), card.py (scorecard).
"""
