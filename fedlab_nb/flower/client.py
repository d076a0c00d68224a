"""The ClientApp of a party: it hands each message over to the party's own process, and its reply back to Flower.

A notebook at the wheel has no process of its own besides its kernel: see driving/node.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fedlab_nb.errors import FedLabError
from fedlab_nb.flower.driving.node import answered, is_notebook
from fedlab_nb.flower.party.place import Place
from fedlab_nb.flower.party.relay import handed_over

KIND, BODY = "fedlab", "body"


def client_app(app: str | Path) -> Any:
    """The ClientApp for the project in the folder ``app``, which has the agreement in it.

    The node configuration of the SuperNode names the party's settings: ``--node-config 'site="/path/to/site.toml"'``.
    """
    from flwr.app import Context, Message
    from flwr.clientapp import ClientApp

    made = ClientApp()

    @made.query(KIND)
    def answer(message: Message, context: Context) -> Message:
        settings, run = Path(str(context.node_config.get("site", "site.toml"))), str(context.run_id)
        try:
            if is_notebook(settings):
                reply = answered(settings, run, Path(app), body_of(message))
            else:
                reply = handed_over(Place(settings, run), Path(app), body_of(message))
        except FedLabError as error:
            # Without a traceback: Flower passes on the words of an error, and these quote nothing.
            raise RuntimeError(str(error)) from None
        return Message(packed(reply), reply_to=message)

    return made


def packed(data: bytes) -> Any:
    """Bytes as Flower sends them: an array, which travels in pieces where it is large."""
    from flwr.app import Array, ArrayRecord, RecordDict

    return RecordDict({KIND: ArrayRecord({BODY: Array(np.frombuffer(data, dtype=np.uint8))})})


def body_of(message: Any) -> bytes:
    """The bytes in a message."""
    record = next(iter(message.content.array_records.values()))
    return bytes(record[BODY].numpy().tobytes())
