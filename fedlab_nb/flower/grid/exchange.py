"""Trips to nodes over Flower's grid."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from fedlab_nb.errors import FedLabError, RoundError
from fedlab_nb.flower.client import KIND, body_of, packed
from fedlab_nb.flower.orders.arrived import SILENT, unreadable
from fedlab_nb.flower.party.place import ORDERS

# How often the server looks for replies, in seconds: Flower's own way looks every three.
LOOK = 0.1


class GridExchange:
    """Trips to parties over Flower's grid; who has not replied after ``patience`` seconds is gone for this trip.

    ``meanwhile`` is called again and again while replies are waited for.
    """

    def __init__(
        self, grid: Any, nodes: Mapping[str, int], patience: float, meanwhile: Callable[[], None] | None = None
    ) -> None:
        self._grid, self._nodes, self._patience, self._trip = grid, dict(nodes), patience, 0
        self._meanwhile = meanwhile or (lambda: None)

    def __call__(self, requests: Mapping[str, bytes]) -> dict[str, bytes | FedLabError]:
        """The parties' replies to their requests."""
        return self.sent({name: ORDERS + data for name, data in requests.items()})

    def sent(self, bodies: Mapping[str, bytes]) -> dict[str, bytes | FedLabError]:
        """What came back for each of ``bodies``."""
        waiting = self.pushed(bodies)
        until, replies = time.monotonic() + self._patience, dict[str, bytes | FedLabError]()
        while waiting and time.monotonic() < until:
            replies |= self.pulled(waiting)
            if waiting:
                self._meanwhile()
                time.sleep(LOOK)
        return replies

    def pushed(self, bodies: Mapping[str, bytes]) -> dict[str, str]:
        """Send ``bodies`` without waiting; by the number of each message, whom it is for."""
        from flwr.app import Message as FlowerMessage

        self._trip += 1
        kind, group = f"query.{KIND}", str(self._trip)
        messages = [
            FlowerMessage(packed(data), self._nodes[name], kind, group_id=group) for name, data in bodies.items()
        ]
        return dict(zip(self._grid.push_messages(messages), bodies, strict=True))

    def pulled(self, waiting: dict[str, str]) -> dict[str, bytes | FedLabError]:
        """The replies that are there by now; whose came is no longer in ``waiting``."""
        replies = dict[str, bytes | FedLabError]()
        for reply in self._grid.pull_messages(list(waiting)):
            name = waiting.pop(reply.metadata.reply_to_message_id, None)
            if name is not None:  # and not once more
                replies[name] = _failed(name, reply.error) if reply.has_error() else _body(name, reply)
        return replies


def _body(name: str, reply: Any) -> bytes | RoundError:
    try:
        return body_of(reply)
    except Exception:  # noqa: BLE001 - whatever a site sends
        return unreadable(name)


def _failed(name: str, error: Any) -> RoundError:
    return RoundError(
        name,
        SILENT,
        f"{name!r} could not answer: {error.reason or f'Flower says error {error.code}'}",
        "Nothing of this step is used.",
        "Look at the log of its SuperNode; if the run has ended, start another when it is there again.",
    )
