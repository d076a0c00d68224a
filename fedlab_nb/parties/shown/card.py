"""Who holds which rows, columns and keys, read off the real parties; and the card of a federation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fedlab_nb.cards import Html, folded, framed, image, pairs_html, panel, table_html
from fedlab_nb.channel import HANDSHAKE
from fedlab_nb.parties.absent import is_absent
from fedlab_nb.parties.columns.fitting import is_vertical
from fedlab_nb.parties.federation import Federation
from fedlab_nb.parties.owner import DataOwner
from fedlab_nb.parties.shown.trust import crossings_of, has_key
from fedlab_nb.records import Holding
from fedlab_nb.records.holding import Key, Power
from fedlab_nb.units import counted, delta_text, listed
from fedlab_nb.view.diagram import federation_svg, federation_words

MOST_LINES = 25
SERVER_OF_COLUMNS = (
    "The server adds nothing and sends no model here: it finds the rows in common, passes identities on, and learns "
    "how many rows there are, and scores."
)


def holdings(federation: Federation) -> tuple[Holding, ...]:
    """What each party holds now: owners in order, the server, and the key holder where there is encryption.

    Keys are read off the ledger and the key holder: before the first round there are none, and it says so.
    """
    if is_vertical(federation.schema):
        return _of_columns(federation)
    owners = tuple(_owner(federation, owner) for owner in federation.owners)
    if not federation.house.encrypt:
        return (
            *owners,
            Holding("server", "server", may=("read",), material="no keys: no encryption", sends="the model"),
        )
    holder = (_key_holder(federation),) if federation.house.hiding == "authority" else ()
    return (*owners, _server(federation), *holder)


class Secret(NamedTuple):
    """What hides an owner's updates, what it can do with it, and the same in words."""

    key: Key
    may: tuple[Power, ...]
    material: str


OWNERS = {
    "none": Secret("none", (), "no key"),
    "authority": Secret("public key", ("seal",), "public key"),
    "owners": Secret("secret key", ("seal", "open"), "public and secret key"),
    "threshold": Secret("key share", ("seal", "help open"), "public key, one share of the secret one"),
    "masks": Secret("mask secrets", ("mask", "help open"), "a secret with each other owner"),
}


def _of_columns(federation: Federation) -> tuple[Holding, ...]:
    """What parties hold where owners have different columns: they exchange among themselves, the server adds nothing.

    Nobody has a power over updates there: no update is sent.
    """
    rows = "rows that are linked" if federation.schema.linked_by else "rows found by ids"
    owners = tuple(
        Holding(
            owner.name,
            "owner",
            rows,
            tuple(column.name for column in owner.schema.features),
            owner.target or None,
            (),
            *_key_of_columns(federation, owner.name),
            sends=_to_each_other(federation, owner.name),
        )
        for owner in federation.owners
    )
    passes = "which rows match"
    server = Holding("server", "server", material="no key, now or later", sends=passes)
    if federation.house.hiding != "authority":
        return (*owners, server)
    has = has_key("key holder", federation)
    kinds = {c.kind for c in crossings_of(federation) if c.receiver == "key holder" and c.encrypted}
    opened = [word for word, start in (("opened sums", "sum of "), ("random numbers", "padded "))
              if any(kind.startswith(start) for kind in kinds)]  # fmt: skip
    sends = listed(opened) or "nothing yet"
    key: Key = "secret key" if has else "none"
    material = "secret key" if has else "no key so far"
    return (*owners, server, Holding("key holder", "key holder", key=key, material=material, sends=sends))


def _key_of_columns(federation: Federation, name: str) -> tuple[Key, str]:
    """The kind of key that an owner of columns has, read off the ledger, and the same in words."""
    if has_key(name, federation):
        return "secret key", "secret key of its own"
    if any(c.kind == "public key" and c.receiver == name for c in crossings_of(federation)):
        return "public key", "public key"
    return "none", "no key yet" if federation.house.encrypt else "no key"


def _to_each_other(federation: Federation, name: str) -> str:
    """How an owner's numbers went to others than the server so far, beside ids that are masked."""
    sent = [c for c in crossings_of(federation) if c.sender == name and c.receiver != "server"]
    numbers = [c.encrypted for c in sent if c.kind not in HANDSHAKE and c.kind != "masked ids"]
    how = [word for word, hidden in (("sealed", True), ("readable", False)) if hidden in numbers]
    return f"numbers, {' and '.join(how)}" if how else "masked ids" if sent else "nothing yet"


def _owner(federation: Federation, owner: DataOwner) -> Holding:
    house, keys = federation.house, federation.house.hiding
    got = federation.ledger.newest("identities", "server", owner.name, encrypted=False) is not None
    held = OWNERS[keys] if got else Secret("none", (), "no key yet" if house.encrypt else "no key")
    noise = " with noise" if house.noise_seed is None else " with noise from a known seed"
    sent = f"updates{noise if house.protect else ''}"
    return Holding(
        owner.name,
        "owner",
        rows="its own rows, private",
        columns=tuple(column.name for column in owner.schema.features),
        target=owner.target or None,
        may=held.may,
        key=held.key,
        material=held.material,
        sends=f"{sent}, {'readable' if keys == 'none' else 'masked' if keys == 'masks' else 'sealed'}",
    )


def _server(federation: Federation) -> Holding:
    got = any(kind == "parameters" for kind, *_ in federation.ledger.crossings)
    return Holding(
        "server",
        "server",
        may=("add",),
        key="parameters" if got else "none",
        material="parameters, no key" if got else "no key, now or later",
        sends="the model",
    )


def _key_holder(federation: Federation) -> Holding:
    key = federation.fingerprint
    return Holding(
        "key holder",
        "key holder",
        may=("open",),
        key="secret key" if key else "none",
        material=f"secret key {key[:8]}" if key else "no key before round 1",
        sends="opened sum",
    )


def federation_card(federation: Federation) -> str:
    """The HTML card of a federation: the picture of who holds what, the house rules, and all columns."""
    parties = holdings(federation)
    picture = image(federation_svg(parties), federation_words(parties))
    rules = pairs_html(_rules(federation))
    body = (
        f'<div class="fl-pair"><div class="fl-diagram">{picture}</div><div>{rules}</div></div>'
        + folded("Who holds what, party by party", _table(parties))
        + folded(f"All {counted(len(federation.schema.features) + 1, 'column')}", federation.schema.columns_html())
    )
    apart = " but the adding server" if federation.house.server == "process" else ""
    passes = f"{SERVER_OF_COLUMNS} " if is_vertical(federation.schema) else ""
    if all(map(is_absent, federation.owners)):
        where = "The parties live in processes of their own, and none of their rows are here."
    else:
        where = f"All parties{apart} live in this one Python process: their walls are simulated."
    note = f"{passes}{where} seen_by(party) shows what each saw."
    return framed(panel(f"Federation of {counted(len(federation.owners), 'data owner')}", body, note=note))


def _rules(federation: Federation) -> list[tuple[str, object]]:
    house = federation.house
    every = (
        "every owner in every round" if house.sample_rate == 1.0 else f"each owner with chance {house.sample_rate:.0%}"
    )
    adds = "" if is_vertical(federation.schema) else "adds "
    rows: list[tuple[str, object]] = [
        ("Predicts", federation.schema.target.name or "nothing: no owner has a target"),
        *([("Rows of all found by", f"ids ({federation.schema.id.name})")] if federation.schema.id else []),
        (
            "Encryption",
            house.encrypt.name if house.encrypt else f"none: {_reader(federation)}",
        ),
        ("Privacy", _privacy(federation)),
        ("Budget", _budgets(federation)),
        ("Budgets are kept in", str(federation.books.vault.path or "memory, until the kernel ends")),
        ("Takes part", every),
        *(
            [("Public key", f"{federation.fingerprint}: owners compare it with each other")]
            if federation.fingerprint
            else []
        ),
        *([("Server", f"{adds}in a process of its own, which never has a key")] if house.server == "process" else []),
        *([("Drops out", f"each chosen owner with chance {house.dropout:.0%}")] if house.dropout else []),
    ]
    if house.noise_seed is not None:
        rows.append(("Rehearsal", Html('<span class="fl-bad">✕ not private: the noise repeats from its seed</span>')))
    return [*rows, ("Messages so far", f"{len(federation.ledger):,}")]


def _reader(federation: Federation) -> str:
    """Who reads what is sent where nothing is encrypted."""
    vertical = is_vertical(federation.schema)
    return "whoever is sent numbers reads them; ids are masked" if vertical else "the server reads every update"


def _budgets(federation: Federation) -> str:
    """What binds the owners, in words."""
    bindings = [federation.books.binding(name, federation.house) for name in federation.names]
    kinds = {(b.epsilon, b.delta) for b in bindings if b is not None}
    words = [f"epsilon {epsilon:g}, delta {delta_text(delta)}" for epsilon, delta in sorted(kinds)]
    return (" or ".join(words) + (" (each owner its own)" if len(kinds) > 1 else "")) or "none"


def _privacy(federation: Federation) -> str:
    protect = federation.house.protect
    if protect is None:
        return "no mechanism, no guarantee"
    noise = "to fit the budget" if protect.noise_multiplier is None else f"multiplier {protect.noise_multiplier:g}"
    return f"hides a single {protect.unit}: {protect.clip_words}, noise {noise}"


def _table(parties: Sequence[Holding]) -> str:
    """The holdings as a table, for those who read rather than look."""
    owners = [h for h in parties if h.role == "owner"][:MOST_LINES]
    others = [h for h in parties if h.role != "owner"]
    powers = any(h.powers for h in parties)
    rows = [
        (
            h.party,
            h.rows,
            f"{len(h.columns):,}" if h.columns else "–",
            h.target or "–",
            h.material,
            *([h.powers or "–"] if powers else []),
            h.sends,
        )
        for h in (*owners, *others)
    ]
    more = len(parties) - len(rows)
    heads = ("Party", "Rows", "Columns", "Target", "Keys", *(["With updates"] if powers else []), "Sends")
    table = table_html(heads, rows)
    return table + (f"<p>and {counted(more, 'more owner')}</p>" if more else "")
