"""The whole loop: a test series goes to the node, and its report comes back from the PACS."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import plugin
from dicom_node import database, delivery, query
from dicom_node.doctor import homecoming, traces
from dicom_node.doctor.check import failed, passed, skipped
from dicom_node.doctor.node import us
from dicom_node.errors import NodeError
from dicom_node.ledger import Ledger
from dicom_node.states import DeliveryState, SeriesState
from dicom_node.wording import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from dicom_node.config import Settings
    from dicom_node.doctor.check import Check
    from dicom_node.standing import SeriesStatus
    from plugin import Series, Trial

    Say = Callable[[str], None]

#: How often we look where the test series stands, seconds.
_LOOK_S: Final = 0.5
#: Deliveries that go no further by themselves.
_OVER: Final = (DeliveryState.DELIVERED, DeliveryState.KEPT, DeliveryState.FAILED)


def loop(settings: Settings, now: datetime, say: Say) -> Iterator[Check]:
    """Try the running node with a series of known truth; `say` hears how it goes on."""
    trial = plugin.trial(settings.plugin.model_dump())
    if trial is None:
        yield skipped("test series", "the plugin brings none")
        return
    with TemporaryDirectory(prefix="lesionmark-doctor-") as scratch:
        series = trial.write(Path(scratch) / "series", now)
        try:
            yield from _Walk(settings, trial, series, Path(scratch), say).checks()
        finally:
            cleared = _clear(settings, series.series_instance_uid)
        yield cleared


@dataclass(frozen=True)
class _Walk:
    """One test series on its way."""

    settings: Settings
    trial: Trial
    series: Series
    #: For what comes back.
    scratch: Path
    say: Say

    def checks(self) -> Iterator[Check]:
        """Send it, wait for the report, fetch that back, compare it, and remove it."""
        sent = self._send()
        if sent.outcome is not delivery.Outcome.ACKNOWLEDGED:
            advice = "see the log of the node: journalctl -u lesionmark"
            yield failed("test series", f"the node does not take it: {sent.reason}", advice)
            return
        count, patient = len(self.series.instances), self.trial.patient_id
        yield passed(
            "test series", f"{plural(count, 'instance')} of patient {patient} sent to the node"
        )
        status = self._wait()
        yield self._analysed(status)
        if status is not None:
            yield from homecoming.reports(
                self.settings, self.trial, status, self._study_uid, self.scratch
            )

    @property
    def _study_uid(self) -> str:
        return query.reference(self.series.instances[0]).study_uid

    def _send(self) -> delivery.Sent:
        return delivery.send(
            [(path,) for path in self.series.instances],
            us(self.settings),
            self.settings.doctor.ae_title,
            timeout_s=self.settings.delivery.timeout_s,
        )

    def _wait(self) -> SeriesStatus | None:
        """Where the series stands when nothing goes on any more, or time is over."""
        deadline = time.monotonic() + self.settings.doctor.report_within_s
        said = ""
        with database.open_client(self.settings) as client:
            ledger = Ledger(client)
            while True:
                found = ledger.of(self.series.series_instance_uid)
                status = found[-1] if found else None
                if status is not None and (line := f"{status.state}: {status.reason}") != said:
                    said = line
                    self.say(said)
                if _is_over(status) or time.monotonic() > deadline:
                    return status
                time.sleep(_LOOK_S)

    def _analysed(self, status: SeriesStatus | None) -> Check:
        within_s = self.settings.doctor.report_within_s
        if status is None:
            return failed("report", f"none within {within_s:g} s", "journalctl -u lesionmark")
        if not status.deliveries:
            seen = f"none: the series is {status.state}: {status.reason}"
            if status.state not in (SeriesState.FAILED, SeriesState.REFUSED):
                seen += f", after {within_s:g} s"
            advice = "see journalctl -u lesionmark; is a worker at work? is the node busy?"
            return failed("report", seen, advice)
        return passed("report", f"made: {status.reason}")


def _is_over(status: SeriesStatus | None) -> bool:
    if status is None:
        return False
    if not status.deliveries:
        return status.state in (SeriesState.FAILED, SeriesState.REFUSED)
    return all(
        each.state in _OVER and _is_proved(each.settled, each.state) for each in status.deliveries
    )


def _is_proved(settled: bool, state: DeliveryState) -> bool:
    return settled or state is DeliveryState.FAILED


def _clear(settings: Settings, series_uid: str) -> Check:
    name = "removal from the node"
    try:
        running = traces.remove(settings, series_uid)
    except (NodeError, OSError) as error:
        advice = f"it goes with retention; series {series_uid}"
        return failed(name, str(error), advice)
    if running:
        seen = f"{running} pieces of work on the test series were under way, and told to stop"
        return passed(name, seen)
    return passed(name, "nothing of the test series is left in spool and queue")
