"""The texts of a project's files."""

from fedlab_nb.flower.project.pages.app import app_files
from fedlab_nb.flower.project.pages.machines.certificates import certificates_page
from fedlab_nb.flower.project.pages.machines.services import services_page
from fedlab_nb.flower.project.pages.readme import readme
from fedlab_nb.flower.project.pages.sites import site_files

__all__ = ["app_files", "certificates_page", "readme", "services_page", "site_files"]
