"""The model that a vertical run leaves: one part at each owner, and what they can do with them.

model.py (VerticalModel), joint.py (predictions of new rows, together), same.py (whether parts belong together),
parts.py (what each owner keeps, and its file), prediction.py (a prediction agreed on by parties apart), merged.py (the
whole model in one hand, with everybody's consent), plain.py (the same in scikit-learn's terms).
"""

from fedlab_nb.vertical.model.merged import MergedModel
from fedlab_nb.vertical.model.model import VerticalModel
from fedlab_nb.vertical.model.parts import ModelPart, load_part
from fedlab_nb.vertical.model.prediction import JointPrediction

__all__ = ["JointPrediction", "MergedModel", "ModelPart", "VerticalModel", "load_part"]
