"""What `import fedlab_nb` costs, and which names it brings."""

import json
import subprocess
import sys
from pathlib import Path

import fedlab_nb

HEAVY = ["torch", "tenseal", "plotly", "ipywidgets", "anywidget", "dp_accounting", "pandas"]
QUESTION = f"""
import json, sys, threading
import fedlab_nb
print(json.dumps([[name for name in {HEAVY} if name in sys.modules], threading.active_count()]))
"""


def test_importing_the_package_loads_no_heavy_library_and_starts_no_thread() -> None:
    done = subprocess.run([sys.executable, "-c", QUESTION], capture_output=True, text=True, check=True)
    loaded, threads = json.loads(done.stdout)
    assert loaded == []
    assert threads == 1


def test_the_public_names_are_the_agreed_ones(root: Path) -> None:
    agreed = (root / "tests" / "architecture" / "surface.txt").read_text().split()
    assert sorted(fedlab_nb.__all__) == sorted(agreed)
    assert len(agreed) <= 45


def test_every_public_name_is_there_and_is_offered_for_completion() -> None:
    for name in fedlab_nb.__all__:
        assert getattr(fedlab_nb, name) is not None
    assert set(fedlab_nb.__all__) <= set(dir(fedlab_nb))
