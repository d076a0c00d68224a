"""The channels of a federation, each with the keys in force: those of this run, not older than ``rounds_per_key``."""

from __future__ import annotations

from collections.abc import Sequence

from fedlab_nb.channel.opening import Channel, Encryption, Place, open_channel
from fedlab_nb.ledger import Ledger


class Channels:
    """One channel a scheme; a new one where its keys have been in use long enough, or where rounds begin anew."""

    def __init__(self, names: Sequence[str], ledger: Ledger, server: Place) -> None:
        self._parts = tuple(names), ledger
        self._server: Place = server
        self._open: dict[Encryption | None, tuple[int, Channel]] = {}
        self._newest = 0

    def begin(self, number: int, *, anew: bool) -> None:
        """Rounds are played from ``number`` on: with fresh keys if ``anew``, or if those in force have been there."""
        if anew or number <= self._newest:
            self.drop()
            self._newest = 0

    def turn(self) -> int:
        """The number for a question between runs: each owner helps to sum a kind once under one number."""
        self._newest += 1
        return self._newest

    def drop(self) -> None:
        """Use none of the keys again, as after a sum that failed."""
        self._open.clear()

    def channel(self, scheme: Encryption | None, number: int) -> Channel:
        """The channel of a scheme for round ``number``."""
        self._newest = max(self._newest, number)
        began, channel = self._open.get(scheme, (number, None))
        if channel is None or (scheme and number // scheme.rounds_per_key > began // scheme.rounds_per_key):
            channel = open_channel(scheme, *self._parts, number, self._server)
            self._open[scheme] = number, channel
        return channel

    def fingerprint(self, scheme: Encryption | None) -> str:
        """The public key in force, in 16 hex characters; "" while there is none."""
        found = self._open.get(scheme)
        return found[1].fingerprint if found else ""
