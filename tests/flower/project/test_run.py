"""An exported project, with a strategy of one's own, run on a real SuperLink and SuperNodes: equal to the notebook."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.flower import news
from fedlab_nb.flower.deploy.loopback import Loopback, Site
from fedlab_nb.flower.project import export
from tests.flower.deploy.common import with_flower
from tests.flower.project.common import DECLARED, NAMES, frame, own_module

pytestmark = [with_flower, pytest.mark.slow]


def fill_in(project, place: Path, name: str) -> Site:
    """What an administrator does: copy the template, put the rows beside it, name it in the node's configuration."""
    place.mkdir()
    (place / "site.toml").write_bytes((project.folder / "sites" / f"{name}.toml").read_bytes())
    return Site(name.replace("_", "-"), {"site": str(place / "site.toml")})


def test_an_exported_project_runs_as_the_notebook_does(tmp_path: Path) -> None:
    own = own_module(tmp_path, "strategies_of_run")
    for number, name in enumerate(NAMES):
        frame().iloc[number::2].to_csv(tmp_path / f"{name}.csv", index=False)
    owners = [fl.DataOwner(name, tmp_path / f"{name}.csv", **DECLARED) for name in NAMES]
    here = fl.Federation(owners, encrypt=fl.CKKS())
    strategy = own.Halved(own.small, executor="sequential")
    project = export(here, strategy, tmp_path / "clinics", num_rounds=1, task=tmp_path / "strategies_of_run.py")
    sites = []
    for name, file in zip(NAMES, ("clinic-a", "clinic-b"), strict=True):
        sites.append(fill_in(project, tmp_path / file, file))
        (tmp_path / f"{name}.csv").rename(tmp_path / file / "rows.csv")
    sites.append(fill_in(project, tmp_path / "holder", "key_holder"))
    variables = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(fl.__file__).parents[1])}
    with Loopback(sites, tmp_path / "net", variables=variables) as lab:
        run = lab.control.run(project.folder)
        told = [*news.read(lab.control.log(run), project.agreement.allowed)]
        assert lab.control.status(run).state == "completed"
    (there,) = [said.record for said in told if isinstance(said, news.Played)]
    (known,) = fl.rounds(here, strategy, num_rounds=1)
    assert there.failed is None
    assert np.array_equal(there.state.weights["server"], known.state.weights["server"])
    assert there.metrics == known.metrics
