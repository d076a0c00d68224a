"""Which vault keeps which data in this process: a budget must not begin anew because somebody left out ``vault=``."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from fedlab_nb.errors import SettingError
from fedlab_nb.privacy.account import Debit
from fedlab_nb.privacy.vault.vault import Vault

_LOCK = threading.RLock()
_HOMES: dict[str, Vault] = {}
_MEMORY = Vault()


def mark_of(content: bytes) -> str:
    """How data with this ``content`` is known in this process: by a key that is drawn anew in every process."""
    return _MEMORY.fingerprint(content)


def home_of(vault: Vault | None, marks: Mapping[str, str]) -> Vault:
    """The vault for the budgets of these owners: ``vault``, else the one that some of them have, else memory.

    ``marks`` are the owners' data as ``mark_of`` knows it.

    Raises:
        SettingError: if the budget of an owner is kept in another vault.
    """
    with _LOCK:
        homes = {name: _HOMES[mark] for name, mark in marks.items() if mark in _HOMES}
        chosen = vault if vault is not None else next(iter(homes.values()), _MEMORY)
        for name, home in homes.items():
            if not home.same(chosen):
                raise SettingError(
                    f"The budget of {name!r} is kept in another vault than the others ({home.name}).",
                    "Data whose budget could be spent in two places would have two budgets.",
                    "Pass vault= with that vault, or restart the kernel if the data belongs to another exercise.",
                )
        return chosen


def move_in(vault: Vault, data: Mapping[str, tuple[str, str]]) -> None:
    """From now on ``vault`` keeps these owners' budgets; what they released before it was named is carried into it.

    ``data`` are by owner: its data as ``mark_of`` knows it, and its fingerprint in ``vault``.
    """
    with _LOCK:
        for owner, (mark, fingerprint) in data.items():
            if vault is _MEMORY or mark in _HOMES:
                continue
            _MEMORY.leave(mark, vault)
            before = _MEMORY.account(mark)
            if before.releases:
                if before.opened:
                    vault.open(fingerprint, owner, None, "row", before.meter, before.set_aside)
                frozen, counts = before.frozen, Counter(before.counts)
                if frozen is not None:
                    # It counts as one plan here too. Its answers stay behind, so that no run goes on with it: all of
                    # its releases have begun.
                    whole = Debit(owner, fingerprint, frozen.held_out, frozen.events, None)
                    vault.reserve([replace(whole, run=frozen.run)])
                    vault.charge([replace(whole, holder=frozen.run)])
                    counts -= Counter((event, frozen.held_out) for event in frozen.events)
                vault.charge(
                    [
                        Debit(owner, fingerprint, share, (event,) * times, None)
                        for (event, share), times in counts.items()
                    ]
                )
            _HOMES[mark] = vault
