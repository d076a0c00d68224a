"""A party of a vertical run in a process of its own: it runs the agreed protocol itself, and takes no orders.

The server tells it which round may begin, and passes on what other parties send. Which lines the party carries out, and
what it sends to whom, follows from the agreement and the code that is installed here.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping, Sequence

from fedlab_nb.crypto import Identity
from fedlab_nb.errors import EncryptionError, FedLabError, RoundError
from fedlab_nb.flower.agreement import Agreement
from fedlab_nb.flower.columns.parcel import Seals
from fedlab_nb.flower.columns.steps import Steps, training
from fedlab_nb.flower.columns.talk import (
    Delivery,
    Guest,
    Return,
    Roster,
    name_of_run,
    read_delivery,
    read_roster,
    written,
)
from fedlab_nb.flower.columns.wire import Wire
from fedlab_nb.flower.orders.owner import Introduction
from fedlab_nb.flower.orders.site import withheld
from fedlab_nb.flower.orders.trust import Trust
from fedlab_nb.parties import DataOwner, Federation
from fedlab_nb.parties.absent import absent_owner
from fedlab_nb.parties.books import Books
from fedlab_nb.parties.columns.road import go_by, link_by
from fedlab_nb.parties.house import House
from fedlab_nb.privacy import Vault
from fedlab_nb.records import PrivacyEvent

# Where the thread of a party is when one of its steps fails.
_STAGE = "protocol"


class OneParty(Federation):
    """A federation as one of its parties knows it: its own rows, of others what they show; it pays for itself alone."""

    def __init__(
        self, name: str, owner: DataOwner | None, guests: Sequence[Guest], house: House, vault: Vault | None
    ) -> None:
        there = [
            owner
            if owner is not None and guest.name == name
            else absent_owner(guest.name, guest.schema, guest.held_out, None, secrets.token_bytes(16))
            for guest in guests
        ]
        # All that was agreed on, so that what cannot be kept to is refused here as it is in a notebook.
        settings = {name: getattr(house, name) for name in house.__dataclass_fields__}
        super().__init__(there, **settings, vault=vault)
        self._name = name
        if owner is not None:
            self.books = Books([owner], vault)
            self.books.open(self.house)

    def charge(self, debits: Mapping[str, Sequence[PrivacyEvent]]) -> None:
        """Debit this party's own releases; the others debit theirs."""
        super().charge({name: events for name, events in debits.items() if name == self._name})

    def epsilon(self) -> float | None:
        """None: what owners of columns work out together is released without noise."""
        return None


class ColumnsSite:
    """One party's end; ``owner`` is None at the key holder. ``steps`` are what it does; left out, the rounds alone."""

    def __init__(
        self,
        name: str,
        agreement: Agreement,
        trust: Trust,
        owner: DataOwner | None = None,
        vault: Vault | None = None,
        steps: Steps | None = None,
    ) -> None:
        self.name, self.process = name, secrets.token_hex(8)
        self._agreement, self._trust, self._owner, self._vault = agreement, trust, owner, vault
        self._steps = steps or training(agreement)
        # Books of its own, to tell what its data has given away; the run's are made when all owners are known.
        self._books = Books([owner], vault) if owner is not None else None
        self._identity = Identity()
        self._wire: Wire | None = None
        self._error: FedLabError | None = None
        self._serial = 0
        self._last: tuple[bytes, bytes] | None = None

    def answer(self, data: bytes) -> bytes:
        """The reply to a delivery. One that comes again gets the same reply, and nothing is done twice."""
        if self._last is None or data != self._last[0]:
            self._last = data, written(self._answered(data))
        return self._last[1]

    def close(self) -> None:
        """The run is over: whatever waits gives up."""
        self._end(_over(self.name))

    def _end(self, error: FedLabError) -> None:
        """From now on nothing is done but to say why: what others sent after a failure could mean anything."""
        self._error = self._error or error.with_traceback(None)
        if self._wire is not None:
            self._wire.end(self._error)

    def _answered(self, data: bytes) -> Return:
        try:
            delivery = read_delivery(data)
        except FedLabError as error:
            self._end(error)
            return Return(self._serial, self.process, error=self._error)
        facts = delivery.serial, self.process
        gone = delivery.known not in ("", self.process)
        if gone or 0 < delivery.serial <= self._serial:
            # What it is about is gone, and the server sees so by the name of this process; or it comes late.
            return Return(*facts)
        try:
            if self._error is None:
                self._taken_in(delivery)
            if self._wire is None and self._error is None:
                return self._introduced(*facts)
        except FedLabError as error:
            self._end(error)
        except Exception as error:  # noqa: BLE001 - this process must not end: it would take others' work with it
            self._end(withheld(self.name, type(error).__name__, _STAGE))
        sent, signed = self._wire.take_sent() if self._wire is not None else ((), {})
        return Return(*facts, sent, signed, error=self._error)

    def _taken_in(self, delivery: Delivery) -> None:
        """Go on with what has arrived, as far as the protocol can."""
        if delivery.serial != self._serial + 1:
            raise EncryptionError(
                f"{self.name!r} was at trip {self._serial}, and was sent trip {delivery.serial}.",
                "What was in between is not known here: the protocol would go on without it.",
                "Begin the run anew; ask who runs the server if this comes again.",
            )
        self._serial = delivery.serial
        self._trust.know(delivery.identities)
        self._trust.learn(delivery.vouched)
        if self._wire is None and delivery.serial > 1:
            self._wire = self._begun(delivery.roster)
        if self._wire is not None:
            self._wire.go_on(delivery.parcels, delivery.allowed)

    def _introduced(self, serial: int, process: str) -> Return:
        public = self._identity.public
        said = None
        if self._owner is not None and self._books is not None:
            said = Introduction.of(self._owner, self._books)
        return Return(serial, process, (), self._trust.signed(public), public, said)

    def _begun(self, told: bytes) -> Wire:
        """Meet the others, and start the protocol."""
        roster, agreed = read_roster(told), self._agreement
        self._check_met(roster)
        self._trust.check_identities(roster.publics)
        # All that is sealed hangs on the name of the run, and so on the whole roster: all were told the same, or
        # nobody can open anything.
        run = name_of_run(told, agreed.digest)
        wire = Wire(self.name, Seals(self.name, self._identity, roster.publics, run), self._trust, run)
        by_name = {guest.name: guest for guest in roster.guests}
        guests = [by_name[name] for name in agreed.names]
        federation = OneParty(self.name, self._owner, guests, agreed.house, self._vault)
        go_by(federation, wire)
        link_by(federation, agreed.linkage)
        threading.Thread(target=self._play, args=(federation, wire), daemon=True).start()
        return wire

    def _check_met(self, roster: Roster) -> None:
        """Refuse other parties than those of the agreement, and what is not true of this one."""
        names, agreed, mine = sorted(guest.name for guest in roster.guests), self._agreement, self._identity.public
        if names != sorted(agreed.names) or roster.publics.keys() != {*agreed.parties}:
            raise EncryptionError(
                f"{self.name!r} was told of other parties than those of the agreement.",
                "What is sent to a stranger, nobody agreed to send.",
                "Nothing was sent; ask who runs the server whom it lets in.",
            )
        me = next((guest for guest in roster.guests if guest.name == self.name), None)
        true = Guest(self.name, self._owner.schema, self._owner.held_out) if self._owner is not None else None
        if roster.publics[self.name] != mine or me != true:
            raise EncryptionError(
                f"{self.name!r} was told something else of itself than it had said.",
                "Others are told the same, and would read its columns, or seal for it, in another way than is true.",
                "Nothing was sent; ask who runs the server what it passes on.",
            )

    def _play(self, federation: Federation, wire: Wire) -> None:
        """All steps, each when the server begins it."""
        try:
            steps = self._steps(federation)
            for number in range(1, self._agreement.steps + 1):
                wire.wait_for_round(number)
                failed = next(steps)
                if failed is not None:
                    self._error = _known(self.name, failed)
                    return
        except FedLabError as error:
            error.__cause__ = error.__context__ = None
            self._error = error.with_traceback(None)
        except Exception as error:  # noqa: BLE001 - any error of any library may quote a row
            self._error = withheld(self.name, type(error).__name__, _STAGE)
        finally:
            wire.has_ended()


def _known(name: str, error: Exception) -> FedLabError:
    return (
        error.with_traceback(None) if isinstance(error, FedLabError) else withheld(name, type(error).__name__, _STAGE)
    )


def _over(name: str) -> RoundError:
    return RoundError(
        name,
        "waiting for a message",
        f"The run was ended while {name!r} waited for a message.",
        "Nothing more will come of it; rounds that were played are kept.",
        "Start the run anew to go on.",
    )
