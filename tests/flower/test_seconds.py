"""How long the server waits is checked where the run begins, as `flwr run --run-config` asks nobody before."""

from types import SimpleNamespace

import pytest

from fedlab_nb.errors import SettingError
from fedlab_nb.flower import news, server
from tests.flower.deploy.common import with_flower
from tests.flower.net import net

__all__ = ["net"]
pytestmark = with_flower


@pytest.mark.parametrize("name", ["patience", "wait"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0, -3.0, "soon", True], ids=repr)
def test_seconds_that_nobody_could_wait_fail_the_run_in_words(net, capsys: pytest.CaptureFixture, name, value) -> None:
    run = net(num_rounds=1)
    capsys.readouterr()
    config = {"patience": 1.0, "wait": 3.0, name: value}
    with pytest.raises(RuntimeError, match=f"{name}={value!r} was asked for"):
        server.server_app(run.app)(run.grid, SimpleNamespace(run_config=config))
    (said,) = news.read(capsys.readouterr().out.splitlines(), run.agreement.allowed)
    assert isinstance(said.error, SettingError)
    assert f"{name}={value!r} was asked for" in said.error.what
    assert '--run-config "wait=300 patience=120"' in said.error.do
    assert run.grid.trips == 0


def test_whole_seconds_will_do(net, capsys: pytest.CaptureFixture) -> None:
    run = net(num_rounds=1)
    server.server_app(run.app)(run.grid, SimpleNamespace(run_config={"patience": 1, "wait": 3}))
    assert "Round 1: " in capsys.readouterr().out
