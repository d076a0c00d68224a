"""Ending processes with all that they started, also when whoever started them is gone."""
