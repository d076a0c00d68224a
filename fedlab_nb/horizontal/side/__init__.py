"""The owners' side of a round of horizontal learning."""
