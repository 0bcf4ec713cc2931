"""What a statement is about: one configuration, and the code that would run with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pydicom.uid import UID
from pynetdicom import build_context, sop_class

import plugin
from dicom_node import listener, retrieval, service
from dicom_node.sop_classes import (
    STORAGE_COMMITMENT,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    VERIFICATION,
)
from dicom_node.transfer_syntaxes import NATIVE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pynetdicom.presentation import PresentationContext

    from dicom_node.config import Settings
    from plugin import Kind, Product

#: To a sender that asked what we hold: we request the association, and are the SCP.
REPORT: Final = "report on storage commitment"


@dataclass(frozen=True)
class Subject:
    """One configuration, and what follows from it."""

    #: The configuration.
    settings: Settings
    #: SOP Class UIDs that are analysed; others are set aside or rejected.
    analysed: frozenset[str]
    #: SOP Class UIDs of the objects of each kind that are made.
    made: Mapping[Kind, tuple[str, ...]]
    #: One object of each kind.
    specimen: tuple[Product, ...]
    #: Which release of the program.
    release: str

    @property
    def accepted(self) -> list[PresentationContext]:
        """The presentation contexts that the listener accepts."""
        proof = {destination.proof for destination in self.settings.destination}
        return listener.supported_contexts(
            self.settings.listener,
            self.analysed,
            asked=True,
            reported="storage-commitment" in proof,
        )

    @property
    def storage(self) -> set[str]:
        """The storage classes among them."""
        return listener.storage_classes(self.settings.listener, self.analysed)

    def proposed(self) -> list[tuple[str, list[PresentationContext]]]:
        """The presentation contexts that we propose, by what we want."""
        return [
            ("C-ECHO", [build_context(VERIFICATION)]),
            ("C-FIND", [build_context(STUDY_ROOT_FIND)]),
            ("C-GET", [build_context(STUDY_ROOT_GET, [*NATIVE]), *retrieval.storage_contexts()]),
            ("C-MOVE", [build_context(STUDY_ROOT_MOVE, [*NATIVE])]),
            ("storage commitment", [build_context(STORAGE_COMMITMENT)]),
            (REPORT, [build_context(STORAGE_COMMITMENT)]),
        ]


def sop_class_name(uid: str) -> str:
    """The name of a SOP Class in PS3.6, or its keyword where it is newer than our dictionary."""
    name = UID(uid).name
    if name != uid:
        return name
    return next((key for key, value in vars(sop_class).items() if value == uid), uid)


def subject(settings: Settings, release: str) -> Subject:
    """What the code makes of a configuration. Raises ConfigError."""
    keys = settings.plugin.model_dump()
    sop_classes = service.load_sop_classes(settings)
    return Subject(settings, sop_classes, plugin.produced(keys), plugin.specimen(keys), release)
