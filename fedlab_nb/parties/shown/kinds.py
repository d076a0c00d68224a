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
    "task": "whether classes or a number are predicted, and over how many rows in common",
    "number of inputs": "how many inputs an owner has",
    "number of candidates": "how many splits an owner offers",
    "residual pieces": "one owner's pieces of the residuals",
    "scale of pieces": "how large these pieces are",
    "reach of partial scores": "how far partial scores reach",
    "reach of all": "how far those of all owners reach",
    "representation pieces": "one owner's pieces of a representation",
    "padded gradient": "one owner's gradient, padded by it",
    "what comes next": "whether a tree comes, or rows walk first",
    "number of nodes": "how many nodes of a level are sealed",
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
    "where a part is from": "of which run and round a part of the model is",
    "partial score": "one owner's partial scores of rows",
    "partial score, masked": "one owner's partial scores, masked",
    "score": "a round's score",
    "number of rows in common": "over how many rows in common a question goes",
    "number of rows to train on": "how many of them are trained on",
    "number of cells": "into how many cells an owner's columns are cut",
    "which columns are complete": "at which owners values are missing",
    "which columns are left": "which columns have enough evidence",
    "value list": "the values that an owner names",
    "consent to a merged model": "that all consent to a merged model",
    "model part, given with consent": "one owner's part of the model",
    "reading of columns, given with consent": "how one owner reads its columns",
}
# Sealed for whoever has the key, which may be an owner.
FOR_A_KEY = ("padded gradient", "padded scores", "sums of gradients", "sealed scores")
# What the ledger notes of numbers that are hidden by masks and not by a key.
MASKED = "under masks"
OF_MASKS = ("mask key", "mask keys", "key shares", "survivors", "confirmation", "confirmations", "revealed shares")
# What hides a message between owners of different columns, where that is no key.
HIDDEN_BY = {
    "masked ids": "owners' secret numbers",
    "partial score, masked": "masks that cancel in the sum",
    "padded gradient, opened": "pads of whoever it is sent to",
}
# Why a hidden message cannot be read, by who can open sums: without a key, with the key, and at another owner.
WITHOUT = {
    "authority": "it has no key",
    "owners": "it has no key",
    "threshold": "nobody has the key, and it has no share of it",
    "masks": "masks hide the numbers until they cancel in the sum",
}
HOLDER = "could", "it has the secret key; what protects owners is that only sums are sent to it"
ANOTHER = {
    "authority": ("never", "it is sent to others, and its public key would open nothing"),
    "owners": ("could", "it is sent to others, but it has the secret key, and could open a copy"),
    "threshold": ("never", "it is sent to others, and one share of the key would open nothing"),
    "masks": ("never", "it is sent to others, and it knows one of the masks at most"),
}


def family(kind: str) -> str:
    """The kind of which this is one: by the level of a tree, or for an owner that begins by itself.

    >>> family("left or right, level 2")
    'left or right'
    """
    return kind.partition(", level ")[0].removesuffix(", to begin with")
