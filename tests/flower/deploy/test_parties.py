"""A party's own process is no child of Flower's any more, and is found by the SuperNode that it was told of."""

import subprocess
import sys
from pathlib import Path

from fedlab_nb.flower.deploy.processes import Program, end, environment
from fedlab_nb.flower.party.place import PARTY
from tests.flower.deploy.common import living, python, until

WAITS = "import time; time.sleep(600)"


def test_parties_are_found_by_their_supernode_and_end_by_themselves(tmp_path: Path) -> None:
    program = Program("A SuperNode", python(WAITS), environment(tmp_path / "home"), tmp_path / "log")
    others = [
        subprocess.Popen([sys.executable, "-c", WAITS, *words], start_new_session=True)
        for words in ([PARTY, str(program.pid)], [PARTY, "1"], ["another program", str(program.pid)])
    ]
    try:
        assert until(lambda: [process.pid for process in program.parties()] == [others[0].pid])
        assert [process.pid for process in program.processes()] == [program.pid]
        end([program], grace=0)
        assert living([other.pid for other in others]) == [other.pid for other in others]
    finally:
        end([program], grace=0)
        for other in others:
            other.kill()
            other.wait()
    assert program.parties() == []
