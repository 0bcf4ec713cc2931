"""What has come or gone in one association, counted as the audit trail wants it."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from pydicom import dcmread

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pynetdicom.association import Association

    from dicom_node.instance import Identity


class _Whose(NamedTuple):
    study_uid: str
    patient_id: str
    is_new: bool


@dataclass(frozen=True)
class Transfer:
    """Instances of one study of one patient, sent from one node to another."""

    #: Study Instance UID (0020,000D).
    study_uid: str
    #: Patient ID (0010,0020).
    patient_id: str
    #: Whether the receiver is known not to have held them before.
    is_new: bool
    #: Number of instances of each SOP Class UID.
    sop_classes: Mapping[str, int]


class Tally:
    """Counts what each open association brings; safe to use from all their threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._open: dict[Association, Counter[tuple[_Whose, str]]] = {}

    def add(self, association: Association, identity: Identity, *, is_new: bool) -> None:
        """One instance has been acknowledged."""
        whose = _Whose(identity.study_uid, identity.patient_id, is_new)
        with self._lock:
            self._open.setdefault(association, Counter())[whose, identity.sop_class_uid] += 1

    def end(self, association: Association) -> list[Transfer]:
        """The association is over; what it has brought."""
        with self._lock:
            counts = self._open.pop(association, Counter())
        return _transfers(counts)


def of_files(paths: Iterable[Path]) -> list[Transfer]:
    """What sending these DICOM files transfers; what the peer holds already is unknown."""
    tags = ["StudyInstanceUID", "PatientID", "SOPClassUID"]
    counts: Counter[tuple[_Whose, str]] = Counter()
    for path in paths:
        header = dcmread(path, specific_tags=tags, stop_before_pixels=True)
        whose = _Whose(
            str(header.StudyInstanceUID), str(header.get("PatientID") or ""), is_new=False
        )
        counts[whose, str(header.SOPClassUID)] += 1
    return _transfers(counts)


def _transfers(counts: Mapping[tuple[_Whose, str], int]) -> list[Transfer]:
    classes: defaultdict[_Whose, dict[str, int]] = defaultdict(dict)
    for (whose, sop_class_uid), count in counts.items():
        classes[whose][sop_class_uid] = count
    return [Transfer(*whose, sop_classes) for whose, sop_classes in classes.items()]
