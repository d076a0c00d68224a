"""What the tables call each kind of message in the ledger, in the order in which a reader asks."""

from __future__ import annotations

KINDS = {
    "update": "one owner's update",
    "sum of updates": "sum of updates",
    "model": "the model",
    "control variate": "the common control variate",
    "moment": "one owner's statistics",
    "sum of moments": "sum of statistics",
    "category list": "one owner's categories",
    "score count": "one owner's score counts",
    "own score": "one owner's score",
    "verdict": "one owner's noisy verdict",
    # Owners of different columns.
    "masked ids": "one owner's ids, masked",
    "filters of rows": "pseudonyms of one owner's rows",
    "task": "whether classes or a number are predicted",
    "number of inputs": "how many inputs an owner has",
    "number of candidates": "how many splits an owner offers",
    "residual pieces": "one owner's pieces of the residuals",
    "scale of pieces": "how large these pieces are",
    "reach of partial scores": "how far partial scores reach",
    "representation pieces": "one owner's pieces of a representation",
    "padded gradient": "one owner's gradient, padded by it",
    "gradients": "gradients of rows, at the labels",
    "sums of gradients": "their sums, one for each split offered",
    "rows of nodes": "which rows are together in a node",
    "left or right": "which way these rows go",
    "what candidates have won": "how much each split has won",
    "importance of features": "how much an owner's features help",
    "activations": "one owner's activations of rows",
    "activation gradients": "the gradients of these activations",
    "label leak": "how well labels can be guessed",
    "direction of labels": "the direction that labels give",
    "sealed scores": "scores of rows, for the labels",
    "padded scores": "scores of one owner's rows, padded by it",
    "partial score": "one owner's partial scores of rows",
    "partial score, masked": "one owner's partial scores, masked",
    "score": "a round's score",
    "consent to a merged model": "that all consent to a merged model",
    "model part, given with consent": "one owner's part of the model",
    "reading of columns, given with consent": "how one owner reads its columns",
}
# Sealed for whoever has the key, which may be an owner.
FOR_A_KEY = ("padded gradient", "padded scores", "sums of gradients", "sealed scores")


def family(kind: str) -> str:
    """The kind of which this is one, where messages are numbered by the level of a tree.

    >>> family("left or right, level 2, attempt 1")
    'left or right'
    """
    return kind.partition(", level ")[0]
