"""Predictions that owners of different columns make together past one machine, each with its own part of the model.

site.py (what a party brings, and goes through), keeping.py (the file of the owner of the labels), serving.py (the
server's part), exporting.py and guide.py (the project for it), watched.py (who watches it from a notebook).
"""
