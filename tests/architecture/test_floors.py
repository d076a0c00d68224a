"""The house stands on its floors: who may import whom."""

import subprocess
import sys
from pathlib import Path


def test_every_room_imports_lower_floors_only(root: Path) -> None:
    lint_imports = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([lint_imports, "--no-cache"], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
