"""The ServerApp: the loop of ``rounds.py`` over owners who are elsewhere, reached by Flower's grid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from fedlab_nb.errors import FedLabError, RoundError
from fedlab_nb.flower import news
from fedlab_nb.flower.agreement import Agreement
from fedlab_nb.flower.deploy.settings import check_seconds
from fedlab_nb.flower.driving.asking import Asking, Line
from fedlab_nb.flower.driving.words import NOTEBOOK
from fedlab_nb.flower.grid.exchange import GridExchange
from fedlab_nb.flower.grid.meeting import Met, meet
from fedlab_nb.flower.grid.playing import doings, federation_of, with_links
from fedlab_nb.flower.party.place import END, HELLO
from fedlab_nb.flower.project.root_rows import joined
from fedlab_nb.parties.columns.alignment import doubts_in_words
from fedlab_nb.units import counted


def server_app(app: str | Path) -> Any:
    """The ServerApp for the project in the folder ``app``, which has the agreement in it."""
    from flwr.app import Context
    from flwr.serverapp import Grid, ServerApp

    made = ServerApp()

    @made.main()
    def main(grid: Grid, context: Context) -> None:
        config: Mapping[str, Any] = context.run_config
        agreement = Agreement.read(Path(app))
        patience, wait = config.get("patience", 120), config.get("wait", 300)
        rows = str(config.get("root_rows", ""))
        for number, said in enumerate(told(agreement, grid, patience, wait, Path(app), rows), 1):
            doubt = agreement.on_first_sight(said.unknown) if isinstance(said, news.Began) else ""
            words = doubt if isinstance(said, news.Began | news.Ended) else _words(said)
            for line in (*news.lines(number, said, agreement.allowed), *filter(None, [words])):
                print(line, flush=True)  # noqa: T201 - the log is what Flower passes on
            if isinstance(said, news.Ended) and said.error is not None:
                # Of an Exception alone Flower 1.42 notes why, and passes on the last lines of the log.
                raise RuntimeError(str(said.error))

    return made


def told(
    agreement: Agreement, grid: Any, patience: float, wait: float, app: Path = Path(), root_rows: str = ""
) -> Iterator[news.News]:
    """The whole run, as what is to be told of it; a function of questions is looked for in the folder ``app``.

    ``patience`` and ``wait`` are not checked before: `flwr run` passes on whatever it is given. ``root_rows`` is the
    server's own file of them, where the strategy's rule needs it.
    """
    error: Exception | None = None
    exchange: GridExchange | None = None
    agreed = agreement.digest
    try:
        check_seconds({"wait": wait, "patience": patience})
        whole = joined(agreement.strategy, root_rows)
        met = meet(agreement, grid, wait)
        exchange, asking = _ways(met, grid, agreement, patience)
        agreement = replace(agreement, strategy=whole)  # from here on the server's own: no party is shown it
        federation = federation_of(agreement, {name: party.identity for name, party in met.items()}, exchange)
        unknown = {name: [n for n in met if n != name and n not in party.known] for name, party in met.items()}
        yield news.Began(agreed, tuple(federation.introductions), {name: tuple(n) for name, n in unknown.items()})
        error = yield from with_links(federation, doings(federation, agreement, app, asking))
    except FedLabError as failure:
        error = failure.with_traceback(None)
    except Exception as failure:  # noqa: BLE001 - whatever it is, the parties are to be told that it is over
        error = _broke(failure)
    if exchange is not None:
        exchange.sent(dict.fromkeys(met, END))
    yield news.Ended(error)


def _ways(met: dict[str, Met], grid: Any, agreement: Agreement, patience: float) -> tuple[GridExchange, Asking | None]:
    """The ways to the parties and to the notebook at the wheel, which is none of them and no longer in ``met``."""
    notebook = met.pop(NOTEBOOK, None)
    nodes = {name: party.node for name, party in met.items()}
    if notebook is None:
        return GridExchange(grid, nodes, patience), None
    asking = Asking(Line(grid, notebook.node), agreement.digest, partial(print, flush=True))
    exchange = GridExchange(grid, nodes, patience, asking.look)
    asking.greet = partial(exchange.sent, dict.fromkeys(met, HELLO))
    return exchange, asking


def _broke(error: Exception) -> RoundError:
    return RoundError(
        "server",
        "round",
        f"The server's process failed with {type(error).__name__}: {error}.",
        "No further round can come of this run; those before it are kept.",
        "Look at its log; a party may have sent something that it should not.",
    )


def _words(played: news.Linked | news.Played | news.Answered | news.Unasked | news.Predicted) -> str:
    if isinstance(played, news.Unasked):
        return f"Agreed on, and never asked: {'; '.join(played.questions)}"
    if isinstance(played, news.Predicted):
        found = "nothing" if played.rows is None else counted(played.rows, "row") + " in common"
        return f"Predicted: {found} ({played.trips} trips so far)"
    if isinstance(played, news.Linked):
        return doubts_in_words(played.alignment)
    if isinstance(played, news.Answered):
        return f"Answered: {played.name or 'nothing that was to be kept'} ({played.trips} trips so far)"
    record = played.record
    if record.failed is not None:
        return f"Round {record.number} failed: {record.failed}"
    shown = ", ".join(f"{name} {value:.4f}" for name, value in record.metrics.items())
    return f"Round {record.number}: {shown or 'no score'} ({len(record.cohort)} owners, {played.trips} trips so far)"
