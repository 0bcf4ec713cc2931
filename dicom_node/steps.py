"""What each durable step does; plain code that knows nothing of the queue.

Every step may be repeated after a crash, so each gives the same when done twice.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypedDict

from dicom_node import delivery
from dicom_node.spool import Shelf
from dicom_node.states import DeliveryState, SeriesState
from plugin import Kind, Series, UnsuitableSeries

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from dicom_node.completion import Completion
    from dicom_node.config import Destination, Settings
    from dicom_node.delivery import Alternatives, Sent
    from dicom_node.revisions import Revision, Revisions
    from dicom_node.spool import Spool
    from plugin import Plugin

log = logging.getLogger(__name__)


class Outcome(TypedDict):
    """How a piece of work ended, as it is kept in the work queue."""

    #: A SeriesState or DeliveryState.
    state: str
    #: For a person, without patient data.
    reason: str
    #: When, seconds since the epoch.
    at: float


class Steps:
    """The steps of the walk, with the parts they work on."""

    def __init__(
        self,
        settings: Settings,
        spool: Spool,
        revisions: Revisions,
        completion: Completion,
        plugin: Plugin,
        clock: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._spool = spool
        self._revisions = revisions
        self._completion = completion
        self._plugin = plugin
        self._clock = clock
        self._destinations: Mapping[str, Destination] = {d.name: d for d in settings.destination}

    @property
    def destinations(self) -> list[str]:
        """Names of all destinations, in the order of the configuration."""
        return list(self._destinations)

    @property
    def keep_s(self) -> float:
        """Seconds that received instances stay after the last confirmation."""
        return self._settings.retention.keep_h * 3600

    def judge(self, series_uid: str) -> float | None:
        """None when the series is whole; else seconds after which to look again."""
        verdict = self._completion.judge(series_uid, self._now())
        word = "whole" if verdict.whole else "not whole yet"
        log.info("LM201 series %s is %s: %s", series_uid, word, verdict.reason)
        return None if verdict.whole else verdict.look_again_s

    def freeze(self, series_uid: str) -> str | None:
        """Fix the set of instances to analyse; its digest, or None when nothing is held."""
        held = {h.sop_instance_uid for h in self._spool.held(series_uid)}
        if not held:
            return None
        known = [r for r in self._revisions.of(series_uid) if held <= set(r.instances)]
        revision = known[-1] if known else self._revisions.freeze(series_uid, held)
        return revision.digest

    def analyse(self, series_uid: str, digest: str) -> Outcome:
        """Let the plugin look at one revision and keep what it gives on disk.

        Never raises: what the plugin refuses is a refusal, anything else a failure that a
        person can see and resume.
        """
        revision = self._revisions.get(series_uid, digest)
        try:
            return self._analyse(revision)
        except UnsuitableSeries as error:
            log.warning("LM402 series %s refused: %s", series_uid, error)
            return self._outcome(SeriesState.REFUSED, str(error))
        except Exception as error:
            log.exception("LM403 series %s: the analysis failed", series_uid)
            return self._outcome(SeriesState.FAILED, f"{type(error).__name__}: {error}")

    def send(
        self, series_uid: str, digest: str, destination: str, attempt: int, since: float
    ) -> Outcome:
        """Send the objects of one revision to one destination, once."""
        sent = self._send(series_uid, digest, destination)
        log.info("LM501 series %s to %s: %s", series_uid, destination, sent.reason)
        if sent.outcome is delivery.Outcome.KEPT:
            return self._outcome(DeliveryState.DELIVERED, sent.reason)
        limit_s = self._settings.delivery.give_up_after_h * 3600
        if sent.outcome is delivery.Outcome.REFUSED or self._now() - since > limit_s:
            log.error("LM502 series %s to %s: given up", series_uid, destination)
            return self._outcome(DeliveryState.FAILED, sent.reason)
        return self._outcome(DeliveryState.RETRYING, f"try {attempt + 1}: {sent.reason}")

    def backoff_s(self, attempt: int) -> float:
        """Seconds between try `attempt` (from 0) and the next."""
        settings = self._settings.delivery
        return float(
            min(settings.first_retry_s * 2.0 ** min(attempt, 30), settings.longest_retry_s)
        )

    def forget(self, series_uid: str, shelf: Shelf) -> None:
        """Delete received instances of a series that need not be kept any longer.

        Of those for analysis the ones that belong to a revision, which is settled; of those
        set aside the ones that have lain long enough. What was reported stays.
        """
        self._spool.remove(series_uid, self._outlived(series_uid, shelf), shelf)
        log.info("LM601 series %s: instances on shelf %s deleted", series_uid, shelf)

    def _outlived(self, series_uid: str, shelf: Shelf) -> set[str]:
        if shelf is Shelf.SERIES:
            return {uid for r in self._revisions.of(series_uid) for uid in r.instances}
        limit = self._now() - self.keep_s
        held = self._spool.held(series_uid, shelf)
        return {h.sop_instance_uid for h in held if h.stored_at <= limit}

    def _analyse(self, revision: Revision) -> Outcome:
        series = self._series(revision)
        if not self._plugin.accepts(series):
            return self._outcome(SeriesState.REFUSED, "not for this plugin")
        earlier = self._revisions.earlier(revision)
        analysis = self._plugin.analyse(series, earlier, self._clock())
        self._revisions.save(revision, analysis)
        for remark in analysis.remarks:
            log.info("LM404 series %s: %s", revision.series_uid, remark)
        reason = f"{len(analysis.bookmarks)} lesions, {len(analysis.remarks)} remarks"
        log.info("LM401 series %s revision %d: %s", revision.series_uid, revision.number, reason)
        return self._outcome(SeriesState.DELIVERING, reason)

    def _series(self, revision: Revision) -> Series:
        held = {h.sop_instance_uid: h.path for h in self._spool.held(revision.series_uid)}
        gone = [uid for uid in revision.instances if uid not in held]
        if gone:
            raise UnsuitableSeries(
                f"{len(gone)} of {len(revision.instances)} instances are no longer kept "
                "(retention); send the whole series again"
            )
        return Series(revision.series_uid, tuple(held[uid] for uid in revision.instances))

    def _send(self, series_uid: str, digest: str, destination: str) -> Sent:
        peer = self._destinations.get(destination)
        if peer is None:
            reason = f"config.toml names no destination {destination!r}"
            return delivery.Sent(delivery.Outcome.REFUSED, reason)
        return delivery.send(
            self._wanted(series_uid, digest, peer),
            peer,
            self._settings.listener.ae_title,
            timeout_s=self._settings.delivery.timeout_s,
        )

    def _wanted(self, series_uid: str, digest: str, peer: Destination) -> list[Alternatives]:
        """What a destination gets: the report in one of its forms, other kinds whole."""
        wanted: list[Alternatives] = []
        for kind in peer.objects:
            paths = self._revisions.objects(series_uid, digest, kind)
            wanted += [tuple(paths)] if kind is Kind.REPORT else [(path,) for path in paths]
        return wanted

    def _outcome(self, state: SeriesState | DeliveryState, reason: str) -> Outcome:
        return Outcome(state=state.value, reason=reason, at=self._now())

    def _now(self) -> float:
        return self._clock().timestamp()
