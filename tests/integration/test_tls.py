"""TLS with client certificates, in both directions, against DCMTK and Orthanc."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from deploy.local_pacs import OrthancPacs, find_orthanc
from deploy.processes import LOOPBACK, LocalProcess, find_dcmtk
from dicom_node import delivery
from dicom_node.config_tables import Destination, PeerTls
from tests.certificates import Authority, Keys
from tests.conftest import missing
from tests.instances import write_series
from tests.node import SENDER, Node, eventually
from tests.peers import hears_end, silent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HANDSHAKE_S = 1.5
#: The node's name in its certificate; it is reached by another one, too.
NODE_NAMES = "DNS:node.hospital.example,IP:127.0.0.1"

# pynetdicom leaves the socket of a connection that failed to the garbage collection.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def hospital(folder: Path) -> Authority:
    return Authority(folder / "hospital", "hospital")


@pytest.fixture(scope="module")
def sender(hospital: Authority) -> Keys:
    return hospital.issue("sender")


@pytest.fixture(scope="module")
def stranger(folder: Path, hospital: Authority) -> Keys:
    """A certificate of a CA that the node does not know; it trusts the node all the same."""
    other = Authority(folder / "elsewhere", "elsewhere").issue("stranger")
    return Keys(other.certificate, other.key, hospital.certificate)


@pytest.fixture(scope="module")
def pacs(folder: Path, hospital: Authority) -> Iterator[OrthancPacs]:
    """An Orthanc that speaks TLS only, and wants certificates."""
    if find_orthanc() is None:
        missing("Orthanc")
    keys = hospital.issue("orthanc")
    with OrthancPacs(
        folder / "orthanc",
        DicomTlsEnabled=True,
        DicomTlsCertificate=str(keys.certificate),
        DicomTlsPrivateKey=str(keys.key),
        DicomTlsTrustedCertificates=str(keys.ca),
        DicomTlsRemoteCertificateRequired=True,
    ) as running:
        yield running


@pytest.fixture(scope="module")
def closed(folder: Path, hospital: Authority, pacs: OrthancPacs) -> Iterator[Node]:
    """A node that takes TLS only, and reports to and asks that Orthanc by TLS."""
    keys = hospital.issue("node", names=NODE_NAMES)
    limits = {"tls": keys.table, "handshake_timeout_s": HANDSHAKE_S}
    node = Node(
        folder / "node",
        [("pacs", pacs.ae_title, pacs.dicom_port)],
        wishes={"pacs": {"tls": keys.table}},
        listener=limits,
        completion={
            "quiet_period_s": 30.0,
            "query": {
                "host": LOOPBACK,
                "port": pacs.dicom_port,
                "ae_title": pacs.ae_title,
                "tls": keys.table,
            },
        },
    )
    ready = f"listening as LESIONMARK on {LOOPBACK}:{node.port}"
    node.process = LocalProcess(
        "lesionmark",
        node.command("serve"),
        log=node.process.log,
        answers=lambda: ready in node.process.log.read_text(),
    )
    with node:
        yield node


def echoscu(port: int, *options: str | Path) -> int:
    """Exit status of DCMTK's C-ECHO."""
    return _run("echoscu", *options, LOOPBACK, port)


def storescu(port: int, *options: str | Path, folder: Path) -> int:
    """Exit status of DCMTK's C-STORE of a folder."""
    return _run("storescu", "+sd", *options, LOOPBACK, port, folder)


def _run(tool: str, *arguments: str | Path | int) -> int:
    program = find_dcmtk(tool)
    if program is None:
        missing(f"DCMTK's {tool}")
    command = [str(program), "-aet", SENDER, "-aec", "LESIONMARK", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode


def shown(keys: Keys) -> list[str | Path]:
    """DCMTK's options for a certificate."""
    return ["+tls", keys.key, keys.certificate, "+cf", keys.ca]


def peer(node: Node, keys: Keys | None) -> Destination:
    """The node as a requestor with that certificate sees it."""
    tls = None if keys is None else PeerTls.model_validate(keys.table)
    return node.peer.model_copy(update={"tls": tls})


def echo(node: Node, keys: Keys | None) -> delivery.Sent:
    return delivery.echo(peer(node, keys), SENDER, timeout_s=5)


def handshake(port: int, keys: Keys | None, **limits: Any) -> str:
    """The TLS version that is agreed on. Raises ssl.SSLError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers(limits.pop("ciphers", "DEFAULT"))
    for key, value in limits.items():
        setattr(context, key, value)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if keys is not None:
        context.load_cert_chain(keys.certificate, keys.key)
    with (
        socket.create_connection((LOOPBACK, port), timeout=10) as connection,
        context.wrap_socket(connection) as secured,
    ):
        secured.sendall(b"\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00")
        secured.recv(1)
        return str(secured.version())


@pytest.mark.parametrize("profile", ["--profile-bcp195-nd", "--profile-bcp195-ex"])
def test_dcmtk_with_a_right_certificate_is_let_in(closed: Node, sender: Keys, profile: str) -> None:
    assert echoscu(closed.port, *shown(sender), profile) == 0


def test_dcmtk_without_a_certificate_stays_out(closed: Node) -> None:
    assert echoscu(closed.port) != 0
    assert echoscu(closed.port, "+tla", "-ic") != 0


def test_a_certificate_of_another_ca_stays_out(closed: Node, stranger: Keys) -> None:
    assert echoscu(closed.port, *shown(stranger)) != 0
    assert echo(closed, stranger).outcome is not delivery.Outcome.ACKNOWLEDGED
    log = closed.process.log
    eventually(lambda: "certificate verify failed" in log.read_text(), "the reason", limit_s=5)


def test_a_requestor_of_ours_is_let_in_by_its_certificate_only(closed: Node, sender: Keys) -> None:
    assert echo(closed, sender).outcome is delivery.Outcome.ACKNOWLEDGED
    assert echo(closed, None).outcome is not delivery.Outcome.ACKNOWLEDGED


@pytest.mark.parametrize("check_host", [True, False])
def test_a_requestor_of_ours_wants_the_name_of_the_host(
    closed: Node, sender: Keys, check_host: bool, caplog: pytest.LogCaptureFixture
) -> None:
    table: dict[str, Any] = {**sender.table, "check_host": check_host}
    by_name = peer(closed, sender).model_copy(
        update={"host": "localhost", "tls": PeerTls.model_validate(table)}
    )
    outcome = delivery.echo(by_name, SENDER, timeout_s=5).outcome
    assert (outcome is delivery.Outcome.ACKNOWLEDGED) is not check_host
    assert ("not valid for 'localhost'" in caplog.text) is check_host


@pytest.mark.parametrize(
    ("limits", "agreed"),
    [
        ({"maximum_version": ssl.TLSVersion.TLSv1_2}, "TLSv1.2"),
        ({"minimum_version": ssl.TLSVersion.TLSv1_3}, "TLSv1.3"),
    ],
)
def test_tls_from_1_2_on_is_spoken(
    closed: Node, sender: Keys, limits: dict[str, Any], agreed: str
) -> None:
    assert handshake(closed.port, sender, **limits) == agreed


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
@pytest.mark.parametrize(
    "limits",
    [
        {
            "minimum_version": ssl.TLSVersion.TLSv1,
            "maximum_version": ssl.TLSVersion.TLSv1_1,
            "ciphers": "ALL:@SECLEVEL=0",
        },
        {"maximum_version": ssl.TLSVersion.TLSv1_2, "ciphers": "AES128-SHA"},
        {"maximum_version": ssl.TLSVersion.TLSv1_2, "ciphers": "ECDHE-RSA-AES256-SHA384"},
    ],
    ids=["TLS 1.1", "RSA key exchange", "CBC"],
)
def test_what_bcp_195_forbids_is_not_spoken(
    closed: Node, sender: Keys, limits: dict[str, Any]
) -> None:
    with pytest.raises(ssl.SSLError):
        handshake(closed.port, sender, **limits)


def test_half_open_handshakes_stall_nobody(closed: Node, sender: Keys) -> None:
    with silent(closed.port, 50) as connections:
        began = time.monotonic()
        assert echo(closed, sender).outcome is delivery.Outcome.ACKNOWLEDGED
        assert time.monotonic() - began < HANDSHAKE_S / 2
        assert all(hears_end(connection, within_s=2 * HANDSHAKE_S) for connection in connections)


def test_a_series_comes_and_its_report_goes_by_tls(
    closed: Node, sender: Keys, pacs: OrthancPacs, tmp_path: Path
) -> None:
    series = write_series(tmp_path / "ct", 4)
    # Orthanc holds the series, so that its count ends the wait: the query goes by TLS too.
    for path in series.paths:
        pacs.upload(path)
    assert storescu(closed.port, *shown(sender), folder=tmp_path / "ct") == 0
    closed.wait_for(series, "delivered", limit_s=20)
    assert pacs.reports(series.study_uid)


def test_orthanc_sends_to_the_node_by_tls(closed: Node, pacs: OrthancPacs) -> None:
    modality = {
        "AET": "LESIONMARK", "Host": LOOPBACK, "Port": closed.port, "UseDicomTls": True
    }  # fmt: skip
    pacs.request("PUT", "/modalities/node", json.dumps(modality).encode())
    pacs.ask("POST", "/modalities/node/echo", {})


def test_a_destination_with_a_certificate_of_another_ca_gets_nothing(
    pacs: OrthancPacs,
    stranger: Keys,
    hospital: Authority,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    series = write_series(tmp_path / "ct", 1)
    ours = hospital.issue("us")
    tls = PeerTls.model_validate(ours.table | {"ca": str(stranger.certificate)})
    to = Destination(
        name="pacs", host=LOOPBACK, port=pacs.dicom_port, ae_title=pacs.ae_title, tls=tls
    )
    sent = delivery.send([series.paths], to, SENDER, timeout_s=5)
    assert sent.outcome is delivery.Outcome.TRY_AGAIN
    assert pacs.series(series.study_uid) == []
    assert f"TLS with {LOOPBACK}:{pacs.dicom_port}" in caplog.text
