"""A Storage SCP on a real socket that answers what a test tells it to."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from pynetdicom import AE, AllStoragePresentationContexts, evt

from deploy.processes import LOOPBACK, free_port
from dicom_node.sop_classes import VERIFICATION
from dicom_node.statuses import SUCCESS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydicom import Dataset
    from pynetdicom.events import Event

#: Everything that can be stored.
STORAGE = [str(context.abstract_syntax) for context in AllStoragePresentationContexts]
#: Instead of a status: abort the association in place of an answer.
ABORT = -1


class ScriptedPacs:
    """Keeps what it acknowledges; answers come from a list first, then Success."""

    def __init__(self, answers: Iterable[int] = (), sop_classes: Iterable[str] = STORAGE) -> None:
        self.ae_title = "SCRIPTED"
        self.port = free_port()
        self.answers = list(answers)
        #: Every C-STORE request, kept or not.
        self.requests: list[Dataset] = []
        #: What it acknowledged.
        self.kept: list[Dataset] = []
        self.sop_classes = list(sop_classes)
        self._lock = Lock()
        self._entity: AE | None = None

    def start(self) -> None:
        entity = AE(self.ae_title)
        entity.add_supported_context(VERIFICATION)
        for sop_class in self.sop_classes:
            entity.add_supported_context(sop_class)
        handlers = [(evt.EVT_C_STORE, self._handle_store)]
        self._server = entity.start_server(
            (LOOPBACK, self.port), block=False, evt_handlers=handlers
        )
        self._entity = entity

    def stop(self) -> None:
        if self._entity is not None:
            self._entity.shutdown()
            self._entity = None

    def reports(self, study_uid: str) -> set[str]:
        """SOP Instance UIDs of what it acknowledged of a study."""
        with self._lock:
            return {
                str(kept.SOPInstanceUID) for kept in self.kept if kept.StudyInstanceUID == study_uid
            }

    def _handle_store(self, event: Event) -> int:
        with self._lock:
            answer = self.answers.pop(0) if self.answers else SUCCESS
            self.requests.append(event.dataset)
            if answer == ABORT:
                event.assoc.abort()
            elif answer == SUCCESS:
                self.kept.append(event.dataset)
        return answer if answer >= 0 else SUCCESS
