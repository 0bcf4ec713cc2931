"""Query SCU: asks a peer what it knows of a series (PS3.4 C.4.1)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pydicom import Dataset
from pynetdicom import build_context

from dicom_node.requestor import associate
from dicom_node.sop_classes import STUDY_ROOT_FIND

if TYPE_CHECKING:
    from dicom_node.config import QueryPeer

log = logging.getLogger(__name__)

_PENDING = (0xFF00, 0xFF01)


def count_instances(
    peer: QueryPeer, calling_ae_title: str, study_uid: str, series_uid: str
) -> int | None:
    """How many instances of a series the peer holds; None when it does not say.

    Uses Number of Series Related Instances (0020,1209), an optional key (PS3.4 C.3.4).
    """
    query = Dataset()
    query.QueryRetrieveLevel = "SERIES"
    query.StudyInstanceUID = study_uid
    query.SeriesInstanceUID = series_uid
    query.NumberOfSeriesRelatedInstances = None
    answers = _find(peer, calling_ae_title, query)
    counts = [answer.get("NumberOfSeriesRelatedInstances") for answer in answers]
    return next((int(count) for count in counts if count is not None), None)


def _find(peer: QueryPeer, calling_ae_title: str, query: Dataset) -> list[Dataset]:
    contexts = [build_context(STUDY_ROOT_FIND)]
    association = associate(contexts, peer, calling_ae_title, peer.timeout_s)
    if not association.is_established:
        log.warning("LM301 query peer %s:%d: no association", peer.host, peer.port)
        return []
    try:
        responses = list(association.send_c_find(query, STUDY_ROOT_FIND))
    finally:
        association.release()
    return [answer for status, answer in responses if answer and status.Status in _PENDING]
