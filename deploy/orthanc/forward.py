"""Sends each CT series to lesionmark once it is stable, and sees to it that it is kept there.

For Orthanc's Python plugin. Asks lesionmark to commit to what was sent (DICOM storage
commitment), looks at the outcome, and sends again what was not committed to. Where a series
stands is kept at the series: metadata 1024 is the number of its instances that lesionmark has
committed to. So a series is sent once for each state of it, also over restarts.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

import orthanc

#: Its name in DicomModalities.
MODALITY = "lesionmark"
#: The metadata.
KEPT = "1024"
#: Seconds between two looks.
LOOK_S = 1.0
#: At start, what was stable among so many last changes is sent.
CHANGES = 10_000

_settings = json.loads(orthanc.GetConfiguration()).get("Lesionmark", {})
#: Seconds until the second try; doubled from try to try.
FIRST_RETRY_S = _settings.get("RetryAfterSeconds", 60)
#: Seconds between two tries at the most.
LONGEST_RETRY_S = _settings.get("RetryAtMostSeconds", 3600)


@dataclass
class Sending:
    """A series that was sent, and is not committed to yet."""

    #: Instances of the series when it was sent.
    count: int
    #: How often it was sent.
    tries: int = 0
    #: When it may be sent again, by the monotonic clock.
    due: float = 0.0
    #: The job that sends it; empty when Orthanc did not take it.
    job: str = ""


class Forwarder(Thread):
    """One thread does all the work; Orthanc's callbacks only tell it what has come."""

    def __init__(self) -> None:
        super().__init__(name="lesionmark", daemon=True)
        #: Stable series; None ends the thread.
        self.stable: SimpleQueue[str | None] = SimpleQueue()
        self._open: dict[str, Sending] = {}

    def run(self) -> None:
        """Work until told to stop."""
        for before in _stable_before():
            self._consider(before)
        while (series := self._next()) is not None:
            if series:
                self._consider(series)
            else:
                self._look()

    def _next(self) -> str | None:
        """The next stable series; empty when it is time to look."""
        try:
            return self.stable.get(timeout=LOOK_S)
        except Empty:
            return ""

    def _consider(self, series: str) -> None:
        """Send a series unless it is none of ours to send, or is held there as it is."""
        found = _ask(f"/series/{series}")
        if not found or found["MainDicomTags"].get("Modality") != "CT":
            return
        metadata = _ask(f"/series/{series}/metadata?expand")
        if metadata.get("RemoteAET") == _ask(f"/modalities/{MODALITY}/configuration")["AET"]:
            return  # what it made must not go in circles
        count = len(found["Instances"])
        is_open = series in self._open and self._open[series].count == count
        if not is_open and metadata.get(KEPT) != str(count):
            self._open[series] = Sending(count)
            self._send(series)

    def _send(self, series: str) -> None:
        sending = self._open[series]
        wait_s = min(FIRST_RETRY_S * 2**sending.tries, LONGEST_RETRY_S)
        sending.tries, sending.due = sending.tries + 1, time.monotonic() + wait_s
        job = {"Resources": [series], "Asynchronous": True, "StorageCommitment": True}
        try:
            begun = orthanc.RestApiPost(f"/modalities/{MODALITY}/store", json.dumps(job))
        except orthanc.OrthancException as error:
            orthanc.LogError(f"lesionmark cannot be sent series {series}: {error}")
            sending.job = ""
        else:
            sending.job = json.loads(begun)["ID"]

    def _look(self) -> None:
        for series, sending in list(self._open.items()):
            is_kept, reason = _outcome(sending)
            if is_kept:
                orthanc.RestApiPut(f"/series/{series}/metadata/{KEPT}", str(sending.count))
                orthanc.LogWarning(f"lesionmark keeps series {series}")
                del self._open[series]
            elif reason and time.monotonic() >= sending.due:
                self._again(series, reason)

    def _again(self, series: str, reason: str) -> None:
        if not _ask(f"/series/{series}"):
            del self._open[series]  # deleted here
            return
        orthanc.LogError(f"lesionmark does not keep series {series}: {reason}; sent again")
        self._send(series)


def _outcome(sending: Sending) -> tuple[bool, str]:
    """Whether the series is kept there; else why not, empty while it is on its way."""
    job = _ask(f"/jobs/{sending.job}") if sending.job else None
    if not job:
        return False, "the job is gone"
    if job["State"] != "Success":
        return False, job["ErrorDescription"] if job["State"] == "Failure" else ""
    report = _ask(f"/storage-commitment/{job['Content']['StorageCommitmentTransactionUID']}")
    if not report:
        return False, "the request is forgotten"
    if report["Status"] == "Failure":
        return False, f"not committed to {len(report['Failures'])} instances"
    return report["Status"] == "Success", "no report yet"


def _stable_before() -> list[str]:
    """Series that became stable lately, once each: the last time may have been cut short."""
    since = max(0, _ask("/changes?last")["Last"] - CHANGES)
    found, done = dict[str, None](), False
    while not done:
        page = _ask(f"/changes?limit=1000&since={since}")
        changes = page["Changes"]
        found |= {c["ID"]: None for c in changes if c["ChangeType"] == "StableSeries"}
        since, done = page["Last"], page["Done"]
    return list(found)


def _ask(path: str) -> Any:
    """An answer of Orthanc's REST API; None when there is no such thing."""
    try:
        return json.loads(orthanc.RestApiGet(path))
    except orthanc.OrthancException:
        return None


def _on_change(change: int, _: int, resource: str) -> None:
    if change == orthanc.ChangeType.ORTHANC_STARTED:
        _forwarder.start()
    elif change == orthanc.ChangeType.ORTHANC_STOPPED:
        _forwarder.stable.put(None)
        _forwarder.join()
    elif change == orthanc.ChangeType.STABLE_SERIES:
        _forwarder.stable.put(resource)


_forwarder = Forwarder()
orthanc.RegisterOnChangeCallback(_on_change)
