"""Audit messages: their structure, what they say, and how they travel."""

from __future__ import annotations

import re
import socket
import stat
from base64 import b64decode
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.uid import CTImageStorage, EnhancedSRStorage

from deploy.processes import LOOPBACK, free_port
from dicom_node import syslog
from dicom_node.audit import Party, Trail
from dicom_node.instance import Identity
from dicom_node.transfers import Tally, Transfer
from tests import audit_schema
from tests.instances import instance

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from xml.etree.ElementTree import Element

AT = datetime(2026, 11, 22, 1, 2, 3, 456000, UTC)
SCANNER = Party("SCANNER", "10.1.2.3")
PACS = Party("PACS", "pacs.example.org")
TRANSFER = Transfer("1.2.3", "ID-7", True, {CTImageStorage: 40, EnhancedSRStorage: 1})
RFC_5424 = re.compile(
    rb"<85>1 2026-11-22T01:02:03.456\+00:00 [!-~]{1,255} lesionmark \d+ DICOM\+RFC3881 - "
    rb"\xef\xbb\xbf(<\?xml.*)",
    re.DOTALL,
)


class Kept:
    """A writer that keeps messages."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []

    def put(self, message: bytes) -> None:
        self.messages.append(message)

    def close(self) -> None:
        pass


def said(say: Callable[[Trail], object]) -> list[Element]:
    """The messages that a trail writes, checked against syntax and schema."""
    kept = Kept()
    say(Trail("LESIONMARK", kept, lambda: AT))  # type: ignore[arg-type]
    found = []
    for message in kept.messages:
        framed = RFC_5424.fullmatch(message)
        assert framed, message
        assert b"\n" not in message
        found.append(ElementTree.fromstring(framed[1]))
        audit_schema.check(found[-1])
    return found


def code(message: Element, path: str) -> list[str | None]:
    return [element.get("csd-code") for element in message.findall(path)]


def parties(message: Element) -> list[tuple[str | None, ...]]:
    keys = ("UserID", "NetworkAccessPointID", "NetworkAccessPointTypeCode", "UserIsRequestor")
    return [
        (*map(participant.get, keys), *code(participant, "RoleIDCode"))
        for participant in message.findall("ActiveParticipant")
    ]


def us(*, requestor: bool = False) -> tuple[str, ...]:
    return "LESIONMARK", syslog.HOST, "1", str(requestor).lower()


@pytest.mark.parametrize(("say", "kind"), [(Trail.started, "110120"), (Trail.stopped, "110121")])
def test_start_and_stop(say: Callable[[Trail], None], kind: str) -> None:
    [message] = said(say)
    assert code(message, "EventIdentification/EventID") == ["110100"]
    assert code(message, "EventIdentification/EventTypeCode") == [kind]
    assert parties(message) == [(*us(), "110150")]


def test_instances_received() -> None:
    [message] = said(lambda trail: trail.received(SCANNER, TRANSFER))
    assert code(message, "EventIdentification/EventID") == ["110104"]
    assert message.find("EventIdentification").get("EventActionCode") == "C"
    assert parties(message) == [
        ("SCANNER", "10.1.2.3", "2", "true", "110153"),
        (*us(), "110152"),
    ]
    study, patient = message.findall("ParticipantObjectIdentification")
    assert (study.get("ParticipantObjectID"), *code(study, "*")[:1]) == ("1.2.3", "110180")
    counts = {c.get("UID"): c.get("NumberOfInstances") for c in study.iter("SOPClass")}
    assert counts == {CTImageStorage: "40", EnhancedSRStorage: "1"}
    assert (patient.get("ParticipantObjectID"), *code(patient, "*")[:1]) == ("ID-7", "2")


def test_instances_that_were_held_already() -> None:
    again = Transfer("1.2.3", "ID-7", False, {CTImageStorage: 1})
    [message] = said(lambda trail: trail.received(SCANNER, again))
    assert message.find("EventIdentification").get("EventActionCode") == "R"


def test_a_delivery_that_breaks_off(tmp_path: Path) -> None:
    paths = [tmp_path / "a.dcm", tmp_path / "b.dcm"]
    for number, path in enumerate(paths):
        instance("1.2.3", "1.2", number).save_as(path, enforce_file_format=True)

    def deliver(trail: Trail) -> None:
        with trail.delivery(PACS, [(path,) for path in paths]) as sent:
            sent.append(paths[0])

    begin, success, failure = said(deliver)
    assert code(begin, "EventIdentification/EventID") == ["110102"]
    assert [c.get("NumberOfInstances") for c in begin.iter("SOPClass")] == ["2"]
    for message, outcome in ((success, "0"), (failure, "4")):
        assert code(message, "EventIdentification/EventID") == ["110104"]
        assert message.find("EventIdentification").get("EventOutcomeIndicator") == outcome
        assert [c.get("NumberOfInstances") for c in message.iter("SOPClass")] == ["1"]
        assert parties(message) == [
            (*us(requestor=True), "110153"),
            ("PACS", "pacs.example.org", "1", "false", "110152"),
        ]
    assert b"Secret" not in ElementTree.tostring(begin)


def test_what_comes_after_a_refusal_was_sent_even_when_that_cannot_be_noted(
    tmp_path: Path,
) -> None:
    paths = [tmp_path / "refused.dcm", tmp_path / "sent.dcm"]
    for study_uid, path in zip(("1.7", "1.8"), paths, strict=True):
        instance("1.2.3", study_uid, 1).save_as(path, enforce_file_format=True)

    def break_off(trail: Trail) -> None:
        with trail.delivery(PACS, [(path,) for path in paths]) as sent:
            sent.append(paths[1])
            raise OSError("disk full")

    def deliver(trail: Trail) -> None:
        with pytest.raises(OSError, match="disk full"):
            break_off(trail)

    *_, success, failure = said(deliver)
    for message, study_uid, outcome in ((success, "1.8", "0"), (failure, "1.7", "4")):
        objects = [found.get("ParticipantObjectID") for found in message.iter()]
        assert study_uid in objects
        assert message.find("EventIdentification").get("EventOutcomeIndicator") == outcome


def test_a_query() -> None:
    identifier = Dataset()
    identifier.StudyInstanceUID = "1.2.3"
    [message] = said(lambda trail: trail.queried(PACS, identifier))
    assert code(message, "EventIdentification/EventID") == ["110112"]
    [item] = message.findall("ParticipantObjectIdentification")
    assert item.get("ParticipantObjectID") == "1.2.840.10008.5.1.4.1.2.2.1"
    assert b64decode(item.findtext("ParticipantObjectQuery") or "").endswith(b"1.2.3\0")
    [detail] = item.findall("ParticipantObjectDetail")
    assert b64decode(detail.get("value") or "") == b"1.2.840.10008.1.2"


def test_a_peer_that_was_turned_away() -> None:
    [message] = said(lambda trail: trail.turned_away(Party("EVIL", "fe80::1"), "no such sender"))
    assert code(message, "EventIdentification/EventID") == ["110113"]
    assert code(message, "EventIdentification/EventTypeCode") == ["110126"]
    assert message.find("EventIdentification").get("EventOutcomeIndicator") == "4"
    assert parties(message) == [us(), ("EVIL", "fe80::1", "2", "false")]
    [subject] = message.findall("ParticipantObjectIdentification")
    assert subject.get("ParticipantObjectID") == "fe80::1"
    [detail] = subject.findall("ParticipantObjectDetail")
    assert b64decode(detail.get("value") or "") == b"no such sender"


@given(st.text(st.characters(codec="utf-8"), max_size=64), st.text(max_size=16))
def test_whatever_a_sender_writes_makes_a_message(patient_id: str, title: str) -> None:
    transfer = Transfer("1.2.3", patient_id, True, {CTImageStorage: 1})
    said(lambda trail: trail.received(Party(title, "10.1.2.3"), transfer))


def test_what_comes_in_one_association_is_counted_by_patient_and_study() -> None:
    tally, association = Tally(), object()
    for study, patient in (("1.1", "A"), ("1.1", "A"), ("1.2", "B")):
        identity = Identity(CTImageStorage, "1.3", "1.4", study, patient)
        tally.add(association, identity, is_new=True)  # type: ignore[arg-type]
    assert tally.end(association) == [  # type: ignore[arg-type]
        Transfer("1.1", "A", True, {CTImageStorage: 2}),
        Transfer("1.2", "B", True, {CTImageStorage: 1}),
    ]
    assert tally.end(association) == []  # type: ignore[arg-type]


def test_a_file_is_for_its_owner_and_may_be_rotated(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    writer = syslog.Writer(syslog.make_sink("file", path), syslog.FileSink(path))
    writer.put(b"one")
    writer.close()
    path.rename(tmp_path / "audit.log.1")
    syslog.FileSink(path).write(b"two")
    assert (tmp_path / "audit.log.1").read_bytes() == b"one\n"
    assert path.read_bytes() == b"two\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_message_is_a_datagram(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((LOOPBACK, 0))
        server.settimeout(5)
        syslog.make_sink(f"udp://{LOOPBACK}:{server.getsockname()[1]}", tmp_path).write(b"one")
        assert server.recv(100) == b"one"


def test_a_message_goes_to_the_local_daemon(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "log"))
        server.settimeout(5)
        syslog.make_sink(f"unix:{tmp_path}/log", tmp_path).write(b"one")
        assert server.recv(100) == b"one"


def test_messages_stand_behind_their_lengths_on_tcp() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        server.settimeout(5)
        sink = syslog.StreamSink(LOOPBACK, server.getsockname()[1])
        sink.write(b"one")
        sink.write(b"three")
        first, _ = server.accept()
        with first:
            assert first.recv(12, socket.MSG_WAITALL) == b"3 one5 three"
        sink.write(b"again")
        second, _ = server.accept()
        with second:
            assert second.recv(100) == b"5 again"
        sink.close()


def test_what_no_server_takes_goes_to_the_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spare = tmp_path / "audit.log"
    nobody = f"tcp://{LOOPBACK}:{free_port()}"
    writer = syslog.Writer(syslog.make_sink(nobody, spare), syslog.FileSink(spare))
    writer.put(b"one")
    writer.put(b"two")
    writer.close()
    assert spare.read_bytes() == b"one\ntwo\n"
    assert caplog.text.count("LM801") == 1
