"""Processes of this machine, or of a cluster of dask's, that owners are at work in."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

from fedlab_nb.errors import SettingError
from fedlab_nb.parties import DataOwner
from fedlab_nb.pool.federation import PooledFederation
from fedlab_nb.pool.workers import Workers
from fedlab_nb.settings import is_whole

if TYPE_CHECKING:
    from distributed import Client

# Dask opens a port for its web pages in any case: there is none on it. It has workers give memory back at once, which
# makes arrays of some 100 kB slow to get, and looks a hundred times a second what they are doing.
_OF_DASK: Mapping[str, Any] = {
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.nanny.pre-spawn-environ": {f"{library}_NUM_THREADS": 1 for library in ("OMP", "MKL", "OPENBLAS")},
    "distributed.worker.profile.enabled": False,
}
_USE = "with Pool(workers=4) as pool:"


class Pool:
    """Processes in which the owners of a large simulation are at work, some thousands of them and more.

    Args:
        workers: how many processes; left out, one for each core that this process may use.
        client: a ``distributed.Client`` of a cluster that runs already: then its workers are used, all of them, and
            closing the pool leaves them running. They need this package in the same version, and equal processors
            where results are to be equal to the bit.

    A federation made by ``pool.federation(owners, ...)`` trains as any other, and gives the same bits, whatever the
    number of workers. Rows are sent to the workers once. Beginning takes a few seconds, and each round some time for
    handing out: with a few hundred small owners one process is faster, and ``fl.doctor`` says so.

    All of it is one simulation of one user: rows and work go between the processes pickled, encrypted on their way
    (TLS) between those that this pool starts. It builds no walls between owners; for these see ``fedlab_nb.flower``.

    In a script, make the pool below ``if __name__ == "__main__":``, as each worker imports the script. In a notebook
    ``fl.train`` returns at once: wait for the run (``run.wait()``) before the pool is closed.

    Raises:
        SettingError: if ``distributed`` is not installed, or the processes cannot be started.

    Example::

        with Pool(workers=4) as pool:
            run = fl.train(pool.federation(owners), fl.FedAvg(fl.models.mlp()))
            run.wait()
    """

    def __init__(self, workers: int | None = None, *, client: Client | None = None) -> None:
        _check(workers, client)
        self._cluster: Any = None
        self._client = client or self._started(workers or _cores())
        self.addresses: Sequence[str] = sorted(self._client.scheduler_info(n_workers=-1)["workers"])
        if not self.addresses:
            raise SettingError(
                "The cluster that this pool was given has no workers.",
                "There is nobody to train the owners.",
                "Start workers first: client.wait_for_workers(2).",
            )

    def federation(self, owners: Sequence[DataOwner], **settings: Any) -> PooledFederation:
        """A federation of these owners, at work in this pool; ``settings`` are those of ``fl.Federation``.

        Raises:
            SettingError, SchemaError, RuleError, VaultError: as ``fl.Federation`` does; also for owners of different
                columns, who work with each other row by row.
        """
        if self.closed:
            raise SettingError(
                "This pool was closed.",
                "Its processes are gone, and with them the rows that they held.",
                f"Open another one: {_USE}",
            )
        if any(isinstance(owner, DataOwner) and owner.id is not None for owner in owners):
            raise SettingError(
                "A pool was given owners with an id.",
                "They may be owners of different columns, who work with each other row by row: there is no sum that "
                "several processes could share.",
                "Train them over fl.Federation(owners, ...); or make the owners without id=, if they have all columns.",
            )
        return PooledFederation(owners, partial(Workers, self._client, self.addresses), **settings)

    @property
    def closed(self) -> bool:
        """True once its processes, or the connection to them, have ended."""
        return self._client.status != "running"

    def close(self) -> None:
        """End the processes; those of a cluster that was given go on."""
        if self._cluster is not None:
            self._client.close()  # type: ignore[no-untyped-call]
            self._cluster.close()

    def __len__(self) -> int:
        return len(self.addresses)

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Pool({len(self)} workers{', closed' if self.closed else ''})"

    def _started(self, workers: int) -> Client:
        import dask
        from distributed import Client, LocalCluster

        # On this machine only, behind a certificate that no other user of it has.
        where: Mapping[str, Any] = {"host": "127.0.0.1", "security": True, "dashboard_address": "127.0.0.1:0"}
        # A worker cannot put owners' rows aside when memory runs short, so that a limit would only end it early.
        each: Mapping[str, Any] = {"threads_per_worker": 1, "processes": True, "memory_limit": 0}
        try:
            settings = {"n_workers": workers, "silence_logs": logging.ERROR, **where, **each}
            with dask.config.set(_OF_DASK):
                self._cluster = LocalCluster(**settings)  # type: ignore[no-untyped-call]
            return Client(self._cluster, set_as_default=False, direct_to_workers=True)  # type: ignore[no-untyped-call]
        except Exception as error:
            if self._cluster is not None:
                self._cluster.close()
            raise SettingError(
                f"{workers} processes could not be started ({type(error).__name__}: {error}).",
                "A pool is made of processes that begin anew: in a script each imports the script first.",
                'Make the pool below if __name__ == "__main__": in a script; and look whether memory and process '
                "limits have room for so many.",
            ) from error


def _check(workers: int | None, client: Client | None) -> None:
    if client is not None and workers is not None:
        raise SettingError(
            f"A pool was given workers={workers!r} and a client.",
            "The workers of a cluster that runs already are those that it has.",
            "Pass one of the two.",
        )
    if workers is not None and not is_whole(workers, 1):
        raise SettingError(
            f"A pool was asked to have workers={workers!r}.",
            "It is the number of processes that owners are shared out among.",
            f"Give a whole number from 1 up: {_USE}",
        )
    try:
        import distributed  # noqa: F401 - to say in words what is missing
    except ImportError:
        raise SettingError(
            "A pool needs the package distributed, and it is not installed here.",
            "It starts the processes, and brings rows and work to them.",
            'Install it: pip install "fedlab_nb[pool]".',
        ) from None


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
