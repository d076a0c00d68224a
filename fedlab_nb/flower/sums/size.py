"""How many numbers work gives beside an owner's rows: known, or tried out on invented rows, which saves a trip."""

from __future__ import annotations

from typing import Any

from fedlab_nb.channel.opening import Tensors
from fedlab_nb.errors import FedLabError
from fedlab_nb.parties import DataOwner


class Sizes:
    """The sizes of what work gives at owners like ``owner``, whose rows are elsewhere."""

    def __init__(self, owner: DataOwner) -> None:
        self._owner = owner
        self._invented: DataOwner | None = None

    def of(self, work: Any, tensors: Tensors) -> int:
        """How many numbers an update has; 0 where only real rows tell."""
        return sum(size for _, size in tensors) or getattr(work, "size", None) or self._tried(work) or 0

    def _tried(self, work: Any) -> int | None:
        if self._invented is None:
            owner = self._owner
            self._invented = DataOwner(
                owner.name, owner.mock(40), target=owner.target or None, id=owner.id, held_out=0.5
            )
        name = self._invented.name
        try:
            return int(self._invented._inside(lambda rows: work(name, rows), stage="rehearsal").value.size)  # noqa: SLF001
        except FedLabError:
            return None
