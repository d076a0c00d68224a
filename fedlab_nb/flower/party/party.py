"""What a party's process is made of: its settings, the agreement, its rows, and the end of the line."""

from __future__ import annotations

import json
from pathlib import Path

from fedlab_nb.errors import FedLabError, SettingError
from fedlab_nb.flower.agreement import Agreement
from fedlab_nb.flower.codec import same_code
from fedlab_nb.flower.columns.site import ColumnsSite
from fedlab_nb.flower.columns.steps import part_keeper, training
from fedlab_nb.flower.driving.words import NOTEBOOK
from fedlab_nb.flower.orders.agreed import Agreed
from fedlab_nb.flower.orders.hooks import PartysReading
from fedlab_nb.flower.orders.owner import Computed, OwnersSide
from fedlab_nb.flower.orders.site import Site
from fedlab_nb.flower.orders.trust import Trust
from fedlab_nb.flower.party.place import ORDERS, flower_version
from fedlab_nb.flower.party.settings import KEY_HOLDER, SiteSettings
from fedlab_nb.flower.predicting.site import of_prediction
from fedlab_nb.flower.survey.agreed import answering
from fedlab_nb.flower.survey.questions import Questions
from fedlab_nb.vertical import JointPrediction


class Party:
    """One party of a run, ready to answer; what it could not load it tells whoever says hello.

    ``settings`` is the file of the site, ``app`` the folder with the agreement.
    """

    def __init__(self, settings: Path, app: Path) -> None:
        self.idle_minutes, self._facts = 1.0, dict[str, object]()
        self._site: Site | ColumnsSite | None = None
        self._trust: Trust | None = None
        try:
            self._load(SiteSettings.read(settings), Agreement.read(app))
        except FedLabError as error:
            self._facts["refused"] = [error.what, error.why, error.do]
        except Exception as error:  # noqa: BLE001 - any error of any library may quote a row
            refusal = _could_not(type(error).__name__)
            self._facts["refused"] = [refusal.what, refusal.why, refusal.do]

    def _load(self, settings: SiteSettings, agreement: Agreement) -> None:
        settings.check_agreement(agreement)
        self._facts |= {"name": settings.name, "role": settings.role, "agreement": agreement.digest}
        if settings.role == NOTEBOOK:  # it has no rows and no keys, and does nothing that is ordered
            return
        identity, makers = settings.lasting_identity(), agreement.key_makers
        facts_of_run = {"occasion": agreement.digest, "parties": agreement.parties, "makers": makers}
        trust = Trust(settings.name, identity, **facts_of_run, known=settings.known)  # type: ignore[arg-type]
        self._trust = trust if agreement.seals else None
        self._facts |= {"identity": identity.public.hex(), "known": sorted(settings.known)}
        self.idle_minutes = settings.idle_minutes
        if agreement.vertical:
            self._site = _of_columns(settings, agreement, trust)
            return
        side = None
        if settings.role != KEY_HOLDER:
            facts = agreement.names, agreement.house, settings.open_vault(), agreement.allowed
            side = OwnersSide(settings.owner(), *facts)
        agreed = Agreed(settings.name, agreement.house, agreement.names)
        self._site = Site(agreed, trust, side.verbs if side else {}, (Computed,))
        self._reading = PartysReading(side, agreement.allowed)

    def reply(self, data: bytes) -> bytes:
        """The reply to what came."""
        if data[:1] == ORDERS and isinstance(self._site, ColumnsSite):
            return self._site.answer(data[1:])
        if data[:1] == ORDERS and isinstance(self._site, Site):
            return self._site.answer(data[1:], self._reading)
        return json.dumps({**self._facts, "code": same_code(), "flower": flower_version()}).encode()

    def take_words(self) -> list[str]:
        """What the log at this site is to say after a reply: whose keys were taken on the server's word. Once each."""
        return [] if self._trust is None else self._trust.take_words()


def _of_columns(settings: SiteSettings, agreement: Agreement, trust: Trust) -> ColumnsSite:
    """A party of owners with different columns, who keeps its part of the model in the file that its settings name."""
    if isinstance(agreement.strategy, JointPrediction):
        return of_prediction(settings, agreement, trust)
    if isinstance(agreement.strategy, Questions):
        steps = answering(agreement.strategy.agreed)
        if settings.role == KEY_HOLDER:
            return ColumnsSite(settings.name, agreement, trust, steps=steps)
        return ColumnsSite(settings.name, agreement, trust, settings.owner(), settings.open_vault(), steps)
    if settings.role == KEY_HOLDER:
        return ColumnsSite(settings.name, agreement, trust)
    kept = part_keeper(agreement.strategy, settings.name, settings.folder / settings.part)
    return ColumnsSite(
        settings.name, agreement, trust, settings.owner(), settings.open_vault(), training(agreement, kept)
    )


def _could_not(kind: str) -> SettingError:
    return SettingError(
        f"This party's rows could not be loaded ({kind}); the message is withheld, because it may quote them.",
        "Without its rows an owner cannot take part.",
        "Load the same file with fl.DataOwner at this site, where the error is shown in full.",
    )
