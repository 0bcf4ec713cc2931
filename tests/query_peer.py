"""A Query/Retrieve SCP on a real socket that says what a test tells it to."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING

from pydicom import Dataset
from pynetdicom import AE, evt

from deploy.processes import LOOPBACK, free_port
from dicom_node.sop_classes import STUDY_ROOT_FIND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pynetdicom.events import Event as Request

PENDING, SUCCESS = 0xFF00, 0x0000


class QueryPeer:
    """Up only where a test says so; answers every query alike."""

    def __init__(self) -> None:
        self.ae_title = "QUERY"
        self.port = free_port()
        #: Number of Series Related Instances as it is written; None leaves it out.
        self.says: str | None = None
        #: How often it was asked since it is up.
        self.asked = 0
        self._status = SUCCESS
        self._may_answer = Event()

    @contextmanager
    def up(
        self, *, says: str | None = None, status: int = SUCCESS, answers: bool = True
    ) -> Iterator[None]:
        """Listen; `status` ends each answer, and without `answers` there is none."""
        self.says, self._status, self.asked, self._may_answer = says, status, 0, Event()
        if answers:
            self._may_answer.set()
        entity = AE(self.ae_title)
        entity.add_supported_context(STUDY_ROOT_FIND)
        handlers = [(evt.EVT_C_FIND, self._handle_find)]
        entity.start_server((LOOPBACK, self.port), block=False, evt_handlers=handlers)
        try:
            yield
        finally:
            self._may_answer.set()
            entity.shutdown()

    def _handle_find(self, request: Request) -> Iterator[tuple[int, Dataset | None]]:
        self.asked += 1
        self._may_answer.wait(30)
        answer = Dataset()
        answer.QueryRetrieveLevel = "SERIES"
        answer.SeriesInstanceUID = request.identifier.SeriesInstanceUID
        if self.says is not None:
            # Past the check of pydicom, as a peer writes it that has none.
            answer.add_new("NumberOfSeriesRelatedInstances", "LO", self.says)
        if self._status == SUCCESS:
            yield PENDING, answer
        yield self._status, None
