"""What each durable step does; plain code that knows nothing of the queue.

Every step may be repeated after a crash, so each gives the same when done twice.
"""

from __future__ import annotations

import errno
import logging
from typing import TYPE_CHECKING, TypedDict

from dicom_node import delivery
from dicom_node.audit import SILENT, Party
from dicom_node.errors import describe
from dicom_node.patience import next_try_s
from dicom_node.spool import Shelf
from dicom_node.states import DeliveryState, SeriesState
from dicom_node.wording import plural
from dicom_node.work import Outcome
from plugin import Kind, Series, UnsuitableSeries

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from dicom_node.audit import Trail
    from dicom_node.completion import Completion
    from dicom_node.config import Settings
    from dicom_node.config_tables import Destination
    from dicom_node.delivery import Alternatives, Sent
    from dicom_node.live import Live
    from dicom_node.receipts import Receipts
    from dicom_node.revisions import Revision, Revisions
    from dicom_node.spool import Spool
    from plugin import Plugin

log = logging.getLogger(__name__)

#: Troubles of a disk that end without anybody looking at the series.
_PASSING = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE}
)

#: Seconds after which a revision looks again whether the one before it is done, at first.
_TURN_S = 2.0
#: So often these seconds double, to about a minute: each look is a row in the queue.
_DOUBLINGS = 5


class Look(TypedDict):
    """What one look at a series that arrives came to."""

    #: Names the revision to analyse; None when there is none.
    digest: str | None
    #: Seconds after which to look again; None when there is nothing to wait for.
    again_s: float | None


class Steps:
    """The steps of the walk, with the parts they work on."""

    def __init__(
        self,
        live: Live[Settings],
        spool: Spool,
        revisions: Revisions,
        receipts: Receipts,
        completion: Completion,
        plugin: Plugin,
        clock: Callable[[], datetime],
        trail: Trail = SILENT,
    ) -> None:
        self._live = live
        self._trail = trail
        self._spool = spool
        self._revisions = revisions
        self._receipts = receipts
        self._completion = completion
        self._plugin = plugin
        self._clock = clock

    @property
    def _settings(self) -> Settings:
        return self._live.now

    @property
    def destinations(self) -> list[str]:
        """Names of all destinations, in the order of the configuration."""
        return [peer.name for peer in self._settings.destination]

    @property
    def keep_s(self) -> float:
        """Seconds that received instances stay after the last confirmation."""
        return self._settings.retention.keep_s

    @property
    def outlived_before(self) -> float:
        """What ended before then has outlived the retention time, seconds since the epoch."""
        return self._now() - self.keep_s

    def look(self, series_uid: str) -> Look:
        """Judge whether a series is whole, and then fix the set of instances to analyse.

        Never raises: what goes wrong here (a full disk, a header that cannot be read) may
        pass, and a series that nobody looks at again would be lost.
        """
        try:
            return self._look(series_uid)
        except Exception:
            log.exception("LM202 series %s: the look failed, another one follows", series_uid)
            return Look(digest=None, again_s=self._settings.completion.quiet_period_s)

    def analyse(self, series_uid: str, digest: str) -> Outcome:
        """Let the plugin look at one revision and keep what it gives on disk.

        Never raises: what the plugin refuses is a refusal, what the disk refuses is tried
        again, anything else is a failure that a person can see and resume.
        """
        try:
            revision = self._revisions.get(series_uid, digest)
            return self._analyse(revision) | {"whole_at": self._revisions.made_at(revision)}
        except UnsuitableSeries as error:
            log.warning("LM402 series %s refused: %s", series_uid, error)
            return self._outcome(SeriesState.REFUSED, str(error))
        except Exception as error:
            log.exception("LM403 series %s: the analysis failed", series_uid)
            again_s = self._again_s(series_uid, error)
            state = SeriesState.FAILED if again_s is None else SeriesState.QUEUED
            return self._outcome(state, describe(error), again_s)

    def newest(self, series_uid: str) -> float:
        """When the last of what is held of a series was stored, seconds since the epoch."""
        return max((held.stored_at for held in self._spool.held(series_uid)), default=0.0)

    def digests_before(self, series_uid: str, digest: str) -> set[str]:
        """Digests of all earlier revisions of a series."""
        this = self._revisions.get(series_uid, digest)
        return {r.digest for r in self._revisions.of(series_uid) if r.number < this.number}

    def postpone(self, series_uid: str, attempt: int) -> Outcome:
        """An earlier revision comes first; the wait grows with each attempt, from 0."""
        again_s = _TURN_S * 2 ** min(attempt, _DOUBLINGS)
        log.info("LM405 series %s: an earlier revision is still at work", series_uid)
        return self._outcome(SeriesState.QUEUED, "an earlier revision comes first", again_s)

    def send(self, series_uid: str, digest: str, destination: str, since: float) -> Outcome:
        """Send the objects of one revision to one destination, once.

        `since`, seconds since the epoch, is when the first of these tries was made. Never
        raises: what goes wrong here is tried again, as if the destination had not answered.
        """
        try:
            sent = self._send(series_uid, digest, destination)
        except Exception as error:
            log.exception("LM509 series %s to destination %s: try failed", series_uid, destination)
            sent = delivery.Sent(delivery.Outcome.TRY_AGAIN, describe(error))
        log.info("LM501 series %s to destination %s: %s", series_uid, destination, sent.reason)
        if sent.outcome is delivery.Outcome.ACKNOWLEDGED:
            return self._outcome(DeliveryState.DELIVERED, sent.reason)
        slowly = sent.outcome is delivery.Outcome.UNWILLING
        again_s = next_try_s(self._settings.delivery, self._now() - since, slowly=slowly)
        if sent.outcome is delivery.Outcome.REFUSED or again_s is None:
            log.error("LM502 series %s to destination %s: given up", series_uid, destination)
            return self._outcome(DeliveryState.FAILED, sent.reason)
        if slowly:
            log.warning("LM503 destination %s must be set up for it: %s", destination, sent.reason)
        return self._outcome(DeliveryState.RETRYING, sent.reason, again_s)

    def wants_proof(self, destination: str) -> bool:
        """Whether a destination must prove that it keeps what it acknowledged."""
        return any(p.name == destination and p.proof != "none" for p in self._settings.destination)

    def forget(self, series_uid: str, digests: Sequence[str]) -> None:
        """Delete the received instances of settled revisions. What was reported stays.

        An instance that another revision needs, too, stays until that one is settled.
        """
        for digest in digests:
            self._revisions.settle(series_uid, digest)
        self._remove(series_uid, self._revisions.outlived(series_uid), Shelf.SERIES)

    def forget_aside(self, series_uid: str) -> bool:
        """Delete the instances set aside that have lain for the retention time.

        Whether younger ones are left.
        """
        held = self._spool.held(series_uid, Shelf.ASIDE)
        outlived = {h.sop_instance_uid for h in held if h.stored_at <= self.outlived_before}
        self._remove(series_uid, outlived, Shelf.ASIDE)
        return len(outlived) < len(held)

    def _remove(self, series_uid: str, sop_instance_uids: set[str], shelf: Shelf) -> None:
        self._spool.remove(series_uid, sop_instance_uids, shelf)
        log.info("LM601 series %s: instances on shelf %s deleted", series_uid, shelf)

    def _look(self, series_uid: str) -> Look:
        verdict = self._completion.judge(series_uid, self._now())
        word = "whole" if verdict.whole else "not whole yet"
        log.info("LM201 series %s is %s: %s", series_uid, word, verdict.reason)
        if not verdict.whole:
            return Look(digest=None, again_s=verdict.look_again_s)
        return Look(digest=self._freeze(series_uid), again_s=None)

    def _freeze(self, series_uid: str) -> str | None:
        """The revision of what is held; None when there is nothing to do about it."""
        held = {h.sop_instance_uid for h in self._spool.held(series_uid)}
        if not held:
            return None
        known = [r for r in self._revisions.of(series_uid) if held <= set(r.instances)]
        if any(self._revisions.is_settled(r) and self._revisions.is_done(r) for r in known):
            log.info("LM203 series %s: reported long ago, nothing is new", series_uid)
            return None
        return (known[-1] if known else self._revisions.freeze(series_uid, held)).digest

    def _again_s(self, series_uid: str, error: Exception) -> float | None:
        """Seconds until an analysis that failed is tried again; None when that is useless."""
        if not isinstance(error, OSError) or error.errno not in _PASSING:
            return None
        return next_try_s(self._settings.delivery, self._now() - self.newest(series_uid))

    def _analyse(self, revision: Revision) -> Outcome:
        if self._revisions.is_done(revision):
            # Killed before that was noted, or the queue was lost: what was made is sent as it is.
            lesions = plural(len(self._revisions.bookmarks(revision)), "lesion")
            return self._outcome(SeriesState.DELIVERING, f"{lesions}, analysed before")
        series = self._series(revision)
        if not self._plugin.accepts(series):
            return self._outcome(SeriesState.REFUSED, "not for this plugin")
        earlier = self._revisions.earlier(revision)
        analysis = self._plugin.analyse(series, earlier, self._clock())
        self._revisions.save(revision, analysis, self._plugin.version)
        for remark in analysis.remarks:
            log.info("LM404 series %s: %s", revision.series_uid, remark)
        lesions = plural(len(analysis.bookmarks), "lesion")
        reason = f"{lesions}, {plural(len(analysis.remarks), 'remark')}"
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
        peer = self._settings.destination_named(destination)
        if peer is None:
            reason = f"config.toml names no destination {destination!r}"
            return delivery.Sent(delivery.Outcome.REFUSED, reason)
        if not self._revisions.is_done(self._revisions.get(series_uid, digest)):
            return delivery.Sent(delivery.Outcome.TRY_AGAIN, "the objects are not there")
        wanted = self._wanted(series_uid, digest, peer)
        sent = self._send_rest(wanted, (series_uid, digest, destination), peer)
        if sent.outcome is delivery.Outcome.ACKNOWLEDGED:
            return delivery.Sent(sent.outcome, plural(len(wanted), "object"))
        return sent

    def _send_rest(
        self, wanted: list[Alternatives], receipt: tuple[str, str, str], peer: Destination
    ) -> Sent:
        """Send what earlier tries have left."""
        done = set(self._receipts.of(*receipt))
        rest = [alternatives for alternatives in wanted if not done.intersection(alternatives)]
        with self._trail.delivery(Party(peer.ae_title, peer.host), rest) as sent:

            def note(path: Path) -> None:
                sent.append(path)
                self._receipts.add(*receipt, path)

            return delivery.send(
                rest,
                peer,
                self._settings.listener.ae_title,
                timeout_s=self._settings.delivery.timeout_s,
                on_sent=note,
            )

    def _wanted(self, series_uid: str, digest: str, peer: Destination) -> list[Alternatives]:
        """What a destination gets: the report in one of its forms, other kinds whole."""
        wanted: list[Alternatives] = []
        for kind in peer.objects:
            paths = self._revisions.objects(series_uid, digest, kind)
            forms = [tuple(paths)] if paths else []
            wanted += forms if kind is Kind.REPORT else [(path,) for path in paths]
        return wanted

    def _outcome(
        self, state: SeriesState | DeliveryState, reason: str, again_s: float | None = None
    ) -> Outcome:
        return Outcome(state=state.value, reason=reason, at=self._now(), again_s=again_s)

    def _now(self) -> float:
        return self._clock().timestamp()
