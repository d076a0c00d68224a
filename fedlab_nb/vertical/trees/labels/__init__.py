"""What the owner of the labels does alone: gradients, which split wins, the values of leaves."""
