"""Query SCU: asks a peer what it knows of series and instances (PS3.4 C.4.1)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom import Dataset, dcmread
from pynetdicom import build_context

from dicom_node.delivery import not_associated
from dicom_node.errors import NoAnswer, TooManyMatches
from dicom_node.requestor import associate
from dicom_node.sop_classes import STUDY_ROOT_FIND
from dicom_node.statuses import FIND_CUT_OFF, SUCCESS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from dicom_node.config_tables import QueryPeer

log = logging.getLogger(__name__)

_PENDING = (0xFF00, 0xFF01)


@dataclass(frozen=True)
class Reference:
    """The UIDs by which an instance is found."""

    #: Study Instance UID (0020,000D).
    study_uid: str
    #: Series Instance UID (0020,000E).
    series_uid: str
    #: SOP Class UID (0008,0016).
    sop_class_uid: str
    #: SOP Instance UID (0008,0018).
    sop_instance_uid: str


def reference(path: Path) -> Reference:
    """Read the UIDs of a DICOM file."""
    tags = ["StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID"]
    header = dcmread(path, specific_tags=tags, stop_before_pixels=True)
    return Reference(*(str(header[tag].value) for tag in tags))


def count_instances(
    peer: QueryPeer,
    calling_ae_title: str,
    study_uid: str,
    series_uid: str,
    on_query: Callable[[Dataset], None] = lambda _: None,
) -> int | None:
    """How many instances of a series the peer holds; None when it does not say.

    Uses Number of Series Related Instances (0020,1209), an optional key (PS3.4 C.3.4); of a
    peer that leaves it empty the instances are counted.
    """
    try:
        series = _at_series_level(study_uid, series_uid)
        found = list(find(peer, calling_ae_title, [series], on_query))
        count = next((_counted(answer) for answer in found if _is_of(answer, series_uid)), None)
        if count is not None or not found:
            return count
        every = _at_image_level(Reference(study_uid, series_uid, "", ""))
        instances = find(peer, calling_ae_title, [every], on_query)
        return len({str(one.get("SOPInstanceUID")) for one in instances})
    except NoAnswer as error:
        log.warning("LM301 %s", error)
        return None


def find_instances(
    peer: QueryPeer,
    calling_ae_title: str,
    references: Iterable[Reference],
    on_query: Callable[[Dataset], None] = lambda _: None,
) -> set[str]:
    """SOP Instance UIDs that the peer knows of those instances.

    Asks for one after the other: not every peer matches lists of UIDs. Raises NoAnswer.
    """
    queries = [_at_image_level(r) for r in references]
    answers = find(peer, calling_ae_title, queries, on_query)
    return {str(answer.get("SOPInstanceUID")) for answer in answers}


def _at_series_level(study_uid: str, series_uid: str) -> Dataset:
    query = Dataset()
    query.QueryRetrieveLevel = "SERIES"
    query.StudyInstanceUID = study_uid
    query.SeriesInstanceUID = series_uid
    query.NumberOfSeriesRelatedInstances = None
    return query


def _is_of(answer: Dataset, series_uid: str) -> bool:
    return bool(answer.get("SeriesInstanceUID", series_uid) == series_uid)


def _counted(answer: Dataset) -> int | None:
    """The count in an answer; what is no number counts nothing."""
    try:
        return int(answer.NumberOfSeriesRelatedInstances)
    except (AttributeError, TypeError, ValueError):
        return None


def _at_image_level(wanted: Reference) -> Dataset:
    query = Dataset()
    query.QueryRetrieveLevel = "IMAGE"
    query.StudyInstanceUID = wanted.study_uid
    query.SeriesInstanceUID = wanted.series_uid
    query.SOPInstanceUID = wanted.sop_instance_uid
    return query


def find(
    peer: QueryPeer,
    calling_ae_title: str,
    queries: Iterable[Dataset],
    on_query: Callable[[Dataset], None] = lambda _: None,
) -> Iterator[Dataset]:
    """All matches of some queries over one association.

    Raises NoAnswer, and TooManyMatches where the peer says that there are too many.
    """
    contexts = [build_context(STUDY_ROOT_FIND)]
    association = associate(contexts, peer, calling_ae_title, peer.timeout_s)
    whom = f"query peer {peer.host}:{peer.port}"
    if not association.is_established:
        raise NoAnswer(f"{whom}: {not_associated(association).reason}")
    try:
        for query in queries:
            on_query(query)
            yield from _matches(association.send_c_find(query, STUDY_ROOT_FIND), whom)
    except RuntimeError as error:  # the association has ended
        raise NoAnswer(f"{whom}: {error}") from error
    finally:
        if association.is_established:
            association.release()


def _matches(responses: Iterable[tuple[Dataset, Dataset | None]], whom: str) -> Iterator[Dataset]:
    for status, answer in responses:
        if answer is not None and status.Status in _PENDING:
            yield answer
        elif status.get("Status") in FIND_CUT_OFF:
            raise TooManyMatches(f"{whom}: C-FIND ends with {_named(status)}")
        elif status.get("Status") != SUCCESS:
            raise NoAnswer(f"{whom}: C-FIND ends with {_named(status)}")


def _named(status: Dataset) -> str:
    return f"status 0x{status.Status:04X}" if "Status" in status else "no answer"
