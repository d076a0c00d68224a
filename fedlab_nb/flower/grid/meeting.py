"""Which node is which party: what each says of itself when it is greeted, and what is refused of it."""

from __future__ import annotations

import json
import time
from typing import Any, NamedTuple

from fedlab_nb.crypto.seal import KEY_HOLDER
from fedlab_nb.errors import FedLabError, SettingError
from fedlab_nb.flower.agreement import Agreement
from fedlab_nb.flower.codec import same_code
from fedlab_nb.flower.driving.words import NOTEBOOK
from fedlab_nb.flower.grid.exchange import LOOK, GridExchange
from fedlab_nb.flower.party.place import HELLO, flower_version
from fedlab_nb.units import counted


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
