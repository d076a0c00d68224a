"""The ServerApp: the loop of ``rounds.py`` over owners who are elsewhere, reached by Flower's grid."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from fedlab_nb.crypto.seal import KEY_HOLDER
from fedlab_nb.errors import FedLabError, RoundError, SettingError
from fedlab_nb.flower import news
from fedlab_nb.flower.agreement import Agreement
from fedlab_nb.flower.client import KIND, body_of, packed
from fedlab_nb.flower.codec import same_code
from fedlab_nb.flower.columns.federation import ColumnsFederation
from fedlab_nb.flower.columns.hub import Hub
from fedlab_nb.flower.driving.asking import Asking, Line
from fedlab_nb.flower.driving.words import NOTEBOOK
from fedlab_nb.flower.federation import RemoteFederation
from fedlab_nb.flower.orders.arrived import SILENT, unreadable
from fedlab_nb.flower.orders.hooks import ServersWriting
from fedlab_nb.flower.orders.sites import Sites
from fedlab_nb.flower.party.place import END, HELLO, ORDERS, flower_version
from fedlab_nb.flower.project.root_rows import joined
from fedlab_nb.flower.sums.going_on import rounds_that_go_on
from fedlab_nb.flower.survey.asking import asked, spent_of
from fedlab_nb.flower.survey.federation import AskedFederation
from fedlab_nb.flower.survey.questions import Questions
from fedlab_nb.records import Message
from fedlab_nb.units import counted

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
        "Look at the log of its SuperNode; go on with the same run when it is there again.",
    )


def server_app(app: str | Path) -> Any:
    """The ServerApp for the project in the folder ``app``, which has the agreement in it."""
    from flwr.app import Context
    from flwr.serverapp import Grid, ServerApp

    made = ServerApp()

    @made.main()
    def main(grid: Grid, context: Context) -> None:
        config = context.run_config
        agreement = Agreement.read(Path(app))
        patience, wait = float(config.get("patience", 120)), float(config.get("wait", 300))
        rows = str(config.get("root_rows", ""))
        for number, said in enumerate(told(agreement, grid, patience, wait, Path(app), rows), 1):
            doubt = agreement.on_first_sight(said.unknown) if isinstance(said, news.Began) else ""
            words = _words(said) if isinstance(said, news.Played | news.Answered) else doubt
            for line in (*news.lines(number, said, agreement.allowed), *filter(None, [words])):
                print(line, flush=True)  # noqa: T201 - the log is what Flower passes on
            if isinstance(said, news.Ended) and said.error is not None:
                raise SystemExit(str(said.error))

    return made


def told(
    agreement: Agreement, grid: Any, patience: float, wait: float, app: Path = Path(), root_rows: str = ""
) -> Iterator[news.News]:
    """The whole run, as what is to be told of it; a function of questions is looked for in the folder ``app``.

    ``root_rows`` is the server's own file of them, where the strategy's rule needs it.
    """
    error: Exception | None = None
    exchange: GridExchange | None = None
    try:
        whole = joined(agreement.strategy, root_rows)
        met = meet(agreement, grid, wait)
        exchange, asking = _ways(met, grid, agreement, patience)
        agreement = replace(agreement, strategy=whole)  # from here on the server's own: no party is shown it
        federation = _federation(agreement, {name: party.identity for name, party in met.items()}, exchange)
        unknown = {name: [n for n in met if n != name and n not in party.known] for name, party in met.items()}
        yield news.Began(tuple(federation.introductions), {name: tuple(those) for name, those in unknown.items()})
        if isinstance(agreement.strategy, Questions):
            yield from asked(federation, agreement.strategy.function(app))
        else:
            error = yield from _played(federation, agreement, asking)
    except FedLabError as failure:
        error = failure.with_traceback(None)
    except Exception as failure:  # noqa: BLE001 - whatever it is, the parties are to be told that it is over
        error = _broke(failure)
    if exchange is not None:
        exchange.sent(dict.fromkeys(met, END))
    yield news.Ended(error)


def _federation(
    agreement: Agreement, identities: Mapping[str, bytes], exchange: GridExchange
) -> RemoteFederation | ColumnsFederation:
    """The owners as the server reaches them: it orders steps of those who have the same columns; others run them."""
    if agreement.vertical:
        return ColumnsFederation(Hub(agreement.names, identities, exchange, agreement.digest), agreement.house)
    writing = ServersWriting(agreement.strategy, agreement.allowed)
    sites = Sites(identities, exchange, writing)
    kind = AskedFederation if isinstance(agreement.strategy, Questions) else RemoteFederation
    return kind(agreement.names, agreement.house, sites, writing)


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


def _played(
    federation: RemoteFederation | ColumnsFederation, agreement: Agreement, asking: Asking | None
) -> Generator[news.Played, None, Exception | None]:
    """The rounds of a training, as the notebook at the wheel wishes; gives why the last of them failed."""
    error: Exception | None = None
    seen, known = 0, None
    facts: dict[str, Any] = {"num_rounds": agreement.num_rounds, "seed": agreement.seed}
    play = rounds_that_go_on if asking is None else asking.rounds
    for record in play(federation, agreement.strategy, **facts):
        messages = tuple(map(Message.without_payload, federation.ledger.messages[seen:]))
        seen += len(messages)
        context = record.state.context
        bare = replace(record, state=replace(record.state, context=None))
        fresh, known = (context if context is not known else None), context
        yield news.Played(bare, fresh, messages, spent_of(federation), federation.sites.trips)
        error = record.failed.error if record.failed else None
    if error is None and isinstance(federation, ColumnsFederation):
        federation.sites.flush()  # what still waits for a party belongs to its part of the last round
    return error


def _broke(error: Exception) -> RoundError:
    return RoundError(
        "server",
        "round",
        f"The server's process failed with {type(error).__name__}: {error}.",
        "No further round can come of this run; those before it are kept.",
        "Look at its log; a party may have sent something that it should not.",
    )


class Met(NamedTuple):
    """A party that is there: its node, its lasting identity, and whose identities it has noted beforehand."""

    node: int
    identity: bytes
    known: frozenset[str]


def meet(agreement: Agreement, grid: Any, wait: float) -> dict[str, Met]:
    """Which node is which party, once all of them are there.

    A node is asked once, and may take all of ``wait`` to answer: it reads its rows before it does.

    Raises:
        SettingError: a party is missing, there twice, of another version, or did not accept the agreement.
    """
    needed = {*agreement.nodes}
    until, found = time.monotonic() + wait, dict[str, Met]()
    asked, waiting = dict[str, int](), dict[str, str]()  # waiting: of which nodes the answer has not come
    while needed - found.keys() and time.monotonic() < until:
        new = {str(node): int(node) for node in grid.get_node_ids() if str(node) not in asked}
        asked |= new
        hellos = GridExchange(grid, new, wait)
        waiting |= hellos.pushed(dict.fromkeys(new, HELLO)) if new else {}
        for node, reply in hellos.pulled(waiting).items() if waiting else ():
            if isinstance(reply, FedLabError):
                raise reply
            name, met = _introduced(int(node), reply, agreement)
            if name in found:
                raise _refused(f"Two nodes say that they are {name!r}.", "One of them would take the other's place.")
            found[name] = met
        if needed - found.keys():
            time.sleep(LOOK)
    missing = sorted(needed - found.keys())
    if missing:
        there = [*found, *([f"{counted(len(waiting), 'node')} that did not answer"] * bool(waiting))]
        raise _refused(
            f"{', '.join(map(repr, missing))} did not come within {wait:g} s; there: {', '.join(there) or 'nobody'}.",
            "The run is between all parties of the agreement.",
        )
    return {name: found[name] for name in agreement.nodes}


def _introduced(node: int, reply: bytes, agreement: Agreement) -> tuple[str, Met]:
    """The name of the party at a node, and what it says of itself."""
    try:
        facts = dict(json.loads(reply))
        name, refused = str(facts.get("name", f"node {node}")), [*map(str, facts.get("refused", ()))]
        identity, known = bytes.fromhex(facts.get("identity", "")), frozenset(facts.get("known", ()))
    except (ValueError, TypeError) as error:
        raise _refused(f"Node {node} says something else than who it is.", "Nobody knows which party it is.") from error
    if refused:
        if len(refused) != 3:
            raise _refused(f"{name!r} refuses.", "It does not say why.")
        what, why, do = refused
        raise SettingError(what, why, do)
    if facts.get("code") != same_code():
        raise _refused(
            f"{name!r} runs the code {str(facts.get('code'))[:12]}, and the server {same_code()[:12]}.",
            "Parties name steps to each other by their place in the code; in another version it may be another step.",
            "Install the same version of fedlab_nb at all parties.",
        )
    if facts.get("flower") != flower_version():
        raise _refused(
            f"{name!r} has Flower {facts.get('flower')}, and the server {flower_version()}.",
            "Programs of different versions do not always understand each other, and not every version says so.",
            'Install the same one everywhere: pip install "fedlab-nb[flower]".',
        )
    if facts.get("agreement") != agreement.digest:
        raise _refused(f"{name!r} has another agreement.", "It may have agreed to something else.")
    role = facts.get("role")
    return (role if role in (KEY_HOLDER, NOTEBOOK) else name), Met(node, identity, known)


def _refused(what: str, why: str, do: str = "") -> SettingError:
    return SettingError(what, why, do or "Look at the site.toml of each party, and at what their SuperNodes log.")


def _words(played: news.Played | news.Answered) -> str:
    if isinstance(played, news.Answered):
        return f"Answered: {played.name or 'nothing that was to be kept'} ({played.trips} trips so far)"
    record = played.record
    if record.failed is not None:
        return f"Round {record.number} failed: {record.failed}"
    shown = ", ".join(f"{name} {value:.4f}" for name, value in record.metrics.items())
    return f"Round {record.number}: {shown or 'no score'} ({len(record.cohort)} owners, {played.trips} trips so far)"
