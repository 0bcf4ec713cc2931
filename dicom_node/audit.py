"""The audit trail: who exchanged whose instances with whom, and who was turned away.

Here, and only here, patients are named by their IDs; the log names none.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom.dsutils import encode as encode_data_set

from dicom_node import syslog
from dicom_node.audit_message import (
    Action,
    Event,
    EventId,
    EventType,
    Object,
    Outcome,
    Participant,
    Role,
    alert_subject,
    encode,
    queried,
    study_and_patient,
)
from dicom_node.sop_classes import STUDY_ROOT_FIND
from dicom_node.transfers import of_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pydicom import Dataset

    from dicom_node.config import Settings
    from dicom_node.syslog import Writer
    from dicom_node.transfers import Transfer

_APPLICATION: Final = "lesionmark"


@dataclass(frozen=True)
class Party:
    """The other side of an exchange."""

    #: Its AE title; empty when it gave none.
    ae_title: str
    #: Its IP address or host name.
    address: str


class Trail:
    """Writes one message for each event; never raises, never waits."""

    def __init__(self, ae_title: str, writer: Writer | None, clock: Callable[[], datetime]) -> None:
        """`ae_title` is ours; without a writer nothing is written."""
        self._ae_title = ae_title
        self._writer = writer
        self._clock = clock

    def started(self) -> None:
        """The node has started (PS3.15 A.5.3.1)."""
        self._activity(EventType.APPLICATION_START)

    def stopped(self) -> None:
        """The node is about to stop (PS3.15 A.5.3.1)."""
        self._activity(EventType.APPLICATION_STOP)

    def received(self, sender: Party, transfer: Transfer) -> None:
        """Instances have come and are kept (PS3.15 A.5.3.7)."""
        action = Action.CREATE if transfer.is_new else Action.READ
        self._write(
            self._event(EventId.INSTANCES_TRANSFERRED, action),
            (_other(sender, Role.SOURCE, is_requestor=True), self._us(Role.DESTINATION)),
            study_and_patient(transfer),
        )

    @contextmanager
    def delivery(
        self, receiver: Party, objects: Sequence[tuple[Path, ...]]
    ) -> Iterator[list[Path]]:
        """Say what is to be sent, and behind the block what was sent and what was not.

        Gives a list that takes the files that were sent, one form of each object at most.
        """
        for transfer in of_files(best for best, *_ in objects):
            self._sending(receiver, transfer)
        sent: list[Path] = []
        try:
            yield sent
        finally:
            failed = [forms[0] for forms in objects if not set(forms) & set(sent)]
            for transfer in of_files(sent):
                self._sent(receiver, transfer, Outcome.SUCCESS)
            for transfer in of_files(failed):
                self._sent(receiver, transfer, Outcome.MINOR_FAILURE)

    def queried(self, peer: Party, identifier: Dataset) -> None:
        """We ask a peer what it holds (PS3.15 A.5.3.10)."""
        encoded = encode_data_set(identifier, is_implicit_vr=True, is_little_endian=True) or b""
        self._write(
            self._event(EventId.QUERY, Action.EXECUTE),
            (self._us(Role.SOURCE, is_requestor=True), _other(peer, Role.DESTINATION)),
            (queried(STUDY_ROOT_FIND, encoded, ImplicitVRLittleEndian),),
        )

    def turned_away(self, peer: Party, reason: str) -> None:
        """A peer was not let in (PS3.15 A.5.3.11)."""
        self._write(
            self._event(
                EventId.SECURITY_ALERT,
                Action.EXECUTE,
                Outcome.MINOR_FAILURE,
                EventType.NODE_AUTHENTICATION,
            ),
            (self._us(), _other(peer)),
            (alert_subject(peer.address, reason),),
        )

    def shown(self, viewer: str, instance: Path) -> None:
        """Somebody has looked whose series it is (PS3.15 A.5.3.6); `viewer` is an IP address."""
        person = Participant("status page", viewer, is_requestor=True)
        for transfer in of_files([instance]):
            self._write(
                self._event(EventId.INSTANCES_ACCESSED, Action.READ),
                (person,),
                study_and_patient(transfer),
            )

    def close(self) -> None:
        """Write what is waiting."""
        if self._writer is not None:
            self._writer.close()

    def _sending(self, receiver: Party, transfer: Transfer) -> None:
        """Instances are about to be sent (PS3.15 A.5.3.3)."""
        self._write(
            self._event(EventId.BEGIN_TRANSFERRING, Action.EXECUTE),
            (self._us(Role.SOURCE, is_requestor=True), _other(receiver, Role.DESTINATION)),
            study_and_patient(transfer),
        )

    def _sent(self, receiver: Party, transfer: Transfer, outcome: Outcome) -> None:
        """Instances have been sent, or not (PS3.15 A.5.3.7)."""
        self._write(
            self._event(EventId.INSTANCES_TRANSFERRED, Action.READ, outcome),
            (self._us(Role.SOURCE, is_requestor=True), _other(receiver, Role.DESTINATION)),
            study_and_patient(transfer),
        )

    def _activity(self, kind: EventType) -> None:
        event = self._event(EventId.APPLICATION_ACTIVITY, Action.EXECUTE, type_=kind)
        self._write(event, (self._us(Role.APPLICATION),), ())

    def _event(
        self,
        event_id: EventId,
        action: Action,
        outcome: Outcome = Outcome.SUCCESS,
        type_: EventType | None = None,
    ) -> Event:
        return Event(event_id, action, self._clock(), outcome, type_)

    def _us(self, role: Role | None = None, *, is_requestor: bool = False) -> Participant:
        return Participant(self._ae_title, syslog.HOST, is_requestor, role)

    def _write(
        self, event: Event, participants: Iterable[Participant], objects: Iterable[Object]
    ) -> None:
        if self._writer is None:
            return
        source_id = f"{self._ae_title}@{syslog.HOST}"
        message = encode(event, participants, source_id, objects)
        self._writer.put(syslog.frame(message, event.at, _APPLICATION))


#: For exchanges that nobody audits.
SILENT: Final = Trail("", None, lambda: datetime.now(UTC))


def open_trail(settings: Settings, clock: Callable[[], datetime]) -> Trail:
    """The trail of the node with this configuration; to be closed."""
    ae_title, to = settings.listener.ae_title, settings.audit.to
    if to == "none":
        return Trail(ae_title, None, clock)
    path = Path(settings.node.state_dir) / "audit.log"
    writer = syslog.Writer(syslog.make_sink(to, path), syslog.FileSink(path))
    return Trail(ae_title, writer, clock)


def _other(party: Party, role: Role | None = None, *, is_requestor: bool = False) -> Participant:
    return Participant(party.ae_title, party.address, is_requestor, role)
