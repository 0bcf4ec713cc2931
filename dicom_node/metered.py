"""The steps of the walk, counted and timed."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from dicom_node import meters
from dicom_node.proof import Proofs
from dicom_node.states import DeliveryState
from dicom_node.steps import Steps

if TYPE_CHECKING:
    from dicom_node.steps import Look
    from dicom_node.work import DeliveryId, Outcome


class MeteredSteps(Steps):
    """As they are, and counted."""

    def look(self, series_uid: str) -> Look:
        """Judge whether a series is whole."""
        with meters.step("look"):
            return super().look(series_uid)

    def analyse(self, series_uid: str, digest: str) -> Outcome:
        """Let the plugin look at one revision."""
        with meters.step("analyse"):
            outcome = super().analyse(series_uid, digest)
        meters.ANALYSES.labels(outcome["state"]).inc()
        return outcome

    def send(self, series_uid: str, digest: str, destination: str, since: float) -> Outcome:
        """Send the objects of one revision to one destination, once."""
        with meters.step("send"):
            outcome = super().send(series_uid, digest, destination, since)
        meters.DELIVERIES.labels(destination, outcome["state"]).inc()
        if outcome["state"] == DeliveryState.DELIVERED:
            self._note_turnaround(series_uid, destination, outcome["at"])
        return outcome

    def _note_turnaround(self, series_uid: str, destination: str, at: float) -> None:
        with suppress(OSError):  # what was delivered stays so, whatever the spool's disk does
            came_at = self.newest(series_uid)
            if came_at:
                turnaround_s = max(0.0, at - came_at)
                meters.TURNAROUND_SECONDS.labels(destination).observe(turnaround_s)


class MeteredProofs(Proofs):
    """As they are, and counted."""

    def prove(self, this: DeliveryId, since: float, resends: int) -> Outcome:
        """Look once for proof that a destination keeps what it has acknowledged."""
        with meters.step("prove"):
            outcome = super().prove(this, since, resends)
        meters.PROOFS.labels(this.destination, outcome["state"]).inc()
        return outcome
