"""Keeps in a folder what a peer sends because we have asked for it, and nothing else."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Final, cast

from pydicom import Dataset

from dicom_node.durable import DurableFolders, add_durably
from dicom_node.encoded import file_header
from dicom_node.errors import UnreadableInstance, UnwantedInstance
from dicom_node.instance import REFUSED, Sizes, check_request, identify
from dicom_node.statuses import StoreStatus

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pynetdicom.dimse_primitives import C_STORE
    from pynetdicom.events import Event

    from dicom_node.instance import Identity

log = logging.getLogger(__name__)

_REFUSED: Final = {
    **REFUSED,
    UnreadableInstance: StoreStatus.CANNOT_UNDERSTAND,
    UnwantedInstance: StoreStatus.NOT_AUTHORIZED,
}


@dataclass(frozen=True)
class Wanted:
    """What to retrieve: a study, one series of it, or some instances of that series."""

    #: Study Instance UID (0020,000D).
    study_uid: str
    #: Series Instance UID (0020,000E); empty for the whole study.
    series_uid: str = ""
    #: SOP Instance UIDs (0008,0018); empty for the whole series.
    sop_instance_uids: tuple[str, ...] = ()

    @property
    def identifier(self) -> Dataset:
        """The Identifier with its unique keys (PS3.4 C.4.2.1.4); a key may be a list of UIDs."""
        identifier = Dataset()
        identifier.StudyInstanceUID = self.study_uid
        identifier.QueryRetrieveLevel = "STUDY"
        if self.series_uid:
            identifier.QueryRetrieveLevel = "SERIES"
            identifier.SeriesInstanceUID = self.series_uid
        if self.sop_instance_uids:
            identifier.QueryRetrieveLevel = "IMAGE"
            identifier.SOPInstanceUID = list(self.sop_instance_uids)
        return identifier

    def has(self, identity: Identity) -> bool:
        """Whether an instance is one of those."""
        return (
            identity.study_uid == self.study_uid
            and self.series_uid in ("", identity.series_uid)
            and (not self.sop_instance_uids or identity.sop_instance_uid in self.sop_instance_uids)
        )


class Keeper:
    """Answers the C-STORE requests of one retrieval; safe to use from several threads."""

    def __init__(
        self,
        wanted: Wanted,
        folder: Path,
        sizes: Sizes,
        on_kept: Callable[[Path], None] = lambda _: None,
    ) -> None:
        """`on_kept` hears of each file when it is on the disk, from the thread of its sender."""
        self._wanted = wanted
        self._folder = folder
        self._sizes = sizes
        self._on_kept = on_kept
        self._lock = Lock()
        self._kept: dict[str, Path] = {}
        #: When the last instance came, by the monotonic clock.
        self.heard_at = monotonic()
        DurableFolders().make(folder)

    @property
    def kept(self) -> tuple[Path, ...]:
        """The files of this retrieval in the order of their arrival."""
        with self._lock:
            return tuple(self._kept.values())

    def handle_store(self, event: Event) -> int:
        """Keep one instance as it is encoded (PS3.4 B.2.3); after Success it is durable."""
        self.heard_at = monotonic()
        try:
            path = self._keep(event)
        except tuple(_REFUSED) as error:
            log.warning("LM310 retrieved instance refused: %s", error)
            return _REFUSED[type(error)]
        except OSError as error:
            log.error("LM311 retrieved instance refused, out of resources: %s", error)  # noqa: TRY400
            return StoreStatus.OUT_OF_RESOURCES
        self._on_kept(path)
        return StoreStatus.SUCCESS

    def _keep(self, event: Event) -> Path:
        syntax = event.context.transfer_syntax
        data_set = event.encoded_dataset(include_meta=False)
        identity = identify([data_set], syntax, self._sizes)
        check_request(cast("C_STORE", event.request), identity)
        if not self._wanted.has(identity):
            raise UnwantedInstance(f"{identity.sop_instance_uid} was not asked for")
        path = self._folder / f"{identity.sop_instance_uid}.dcm"
        sop = (identity.sop_class_uid, identity.sop_instance_uid)
        add_durably(path, file_header(*sop, syntax), data_set)
        with self._lock:
            self._kept[identity.sop_instance_uid] = path
        return path
