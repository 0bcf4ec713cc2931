"""Real archives to retrieve from, and how a test asks them."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deploy.local_pacs import OrthancPacs, find_orthanc
from deploy.processes import LOOPBACK, free_port
from dicom_node import delivery, retrieval
from dicom_node.audit import SILENT
from dicom_node.config_tables import Listener, PeerTls, QueryPeer, Sender
from dicom_node.move_destination import MoveDestination
from tests.conftest import missing
from tests.dcmqrscp import Dcmqrscp

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from dicom_node.config_tables import Tls
    from dicom_node.retrieval import Conditions, Retrieved, Wanted

#: Our AE title when we ask, and when we are sent to.
ASKING, TAKING = "HARVESTER", "HARVEST_SCP"


@dataclass(frozen=True)
class Archive:
    """An archive that knows both of our AE titles."""

    #: The archive as a Query/Retrieve SCP.
    peer: QueryPeer
    #: Takes what it sends by C-MOVE; listens.
    destination: MoveDestination

    def keep(self, paths: Sequence[Path]) -> None:
        """Store files into it."""
        sent = delivery.send([(path,) for path in paths], self.peer, ASKING, timeout_s=30)
        assert sent.outcome is delivery.Outcome.ACKNOWLEDGED, sent.reason

    def retrieve(
        self, by: str, wanted: Wanted, folder: Path, conditions: Conditions | None = None
    ) -> Retrieved:
        """By "get" or by "move"."""
        conditions = conditions or retrieval.Conditions(timeout_s=10)
        if by == "get":
            return retrieval.get(wanted, self.peer, ASKING, folder, conditions)
        return retrieval.move(wanted, self.peer, ASKING, folder, self.destination, conditions)


@contextmanager
def orthanc(folder: Path, *, tls: Tls | None = None, **keys: object) -> Iterator[Archive]:
    """Orthanc with a storage of its own; by TLS both ways with `tls`, which both sides show.

    `keys` are of its configuration.
    """
    if find_orthanc() is None:
        missing("Orthanc")
    port = free_port()
    secured = {} if tls is None else _secured(tls)
    known = {
        "asking": {"AET": ASKING, "Host": LOOPBACK, "Port": port},
        "taking": {"AET": TAKING, "Host": LOOPBACK, "Port": port, "UseDicomTls": tls is not None},
    }
    with (
        OrthancPacs(folder, DicomModalities=known, **secured, **keys) as pacs,
        _archive(pacs.ae_title, pacs.dicom_port, port, tls) as archive,
    ):
        yield archive


@contextmanager
def dcmqrscp(folder: Path) -> Iterator[Archive]:
    """DCMTK's archive."""
    port = free_port()
    with ExitStack() as stack:
        try:
            pacs = stack.enter_context(Dcmqrscp(folder, {TAKING: port}))
        except FileNotFoundError:
            missing("DCMTK (dcmqrscp)")
        yield stack.enter_context(_archive(pacs.ae_title, pacs.port, port, None))


ARCHIVES = {"orthanc": orthanc, "dcmqrscp": dcmqrscp}


@contextmanager
def _archive(ae_title: str, port: int, our_port: int, tls: Tls | None) -> Iterator[Archive]:
    peer = QueryPeer(
        host=LOOPBACK,
        port=port,
        ae_title=ae_title,
        tls=PeerTls(**tls.model_dump()) if tls else None,
    )
    settings = Listener(
        port=our_port, ae_title=TAKING, sender=(Sender(ae_title=ae_title),), tls=tls
    )
    with MoveDestination(settings, SILENT) as destination:
        yield Archive(peer, destination)


def _secured(tls: Tls) -> dict[str, object]:
    """Orthanc's keys for DICOM by TLS."""
    return {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": tls.certificate,
        "DicomTlsPrivateKey": tls.key,
        "DicomTlsTrustedCertificates": tls.ca,
    }
