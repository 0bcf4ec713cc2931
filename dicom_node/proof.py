"""Whether a destination keeps what it has acknowledged; the steps that find out.

Every step may be repeated after a crash, so each gives the same when done twice.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING

from dicom_node import commitment, delivery, query
from dicom_node.audit import SILENT, Party
from dicom_node.errors import NoAnswer, describe
from dicom_node.patience import next_try_s
from dicom_node.states import DeliveryState
from dicom_node.statuses import FailureReason
from dicom_node.wording import plural
from dicom_node.work import PROVE, DeliveryId, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from dicom_node.audit import Trail
    from dicom_node.config import Settings
    from dicom_node.config_tables import Destination, QueryPeer
    from dicom_node.live import Live
    from dicom_node.query import Reference
    from dicom_node.receipts import Receipts
    from dicom_node.transactions import Report, Transactions

log = logging.getLogger(__name__)

#: Reasons that neither time nor sending again can mend.
_FINAL = {
    FailureReason.CLASS_INSTANCE_CONFLICT,
    FailureReason.REFERENCED_SOP_CLASS_NOT_SUPPORTED,
}


class Verdict(Enum):
    """What one look for proof has found."""

    #: The destination keeps every object.
    KEPT = "kept"
    #: It does not hold at least one of them: send again.
    MISSING = "missing"
    #: It will never be committed to one of them.
    NEVER = "never"
    #: It was asked, and will report.
    ASKED = "asked"
    #: It is set up to give no proof; works when a person has changed that.
    UNWILLING = "unwilling"
    #: Nothing new this time; another look may find more.
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """One look for proof."""

    #: What was found.
    verdict: Verdict
    #: For a person.
    reason: str


class Proofs:
    """Asks destinations for proof, each by the means that the configuration names."""

    def __init__(
        self,
        live: Live[Settings],
        receipts: Receipts,
        transactions: Transactions,
        clock: Callable[[], datetime],
        trail: Trail = SILENT,
    ) -> None:
        self._live = live
        self._trail = trail
        self._receipts = receipts
        self._transactions = transactions
        self._clock = clock
        self._reports = commitment.Reports(transactions)

    @property
    def _settings(self) -> Settings:
        return self._live.now

    def prove(self, this: DeliveryId, since: float, resends: int) -> Outcome:
        """Look once for proof that a destination keeps what it has acknowledged.

        `since`, seconds since the epoch, is when it acknowledged; `resends` counts how often
        it had lost what it acknowledged before. RETRYING means: send again. Never raises: what
        goes wrong here may pass, and another look follows.
        """
        peer = self._settings.destination_named(this.destination)
        if peer is None or peer.proof == "none":
            return self._outcome(DeliveryState.DELIVERED, "no proof is wanted any more")
        try:
            finding = self._look(this, peer, since)
        except Exception as error:  # those of the network are findings
            log.exception("LM510 series %s: the look for proof failed", this.series_uid)
            finding = Finding(Verdict.UNKNOWN, describe(error))
        log.info(
            "LM504 series %s at destination %s: %s",
            this.series_uid,
            this.destination,
            finding.reason,
        )
        outcome = self._decide(finding, since, resends)
        if outcome["state"] == DeliveryState.FAILED:
            log.error(
                "LM505 series %s at destination %s: not proved", this.series_uid, this.destination
            )
        return outcome

    def revoke(self, this: DeliveryId) -> None:
        """What a destination has acknowledged counts no longer, so that all is sent again."""
        self._receipts.clear(this.series_uid, this.digest, this.destination)

    def is_reported(self, this: DeliveryId) -> bool:
        """Whether there is a report on what this try has asked."""
        return self._transactions.report(this) is not None

    def forget(self, workflow_ids: Sequence[str]) -> None:
        """Delete what was asked and reported by tries that are to be forgotten."""
        for workflow_id in workflow_ids:
            if workflow_id.startswith(f"{PROVE}/"):
                self._transactions.forget(DeliveryId.parse(workflow_id))

    def _look(self, this: DeliveryId, peer: Destination, since: float) -> Finding:
        objects = self._receipts.of(this.series_uid, this.digest, this.destination)
        references = [query.reference(path) for path in objects]
        if not references:
            return Finding(Verdict.KEPT, "no objects")
        if peer.proof == "query":
            return self._by_query(references, peer, since)
        return self._reported(this) or self._ask(this, references, peer)

    def _by_query(
        self, references: Sequence[Reference], peer: Destination, since: float
    ) -> Finding:
        try:
            whom, calling_ae_title = self._whom(peer)
            on_query = partial(self._trail.queried, Party(whom.ae_title, whom.host))
            found = query.find_instances(whom, calling_ae_title, references, on_query)
        except NoAnswer as error:
            return Finding(Verdict.UNKNOWN, str(error))
        lacking = sum(reference.sop_instance_uid not in found for reference in references)
        if not lacking:
            return Finding(Verdict.KEPT, f"finds {plural(len(references), 'object')}")
        patient = self._now() - since <= self._settings.proof.find_within_s
        verdict = Verdict.UNKNOWN if patient else Verdict.MISSING
        return Finding(verdict, f"does not find {lacking} of {plural(len(references), 'object')}")

    def _reported(self, this: DeliveryId) -> Finding | None:
        """What was reported: on any request if it is good, else on this or the last one."""
        tries = [replace(this, work=PROVE, attempt=n) for n in range(this.attempt + 1)]
        if any(self._transactions.is_committed(one) for one in tries):
            return Finding(Verdict.KEPT, "committed to its safekeeping")
        reports = [self._transactions.take(one) for one in tries[:-3:-1]]
        return next((_judge(report) for report in reports if report), None)

    def _ask(self, this: DeliveryId, references: Sequence[Reference], peer: Destination) -> Finding:
        instances = {r.sop_instance_uid: r.sop_class_uid for r in references}
        transaction = self._transactions.open(this, instances)
        sent = commitment.ask(
            transaction,
            *self._whom(peer),
            self._reports.handle,
            hold_s=self._settings.proof.hold_s,
        )
        if sent.outcome is delivery.Outcome.ACKNOWLEDGED:
            return self._reported(this) or Finding(Verdict.ASKED, sent.reason)
        unwilling = sent.outcome is delivery.Outcome.UNWILLING
        return Finding(Verdict.UNWILLING if unwilling else Verdict.UNKNOWN, sent.reason)

    def _whom(self, peer: Destination) -> tuple[QueryPeer, str]:
        """Whom to ask, and as whom."""
        return peer.asked(self._settings.delivery.timeout_s), self._settings.listener.ae_title

    def _decide(self, finding: Finding, since: float, resends: int) -> Outcome:
        reason = finding.reason
        if finding.verdict is Verdict.KEPT:
            return self._outcome(DeliveryState.KEPT, reason)
        if finding.verdict is Verdict.MISSING and resends < self._settings.proof.resends:
            return self._outcome(DeliveryState.RETRYING, f"to be sent again: {reason}")
        again_s = self._again_s(finding.verdict, self._now() - since)
        if again_s is None:
            return self._outcome(DeliveryState.FAILED, f"acknowledged, but not kept: {reason}")
        return self._outcome(DeliveryState.DELIVERED, f"not proved yet: {reason}", again_s)

    def _again_s(self, verdict: Verdict, tried_s: float) -> float | None:
        if verdict in (Verdict.MISSING, Verdict.NEVER):
            return None
        slowly = verdict is Verdict.UNWILLING
        again_s = next_try_s(self._settings.delivery, tried_s, slowly=slowly)
        asked = again_s is not None and verdict is Verdict.ASKED
        return self._settings.proof.report_within_s if asked else again_s

    def _outcome(self, state: DeliveryState, reason: str, again_s: float | None = None) -> Outcome:
        return Outcome(state=state.value, reason=reason, at=self._now(), again_s=again_s)

    def _now(self) -> float:
        return self._clock().timestamp()


def _judge(report: Report) -> Finding:
    """What a report says that does not commit the peer to everything."""
    reasons = set(report.failed.values())
    verdict = Verdict.UNKNOWN
    if FailureReason.NO_SUCH_OBJECT_INSTANCE in reasons:
        verdict = Verdict.MISSING
    if reasons & _FINAL:
        verdict = Verdict.NEVER
    names = ", ".join(_name(reason) for reason in sorted(reasons)) or "some are not mentioned"
    return Finding(verdict, f"not committed to {plural(len(report.failed), 'object')}: {names}")


def _name(reason: int) -> str:
    words = {r.value: r.name.lower().replace("_", " ") for r in FailureReason}
    return f"0x{reason:04X} {words.get(reason, '')}".rstrip()
