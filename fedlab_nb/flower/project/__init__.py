"""A federation that leaves the notebook: written as a Flower project, for those who run the machines."""

from fedlab_nb.flower.project.export import Project, export
from fedlab_nb.flower.project.exportable import check_exportable

__all__ = ["Project", "check_exportable", "export"]
