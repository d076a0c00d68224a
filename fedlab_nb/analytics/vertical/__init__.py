"""Questions about columns of different owners: read frame.py first, then asking.py, then one kind of answer a file."""
