"""The server of a run at Flower's grid: how it reaches nodes, finds out who they are, and what it has them do."""
