"""The files of a project that are the same for all: the app's few lines, what Flower reads of it, what is left out."""

from __future__ import annotations

from importlib.metadata import version

from fedlab_nb.flower.project.folder import APP

PACKAGE = version("fedlab_nb")
FLOWER = "1.42.0"
# Seconds that a party may take for an answer, and that the server waits for all parties to come.
PATIENCE, WAIT = 120, 300

_GITIGNORE = """\
# What belongs to one party alone never comes into this folder. Should it come, it is neither kept nor sent.
*.key
*.pem
*.pub
*.secret
*.vault
*.db
*.csv
*.parquet
site.toml
.env*
.flwr/
*.fab
__pycache__/
"""
_PYPROJECT = f"""\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "%(name)s"
version = "1.0.0"
description = "A federation with fedlab_nb: see README.md"
license = {{ file = "LICENSE" }}
dependencies = ["fedlab-nb[flower]=={PACKAGE}", "flwr>=1.42.0,<1.43"]

[tool.hatch.build.targets.wheel]
packages = ["{APP}"]

[tool.flwr.app]
publisher = "fedlab-nb"
fab-format-version = 1
flwr-version-target = "{FLOWER}"
# All that Flower sends to the sites.
fab-include = ["{APP}/*.py", "{APP}/*.json", "LICENSE", "README.md"]

[tool.flwr.app.components]
serverapp = "{APP}.server_app:app"
clientapp = "{APP}.client_app:app"

# May be changed for a run: flwr run . fedlab_superlink --run-config "patience=600"
[tool.flwr.app.config]
# Seconds that a party may take for one answer; who takes longer is gone for this step.
patience = {PATIENCE}
# Seconds that the server waits until all parties are there.
wait = {WAIT}
# The server's own file of root rows, where the strategy's rule trains on any (see README.md): a full path there.
root_rows = ""
"""
_MODULE = '''\
"""{says}"""

from pathlib import Path

from fedlab_nb.flower.{side} import {side}_app

app = {side}_app(Path(__file__).parent)
'''


_SAYS = "The app of this federation: what it does is in fedlab_nb, and what was agreed on in agreement.json."


def app_files(name: str) -> dict[str, str]:
    """The app called ``name``: what Flower reads of it, and two lines each for the server and for a party."""
    return {
        "pyproject.toml": _PYPROJECT % {"name": name},
        "LICENSE": _LICENSE,
        ".gitignore": _GITIGNORE,
        f"{APP}/__init__.py": f'"""{_SAYS}"""\n',
        f"{APP}/server_app.py": _MODULE.format(says="The server: it asks, adds and keeps the model.", side="server"),
        f"{APP}/client_app.py": _MODULE.format(says="A party: it answers as its own settings allow.", side="client"),
    }


_LICENSE = """\
Licensed under the Apache License, Version 2.0 (the "License"); you may not use these files except in compliance with
the License. You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on an
"AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific
language governing permissions and limitations under the License.
"""
