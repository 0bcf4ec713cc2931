"""Turns away whom the rules of admission do not let in, and says so in log and audit trail."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, cast

from dicom_node import meters
from dicom_node.admission import Refusal, Rejection, Request
from dicom_node.association import NO_REQUEST
from dicom_node.audit import Party

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pynetdicom.events import Event
    from pynetdicom.pdu_primitives import A_ASSOCIATE

    from dicom_node.admission import Admission
    from dicom_node.association import AcceptedAssociation
    from dicom_node.audit import Trail

log = logging.getLogger(__name__)

_NOT_JUDGED = Refusal(Rejection.CONGESTION, "the request could not be judged")
#: Among the reasons for rejections, for a connection that never became a request.
_CONNECTION = "connection"
_TOO_MANY = Refusal(Rejection.LIMIT, "listener.max_associations are open")


class Gate:
    """Handlers for what happens before an association stands."""

    def __init__(
        self,
        admission: Admission,
        trail: Trail,
        open_associations: Callable[[], Iterable[AcceptedAssociation]],
    ) -> None:
        """`open_associations` gives those that stand."""
        for reason in (*(rejection.name.lower() for rejection in Rejection), _CONNECTION):
            meters.REJECTIONS.labels(reason)
        self._admission = admission
        self._trail = trail
        self._open_associations = open_associations

    def admits(self, address: str) -> bool:
        """Whether a connection from that address may speak at all."""
        return self._admission.knows(address)

    def handle_requested(self, event: Event) -> None:
        """Reject an association request that the rules do not let in (PS3.8 7.1.1.7)."""
        refusal: Refusal | None = _NOT_JUDGED
        try:
            refusal = self._admission.judge(self._request(event))
        finally:
            # pynetdicom lets everybody in whose handler raises.
            if refusal is not None:
                event.assoc.acse.send_reject(*refusal.rejection.value)
                self._turn_away(_party(event), refusal)

    def handle_rejected(self, event: Event) -> None:
        """The listener had no room for one more association."""
        self._turn_away(_party(event), _TOO_MANY)

    def handle_refused(self, address: str, reason: str) -> None:
        """A connection never became an association request.

        One that said nothing is no alert: monitors connect every second to see who listens.
        """
        if reason == NO_REQUEST:
            log.debug("LM112 connection from %s: %s", address, reason)
            return
        log.warning("LM109 connection from %s refused: %s", address, reason)
        meters.REJECTIONS.labels(_CONNECTION).inc()
        self._trail.turned_away(Party("", address), reason)

    def _request(self, event: Event) -> Request:
        party = _party(event)
        others = [a for a in self._open_associations() if a.address == party.address]
        called = _requested(event).called_ae_title
        return Request(party.ae_title, called, party.address, len(others))

    def _turn_away(self, party: Party, refusal: Refusal) -> None:
        reason = refusal.reason
        meters.REJECTIONS.labels(refusal.rejection.name.lower()).inc()
        log.warning(
            "LM102 association rejected: %r at %s: %s", party.ae_title, party.address, reason
        )
        self._trail.turned_away(party, reason)


def _party(event: Event) -> Party:
    association = cast("AcceptedAssociation", event.assoc)
    return Party(_requested(event).calling_ae_title, association.address)


def _requested(event: Event) -> A_ASSOCIATE:
    return cast("A_ASSOCIATE", event.assoc.requestor.primitive)
