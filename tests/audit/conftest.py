"""Each test finds unspent budgets, in a memory of its own."""

import pytest

from fedlab_nb.privacy import Vault
from fedlab_nb.privacy.vault import home


@pytest.fixture(autouse=True)
def fresh_memory(monkeypatch):
    monkeypatch.setattr(home, "_MEMORY", Vault())
    monkeypatch.setattr(home, "_HOMES", {})
