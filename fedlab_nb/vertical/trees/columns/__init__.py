"""What every owner does with its own columns: how it reads them, and which questions they can ask."""
