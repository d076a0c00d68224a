"""What parties with different columns go through together, each in its own process: step after step, as agreed."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fedlab_nb.flower.agreement import Agreement
from fedlab_nb.parties import Federation
from fedlab_nb.records import Round
from fedlab_nb.rounds import rounds

# A party's own way through the agreed steps over the federation as it knows it: of each, why it failed, or None.
Steps = Callable[[Federation], Iterator[Exception | None]]


def training(agreement: Agreement, kept: Callable[[Round], None] | None = None) -> Steps:
    """The rounds of a training; ``kept`` is called with the record of each."""

    def steps(federation: Federation) -> Iterator[Exception | None]:
        for record in rounds(federation, agreement.strategy, num_rounds=agreement.num_rounds, seed=agreement.seed):
            if record.failed is None and kept is not None:
                kept(record)
            yield record.failed.error if record.failed else None

    return steps


def part_keeper(strategy: Any, name: str, path: Path) -> Callable[[Round], None]:
    """What keeps an owner's part of the model in a file of its own, after every round.

    This user alone may read it, and whoever does finds all of one round's part.
    """
    from fedlab_nb.learn.export import to_file
    from fedlab_nb.vertical.model.parts import part_of

    def keep(record: Round) -> None:
        part = part_of(strategy, record.state, name)

        def put(place: Path) -> None:
            draft = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
            try:
                draft.touch(mode=0o600)
                part.save(draft).replace(place)
            finally:
                draft.unlink(missing_ok=True)

        to_file(path, put, what="part of the model", example='part = "part.safetensors" beside site.toml')

    return keep
