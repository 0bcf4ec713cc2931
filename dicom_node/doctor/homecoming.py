"""The report on the test series at each destination: there, back again, and right."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydicom import dcmread

from dicom_node import query, retrieval
from dicom_node.doctor import removal
from dicom_node.doctor.check import failed, passed, skipped
from dicom_node.errors import NoAnswer, NodeError, RetrieveRefused
from dicom_node.receipts import Receipts
from dicom_node.states import DeliveryState
from dicom_node.wording import plural
from plugin import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dicom_node.config import Settings
    from dicom_node.config_tables import Destination
    from dicom_node.doctor.check import Check
    from dicom_node.query import Reference
    from dicom_node.standing import DeliveryStatus, SeriesStatus
    from plugin import Trial

#: Seconds that an archive may take to list what it has acknowledged, and between two looks.
_LISTED_WITHIN_S, _LOOK_S = 30.0, 1.0
_GOOD: Final = (DeliveryState.DELIVERED, DeliveryState.KEPT)


def reports(
    settings: Settings, trial: Trial, status: SeriesStatus, study_uid: str, scratch: Path
) -> Iterator[Check]:
    """Checks for each destination, in the order of the configuration."""
    by_name = {each.id.destination: each for each in status.deliveries}
    for destination in settings.destination:
        found = by_name.get(destination.name)
        if found is None:
            continue
        sent = _acknowledged(settings, found)
        if found.state in _GOOD:
            yield from _come_home(settings, trial, destination, sent, scratch / destination.name)
        else:
            yield _not_there(destination, found)
        if sent:
            yield _removed(destination, study_uid, len(sent), trial.patient_id)


def _acknowledged(settings: Settings, found: DeliveryStatus) -> list[Path]:
    """Our copies of the objects that the destination has acknowledged."""
    receipts = Receipts(Path(settings.node.state_dir) / "reports")
    return receipts.of(found.id.series_uid, found.id.digest, found.id.destination)


def _not_there(destination: Destination, found: DeliveryStatus) -> Check:
    seen = f"{found.state}: {found.reason}"
    if found.state is not DeliveryState.FAILED:
        seen = f"not there in time, {seen}"
    advice = f"see the checks of destination {destination.name} above, and its log"
    return failed(f"report at {destination.name}", seen, advice)


def _come_home(
    settings: Settings, trial: Trial, destination: Destination, sent: list[Path], folder: Path
) -> Iterator[Check]:
    """Whether the objects are found and given back, and what the report says."""
    name = f"report at {destination.name}"
    references = [query.reference(path) for path in sent]
    ours = next(path for path in sent if path.name.endswith(f"-{Kind.REPORT}.dcm"))
    try:
        lacking = _missing(settings, destination, references)
    except NoAnswer as error:
        yield passed(
            name, f"{plural(len(sent), 'object')} delivered; cannot be asked for them: {error}"
        )
        yield _judged(trial, destination, ours, "the copy that was sent")
        return
    if lacking:
        seen = f"acknowledged, but C-FIND does not find {lacking} of {plural(len(sent), 'object')}"
        advice = "see its log for what became of them, and ask it for proof (destination.proof)"
        yield failed(name, seen, advice)
        return
    theirs, how = _fetched(settings, destination, query.reference(ours), folder)
    yield passed(name, f"{plural(len(sent), 'object')} delivered and found by C-FIND; {how}")
    what = "the copy that was sent" if theirs is None else "the copy that came back"
    yield _judged(trial, destination, theirs or ours, what)


def _missing(settings: Settings, destination: Destination, references: Sequence[Reference]) -> int:
    """How many objects the archive does not list, after some time. Raises NoAnswer."""
    whom = destination.asked(settings.delivery.timeout_s)
    deadline = time.monotonic() + _LISTED_WITHIN_S
    while True:
        found = query.find_instances(whom, settings.listener.ae_title, references)
        lacking = sum(reference.sop_instance_uid not in found for reference in references)
        if not lacking or time.monotonic() > deadline:
            return lacking
        time.sleep(_LOOK_S)


def _fetched(
    settings: Settings, destination: Destination, report: Reference, folder: Path
) -> tuple[Path | None, str]:
    """The report as the archive gives it back, and in words how that went."""
    whom = destination.asked(settings.delivery.timeout_s)
    uids = (report.sop_instance_uid,)
    wanted = retrieval.Wanted(report.study_uid, report.series_uid, uids)
    try:
        got = retrieval.get(wanted, whom, settings.listener.ae_title, folder)
    except (NoAnswer, RetrieveRefused) as error:
        return None, f"not given back by C-GET: {error}"
    if not got.paths:
        return None, "not given back by C-GET: nothing came"
    return got.paths[0], "given back by C-GET"


def _judged(trial: Trial, destination: Destination, path: Path, what: str) -> Check:
    name = f"diameters at {destination.name}"
    judgement = trial.judge(dcmread(path))
    if judgement.faults:
        advice = "do not use this installation: it measures wrongly; install again and report it"
        return failed(name, f"{'; '.join(judgement.faults)} ({what})", advice)
    return passed(name, f"{judgement.seen} ({what})")


def _removed(destination: Destination, study_uid: str, count: int, patient_id: str) -> Check:
    name = f"removal from {destination.name}"
    stay = f"left there: {plural(count, 'test object')}, under Patient ID {patient_id}"
    if destination.removal is None:
        return skipped(name, f"{stay}: there is no [destination.removal]")
    try:
        removal.remove(destination.removal, study_uid)
    except NodeError as error:
        advice = f"correct [destination.removal]; {stay}, study {study_uid}"
        return failed(name, str(error), advice)
    return passed(name, f"{plural(count, 'test object')} removed")
