"""Peers that shake hands badly, slowly or not at all, and those that behave."""

from __future__ import annotations

import gc
import socket
import ssl
import struct
import subprocess
import threading
import time
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydicom import Dataset
from pydicom.uid import CTImageStorage
from pynetdicom import AE, build_role, evt
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from deploy.processes import LOOPBACK, wait_until
from dicom_node.acceptor import Acceptor
from dicom_node.association import NO_REQUEST
from dicom_node.sop_classes import VERIFICATION
from dicom_node.statuses import SUCCESS, StoreStatus
from dicom_node.upper_layer import Limits
from tests.instances import instance
from tests.peers import answer_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from pynetdicom.association import Association
    from pynetdicom.events import Event

LIMITS = Limits(
    max_associations=3,
    idle_timeout_s=5.0,
    max_pdu_bytes=16_384,
    max_data_set_bytes=1 << 20,
    max_handshakes=8,
    handshake_timeout_s=2.0,
)


class Heard:
    """What the acceptor tells; counts ends, which must come once for each association."""

    def __init__(self) -> None:
        self.refused: list[str] = []
        self.opened = 0
        self.closed = 0
        self.received: list[int] = []
        self.last = b""
        self.block = threading.Event()
        self.block.set()

    def handlers(self) -> list[tuple[Any, ...]]:
        return [
            (evt.EVT_C_ECHO, lambda _: SUCCESS),
            (evt.EVT_C_STORE, self.store),
            (evt.EVT_CONN_OPEN, self.open),
            (evt.EVT_CONN_CLOSE, self.close),
        ]

    def store(self, event: Event) -> int:
        assert self.block.wait(10)
        self.last = event.encoded_dataset(include_meta=False)
        self.received.append(len(self.last))
        return SUCCESS

    def open(self, _: Event) -> None:
        self.opened += 1

    def close(self, _: Event) -> None:
        self.closed += 1


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def start(heard: Heard) -> Iterator[Callable[..., Acceptor]]:
    running: list[Acceptor] = []

    def _start(limits: Limits = LIMITS, **wishes: Any) -> Acceptor:
        entity = AE("ACCEPTOR")
        entity.add_supported_context(VERIFICATION)
        entity.add_supported_context(CTImageStorage)
        entity.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
        acceptor = Acceptor(
            entity,
            (LOOPBACK, 0),
            heard.handlers(),
            limits,
            on_refused=lambda _, reason: heard.refused.append(reason),
            **wishes,
        )
        acceptor.start()
        running.append(acceptor)
        return acceptor

    yield _start
    for acceptor in running:
        acceptor.stop(1.0)


def connect(acceptor: Acceptor) -> socket.socket:
    return socket.create_connection(acceptor.server_address, timeout=5)


def associate(acceptor: Acceptor, **wishes: Any) -> Association:
    entity = AE("SENDER")
    entity.add_requested_context(VERIFICATION)
    entity.add_requested_context(CTImageStorage)
    entity.add_requested_context(StorageCommitmentPushModel)
    return entity.associate(*acceptor.server_address, **wishes)


def echo(acceptor: Acceptor, **wishes: Any) -> None:
    association = associate(acceptor, **wishes)
    assert association.is_established
    assert association.send_c_echo().Status == SUCCESS
    association.release()
    assert association.is_released


def used() -> tuple[int, int]:
    """Threads and file descriptors of this process."""
    return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))


def is_closed_by_peer(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_echo_and_release(start: Callable[..., Acceptor], heard: Heard) -> None:
    acceptor = start()
    for _ in range(3):
        echo(acceptor)
    wait_until(lambda: heard.closed == 3, "three ends", limit_s=5)
    assert heard.opened == 3
    assert acceptor.active_associations == []


def test_a_silent_connection_is_closed_in_time(
    start: Callable[..., Acceptor], heard: Heard
) -> None:
    acceptor = start(replace(LIMITS, handshake_timeout_s=0.2))
    with connect(acceptor) as silent:
        assert is_closed_by_peer(silent)
    assert heard.refused == [NO_REQUEST]


def test_a_request_drop_by_drop_does_not_hold_a_place(
    start: Callable[..., Acceptor], heard: Heard
) -> None:
    acceptor = start(replace(LIMITS, handshake_timeout_s=0.3))
    with connect(acceptor) as slow:
        slow.sendall(struct.pack(">BBL", 0x01, 0, 200) + b"drop")
        assert is_closed_by_peer(slow)
    wait_until(lambda: heard.refused, "a refusal", limit_s=5)


def test_many_half_open_connections_keep_nobody_out(start: Callable[..., Acceptor]) -> None:
    acceptor = start(replace(LIMITS, handshake_timeout_s=60.0))
    threads = threading.active_count()
    held = [connect(acceptor) for _ in range(40)]
    echo(acceptor)
    assert threading.active_count() - threads <= LIMITS.max_handshakes + 1
    assert is_closed_by_peer(held[0])
    for connection in held:
        connection.close()


def test_a_port_scan_leaves_nothing_behind(start: Callable[..., Acceptor]) -> None:
    acceptor = start()
    echo(acceptor)
    wait_until(lambda: not acceptor.active_associations, "its end", limit_s=5)
    before = used()
    for _ in range(100):
        connect(acceptor).close()
    wait_until(lambda: used() <= before, "threads and descriptors back", limit_s=5)
    echo(acceptor)


def test_one_association_too_many_is_told_to_come_again(start: Callable[..., Acceptor]) -> None:
    acceptor = start()
    held = [associate(acceptor) for _ in range(LIMITS.max_associations)]
    assert answer_to(acceptor.server_address[1], "SENDER") == (0x02, 0x03, 0x02)
    held.pop().release()
    wait_until(lambda: len(acceptor.active_associations) == 2, "a free place", limit_s=5)
    echo(acceptor)
    for association in held:
        association.release()


def test_an_idle_association_is_aborted(start: Callable[..., Acceptor], heard: Heard) -> None:
    idle = associate(start(replace(LIMITS, idle_timeout_s=0.2)))
    wait_until(lambda: idle.is_aborted, "an abort", limit_s=5)
    wait_until(lambda: heard.closed == 1, "the end", limit_s=5)


def request_pdu(acceptor: Acceptor) -> bytes:
    """An A-ASSOCIATE-RQ as bytes, as pynetdicom sends it."""
    sent: list[bytes] = []
    handlers = [(evt.EVT_DATA_SENT, lambda event: sent.append(event.data))]
    associate(acceptor, evt_handlers=handlers).release()
    return sent[0]


@pytest.mark.parametrize(
    "pdu",
    [
        struct.pack(">BBL", 0x04, 0, 0xFFFFFFFF),
        struct.pack(">BBL", 0x04, 0, 6) + struct.pack(">LBB", 2, 99, 0x03),
        struct.pack(">BBL", 0x04, 0, 12) + struct.pack(">LBB", 8, 1, 0x03) + b"garbage"[:6],
        struct.pack(">BBL", 0x04, 0, 7) + struct.pack(">LBB", 200, 3, 0x00) + b"x",
        struct.pack(">BBL", 0x04, 0, 8) + struct.pack(">LBB", 3, 3, 0x00) + b"xy",
        struct.pack(">BBL", 0x77, 0, 4) + b"what",
        struct.pack(">BBL", 0x05, 0, 0),
    ],
    ids=[
        "4 GiB",
        "no such context",
        "garbage",
        "beyond its PDU",
        "a rest",
        "no such PDU",
        "a short release",
    ],
)
def test_nonsense_ends_its_own_association_only(
    start: Callable[..., Acceptor], heard: Heard, pdu: bytes
) -> None:
    acceptor = start()
    other, request = associate(acceptor), request_pdu(acceptor)
    with connect(acceptor) as bad:
        bad.sendall(request)
        assert bad.recv(6)[:1] == b"\x02"
        bad.sendall(pdu)
        while not is_closed_by_peer(bad):
            pass
    wait_until(lambda: heard.closed == 2, "two ends", limit_s=5)
    assert other.send_c_echo().Status == SUCCESS
    other.release()


def store_fragments(instance_uid: str, context_id: int, *pieces: bytes) -> list[bytes]:
    """A C-STORE request as presentation data values: its command set in two, then the pieces."""
    request = C_STORE()
    request.MessageID, request.Priority = 7, 0
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = CTImageStorage, instance_uid
    request.DataSet = BytesIO(b"as long as it is there")
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    [pdata] = list(message.encode_msg(context_id, 0))[:1]
    command = pdata.presentation_data_value_list[0][1][1:]
    values = [(0x01, command[:30]), (0x03, command[30:])]
    values += [(0x00, piece) for piece in pieces[:-1]] + [(0x02, pieces[-1])]
    return [
        struct.pack(">LBB", len(value) + 2, context_id, control) + value
        for control, value in values
    ]


def pdata_pdu(*values: bytes) -> bytes:
    body = b"".join(values)
    return struct.pack(">BBL", 0x04, 0, len(body)) + body


#: How the five presentation data values of a request may be spread over PDUs.
SPREADS = [[5], [1, 1, 1, 1, 1], [2, 3], [3, 1, 1], [1, 4]]
#: Of the contexts that `associate` asks for, that of CT.
CT_CONTEXT = 3


@pytest.mark.parametrize("spread", SPREADS, ids=str)
def test_a_request_arrives_however_it_is_cut(
    start: Callable[..., Acceptor], heard: Heard, spread: list[int]
) -> None:
    acceptor = start()
    values = store_fragments("1.2.345", CT_CONTEXT, b"one", b"", b"three")
    with connect(acceptor) as sender:
        sender.sendall(request_pdu(acceptor))
        skip_pdu(sender)
        for count in spread:
            sender.sendall(pdata_pdu(*values[:count]))
            del values[:count]
        answer = skip_pdu(sender)
    assert heard.last == b"onethree"
    assert b"1.2.345\0" in answer
    assert struct.pack("<HHLH", 0, 0x0900, 2, SUCCESS) in answer


def skip_pdu(connection: socket.socket) -> bytes:
    """The next PDU behind its header."""
    head = connection.recv(6, socket.MSG_WAITALL)
    return connection.recv(struct.unpack(">BBL", head)[2], socket.MSG_WAITALL)


def test_a_request_in_a_context_that_nobody_agreed_on_is_not_kept(
    start: Callable[..., Acceptor], heard: Heard
) -> None:
    acceptor = start()
    other = associate(acceptor)
    with connect(acceptor) as bad:
        bad.sendall(request_pdu(acceptor))
        skip_pdu(bad)
        bad.sendall(pdata_pdu(*store_fragments("1.2.3", 99, b"data")))
        assert bad.recv(6, socket.MSG_WAITALL)[:1] == b"\x07"  # A-ABORT
    assert heard.received == []
    assert other.send_c_echo().Status == SUCCESS
    other.release()


def test_a_fault_of_ours_is_answered_and_ends_nothing(
    start: Callable[..., Acceptor],
) -> None:
    acceptor = start()
    acceptor.bind(evt.EVT_C_STORE, lambda _: [][0])
    association = associate(acceptor)
    ct = instance("1.2.3", "1.2", 0)
    assert association.send_c_store(ct).Status == StoreStatus.PROCESSING_FAILURE
    assert association.send_c_echo().Status == SUCCESS
    association.release()


def test_the_end_of_a_long_data_set_is_dropped(
    start: Callable[..., Acceptor], heard: Heard
) -> None:
    association = associate(start())
    ct = instance("1.2.3", "1.2", 0)
    short = len(ct.PixelData)
    for size in (short, 4 * LIMITS.max_data_set_bytes, short):
        ct.PixelData = bytes(size)
        assert association.send_c_store(ct).Status == SUCCESS
    association.release()
    before, long, after = heard.received
    assert before == after
    assert 0 < long - LIMITS.max_data_set_bytes <= LIMITS.max_pdu_bytes


def test_a_command_set_that_never_ends_is_cut_off(
    start: Callable[..., Acceptor], heard: Heard
) -> None:
    acceptor = start()
    fragment = struct.pack(">LBB", 2 + 2048, 1, 0x01) + bytes(2048)
    with connect(acceptor) as endless:
        endless.sendall(request_pdu(acceptor))
        assert endless.recv(6)[:1] == b"\x02"
        for _ in range(33):
            endless.sendall(struct.pack(">BBL", 0x04, 0, len(fragment)) + fragment)
        while not is_closed_by_peer(endless):
            pass
    wait_until(lambda: heard.closed == 2, "both ends", limit_s=5)


def test_a_peer_that_vanishes_in_mid_instance_is_noticed(
    start: Callable[..., Acceptor], heard: Heard
) -> None:
    acceptor = start()
    request = request_pdu(acceptor)
    with connect(acceptor) as gone:
        gone.sendall(request)
        assert gone.recv(6)[:1] == b"\x02"
        gone.sendall(struct.pack(">BBL", 0x04, 0, 8000) + bytes(100))
    wait_until(lambda: heard.closed == 2, "both ends", limit_s=5)


def test_a_peer_that_falls_silent_in_mid_instance_is_cut_off(
    start: Callable[..., Acceptor], heard: Heard
) -> None:
    acceptor = start(replace(LIMITS, idle_timeout_s=0.3))
    request = request_pdu(acceptor)
    with connect(acceptor) as silent:
        silent.sendall(request)
        skip_pdu(silent)
        silent.sendall(struct.pack(">BBL", 0x04, 0, 8000) + bytes(100))
        wait_until(lambda: heard.closed == 2, "both ends", limit_s=5)


def test_an_address_that_is_not_admitted_is_cut_before_a_word(
    start: Callable[..., Acceptor], heard: Heard
) -> None:
    with connect(start(admits=lambda _: False)) as stranger:
        assert is_closed_by_peer(stranger)
    assert heard.refused == ["the address is not allowed"]
    assert heard.opened == 0


def test_stop_waits_for_work_and_aborts_what_stays(
    start: Callable[..., Acceptor], heard: Heard
) -> None:
    acceptor = start()
    staying = associate(acceptor)
    acceptor.stop(0.2)
    wait_until(lambda: staying.is_aborted, "an abort", limit_s=5)
    assert heard.closed == 1
    with pytest.raises(ConnectionRefusedError):
        connect(acceptor)


def test_two_acceptors_share_a_port(start: Callable[..., Acceptor]) -> None:
    first = start(share_port=True)
    entity = AE("SECOND")
    entity.add_supported_context(VERIFICATION)
    second = Acceptor(entity, first.server_address, [], LIMITS, share_port=True)
    assert second.server_address == first.server_address
    second.server_close()


def test_an_answer_from_another_thread_is_sent_at_once(
    start: Callable[..., Acceptor],
) -> None:
    """The library answers N-EVENT-REPORT in a thread of its own."""
    acceptor = start()
    acceptor.bind(evt.EVT_N_EVENT_REPORT, lambda _: (SUCCESS, None))
    role = build_role(StorageCommitmentPushModel, scp_role=True)
    association = associate(acceptor, ext_neg=[role])
    information = Dataset()
    information.TransactionUID = "1.2.3"
    began = time.monotonic()
    status, _ = association.send_n_event_report(
        information, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
    )
    assert status.Status == SUCCESS
    assert time.monotonic() - began < LIMITS.idle_timeout_s / 2
    association.release()


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts of a server and of its client."""
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    client = ssl.create_default_context(cafile=certificate)
    client.check_hostname = False
    return server, client


def test_tls(
    start: Callable[..., Acceptor], heard: Heard, tls: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    server, client = tls
    association = associate(start(tls=server), tls_args=(client, "localhost"))
    ct = instance("1.2.3", "1.2", 0)
    ct.PixelData = bytes(200_000)
    assert association.send_c_store(ct).Status == SUCCESS
    association.release()
    assert heard.received[0] > 200_000


def test_a_stalled_tls_handshake_stalls_nobody(
    start: Callable[..., Acceptor], heard: Heard, tls: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    server, client = tls
    acceptor = start(replace(LIMITS, handshake_timeout_s=1.0), tls=server)
    with connect(acceptor) as silent, connect(acceptor) as plain:
        plain.sendall(b"\x01\x00 this is no TLS")
        echo(acceptor, tls_args=(client, "localhost"))
        assert is_closed_by_peer(silent)
    assert sorted(reason[:4] for reason in heard.refused) == ["TLS:", NO_REQUEST[:4]]


def replay(acceptor: Acceptor, pdus: list[bytes]) -> None:
    """One association from its bytes; an answer is read after each PDU."""
    with connect(acceptor) as connection:
        for pdu in pdus:
            connection.sendall(pdu)
            head = connection.recv(6, socket.MSG_WAITALL)
            connection.recv(struct.unpack(">BBL", head)[2], socket.MSG_WAITALL)


def live_objects() -> int:
    gc.collect()
    return len(gc.get_objects())


def test_memory_does_not_grow_with_associations(
    start: Callable[..., Acceptor], heard: Heard
) -> None:
    acceptor, pdus = start(), []
    note = [(evt.EVT_DATA_SENT, lambda event: pdus.append(event.data))]
    echo(acceptor, evt_handlers=note)
    assert len(pdus) == 3  # request, C-ECHO, release
    for _ in range(20):
        replay(acceptor, pdus)
    wait_until(lambda: heard.closed == 21, "all ends", limit_s=5)
    before = live_objects()
    for _ in range(300):
        replay(acceptor, pdus)
    wait_until(lambda: heard.closed == 321, "all ends", limit_s=5)
    # One object kept for each association would be 300 more.
    assert live_objects() - before < 150
