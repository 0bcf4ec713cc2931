"""Retrieve SCU: fetches instances by C-GET or C-MOVE into a folder (PS3.4 C.4.2 and C.4.3)."""

from __future__ import annotations

from dataclasses import dataclass
from queue import Empty
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from pydicom.uid import (
    BasicTextSRStorage,
    ColorSoftcopyPresentationStateStorage,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    CTImageStorage,
    EnhancedCTImageStorage,
    EnhancedSRStorage,
    ExtensibleSRStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    KeyObjectSelectionDocumentStorage,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from pynetdicom import build_context, evt

from dicom_node.audit import SILENT, Party
from dicom_node.delivery import not_associated
from dicom_node.errors import NoAnswer, RetrieveRefused
from dicom_node.instance import Sizes
from dicom_node.keeping import Keeper, Wanted
from dicom_node.requestor import AnswersOnly, associate
from dicom_node.sop_classes import STUDY_ROOT_GET, STUDY_ROOT_MOVE
from dicom_node.statuses import RetrieveStatus, retrieve_status_name
from dicom_node.transfer_syntaxes import FOR_IMAGES, NATIVE
from dicom_node.transfers import of_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from pydicom import Dataset
    from pynetdicom.association import Association
    from pynetdicom.presentation import PresentationContext

    from dicom_node.audit import Trail
    from dicom_node.move_destination import MoveDestination
    from dicom_node.requestor import Peer

__all__ = ["Conditions", "Retrieved", "Wanted", "get", "move"]

#: Images of C-GET, each in all transfer syntaxes of images.
IMAGES: Final = (CTImageStorage, EnhancedCTImageStorage)
#: Everything else of C-GET. An association has room for 128 presentation contexts only
#: (PS3.8 9.3.2.2), so that not every storage class can be named.
OBJECTS: Final = (
    BasicTextSRStorage,
    EnhancedSRStorage,
    ComprehensiveSRStorage,
    Comprehensive3DSRStorage,
    ExtensibleSRStorage,
    KeyObjectSelectionDocumentStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    ColorSoftcopyPresentationStateStorage,
    RTStructureSetStorage,
    SegmentationStorage,
    SecondaryCaptureImageStorage,
)
#: How often we look whether to stop while nothing comes, seconds.
_LOOK_S = 0.25
_MESSAGE_ID = 1
_SIZES: Final = Sizes(1 << 30, 4 << 30)
#: Final statuses that are no refusal.
_ENDED: Final = (
    RetrieveStatus.SUCCESS,
    RetrieveStatus.SUB_OPERATIONS_COMPLETE_WITH_FAILURES,
    RetrieveStatus.CANCEL,
)


@dataclass(frozen=True)
class Retrieved:
    """How a retrieval ended."""

    #: The files of what came, in the order of arrival; durable.
    paths: tuple[Path, ...]
    #: How many instances the peer could not send, by its own count.
    failed: int
    #: How many it sent with a warning, by its own count.
    warnings: int
    #: SOP Instance UIDs of those that failed, where the peer names them.
    failed_uids: tuple[str, ...]
    #: Whether it ended early because we asked for that.
    was_cancelled: bool

    @property
    def is_complete(self) -> bool:
        """Whether everything came that the peer has of what was asked for."""
        return not (self.failed or self.was_cancelled)


@dataclass(frozen=True)
class Conditions:
    """What a retrieval must keep to, and who hears of it."""

    #: Seconds to wait for the peer's next word, be it an instance or an answer.
    timeout_s: float = 30.0
    #: Largest instance to take.
    sizes: Sizes = _SIZES
    #: Is asked now and then; once it says True the peer is told to stop (C-CANCEL).
    is_cancelled: Callable[[], bool] = lambda: False
    #: Hears of each file when it is durable.
    on_kept: Callable[[Path], None] = lambda _: None
    #: Hears of the instances that came (PS3.15 A.5.3.7).
    trail: Trail = SILENT


def get(
    wanted: Wanted,
    peer: Peer,
    calling_ae_title: str,
    folder: Path,
    conditions: Conditions = Conditions(),
) -> Retrieved:
    """Fetch over our own association (C-GET); files are named by SOP Instance UID.

    An instance that lies in the folder already counts as one that came. Raises NoAnswer,
    and RetrieveRefused with the name of the peer's status; what came until then stays.
    """
    keeper = Keeper(wanted, folder, conditions.sizes, conditions.on_kept)
    association = associate(
        [build_context(STUDY_ROOT_GET, NATIVE), *storage_contexts()],
        peer,
        calling_ae_title,
        conditions.timeout_s,
        handlers=[(evt.EVT_C_STORE, keeper.handle_store)],
        stores=[*IMAGES, *OBJECTS],
    )
    with _Retrieval(association, peer, keeper, conditions, STUDY_ROOT_GET) as retrieval:
        return retrieval.end(association.send_c_get(wanted.identifier, STUDY_ROOT_GET))


def move(
    wanted: Wanted,
    peer: Peer,
    calling_ae_title: str,
    folder: Path,
    destination: MoveDestination,
    conditions: Conditions = Conditions(),
) -> Retrieved:
    """Have the peer send to our own Storage SCP (C-MOVE), which it must know; else as `get`."""
    keeper = Keeper(wanted, folder, conditions.sizes, conditions.on_kept)
    contexts = [build_context(STUDY_ROOT_MOVE, NATIVE)]
    association = associate(contexts, peer, calling_ae_title, conditions.timeout_s)
    with (
        destination.filled_by(keeper),
        _Retrieval(association, peer, keeper, conditions, STUDY_ROOT_MOVE) as retrieval,
    ):
        return retrieval.end(
            association.send_c_move(wanted.identifier, destination.ae_title, STUDY_ROOT_MOVE)
        )


def storage_contexts() -> list[PresentationContext]:
    """One context for each transfer syntax, so that the peer can send each as it holds it."""
    return [
        *(build_context(image, syntax) for image in IMAGES for syntax in FOR_IMAGES),
        *(build_context(other, syntax) for other in OBJECTS for syntax in NATIVE),
    ]


class _Retrieval:
    """One request on an association, and the end of both."""

    def __init__(
        self,
        association: Association,
        peer: Peer,
        keeper: Keeper,
        conditions: Conditions,
        model: str,
    ) -> None:
        """Raises NoAnswer where there is no association, or none for this model."""
        self._association = association
        self._peer = peer
        self._keeper = keeper
        self._conditions = conditions
        self._model = model
        self._whom = f"retrieve peer {peer.host}:{peer.port}"
        if not association.is_established:
            raise NoAnswer(f"{self._whom}: {not_associated(association).reason}")
        self._patience = _Patience(association, keeper, conditions, model)

    def __enter__(self) -> _Retrieval:
        accepted = {context.abstract_syntax for context in self._association.accepted_contexts}
        if self._model not in accepted:
            self._association.release()
            service = "C-GET" if self._model == STUDY_ROOT_GET else "C-MOVE"
            raise RetrieveRefused(f"{self._whom}: does not accept {service} (Study Root)")
        self._association.dimse = self._patience
        return self

    def __exit__(self, *_: object) -> None:
        if self._association.is_established:
            self._association.release()
        for transfer in of_files(self._keeper.kept):
            self._conditions.trail.received(Party(self._peer.ae_title, self._peer.host), transfer)

    def end(self, responses: Iterable[tuple[Dataset, Dataset | None]]) -> Retrieved:
        """Hear the peer out."""
        status, identifier = _last(responses)
        if "Status" not in status:
            raise NoAnswer(f"{self._whom}: no answer: aborted, or timed out")
        code = int(status.Status)
        if code not in _ENDED:
            raise RetrieveRefused(f"{self._whom}: status {retrieve_status_name(code)}")
        return Retrieved(
            paths=self._keeper.kept,
            failed=_number(status, "NumberOfFailedSuboperations"),
            warnings=_number(status, "NumberOfWarningSuboperations"),
            failed_uids=_failed_uids(identifier),
            was_cancelled=code == RetrieveStatus.CANCEL,
        )


class _Patience(AnswersOnly):
    """Waits as long as instances come, which some peers never say, and tells them to stop."""

    def __init__(
        self, association: Association, keeper: Keeper, conditions: Conditions, model: str
    ) -> None:
        super().__init__(association)
        self._keeper = keeper
        self._conditions = conditions
        self._model = model
        self._has_cancelled = False

    def get_msg(self, block: bool = False) -> Any:
        """The next message when asked to wait for one; (None, None) when there is none."""
        if not block:
            return None, None
        began = monotonic()
        while True:
            try:
                message = self.msg_queue.get(timeout=_LOOK_S)
            except Empty:
                message = None
            self._cancel_where_wished()
            silent_s = monotonic() - max(began, self._keeper.heard_at)
            if message is not None or silent_s > self._conditions.timeout_s:
                return message or (None, None)

    def _cancel_where_wished(self) -> None:
        """Never before the peer had time to begin, which some clear their memory at."""
        is_over = not self.assoc.is_established
        if self._has_cancelled or is_over or not self._conditions.is_cancelled():
            return
        self._has_cancelled = True
        self.assoc.send_c_cancel(_MESSAGE_ID, query_model=self._model)


def _last(
    responses: Iterable[tuple[Dataset, Dataset | None]],
) -> tuple[Dataset, Dataset | None]:
    """The final response of a request that has one at least."""
    *_, last = responses
    return last


def _number(status: Dataset, keyword: str) -> int:
    return int(status.get(keyword) or 0)


def _failed_uids(identifier: Dataset | None) -> tuple[str, ...]:
    """Failed SOP Instance UID List (0008,0058), of which a peer may say nothing."""
    value = identifier.get("FailedSOPInstanceUIDList") if identifier is not None else None
    uids = [value] if isinstance(value, str) else value or []
    return tuple(str(uid) for uid in uids if uid)
