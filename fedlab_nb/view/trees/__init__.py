"""Pictures of trees whose nodes belong to several owners."""

from fedlab_nb.view.trees.drawing import Leaf, Split, said, tree_svg

__all__ = ["Leaf", "Split", "said", "tree_svg"]
