"""A notebook at the wheel of a run elsewhere: what it wishes, how the server asks for it, and who carries it.

The notebook is a node of its own. Read words.py first, then asking.py (the server's end), node.py (the ClientApp at the
notebook's machine) and wheel.py (the notebook's end).
"""
