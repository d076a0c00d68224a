"""Records on disk: a folder of rounds in JSON and safetensors, from which a run goes on or is forked."""

from fedlab_nb.records.kept.folder import Folder
from fedlab_nb.records.kept.values import put_together, taken_apart

__all__ = ["Folder", "put_together", "taken_apart"]
