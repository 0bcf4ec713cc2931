"""What a test series leaves in this node: instances, objects to send, and work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dicom_node import database, service
from dicom_node.ledger import Ledger
from dicom_node.revisions import Revisions
from dicom_node.spool import Shelf
from dicom_node.standing import ACTIVE
from dicom_node.transactions import Transactions
from dicom_node.work import PROVE, RETIRE, SETTLE, DeliveryId

if TYPE_CHECKING:
    from dbos import DBOSClient

    from dicom_node.config import Settings


def remove(settings: Settings, series_uid: str) -> int:
    """Remove everything about a series; how many pieces of work are being done all the same.

    Those are told to stop, and stay in the queue as stopped. Raises NodeError.
    """
    with database.open_client(settings) as client:
        about = _about(client, series_uid)
        ids = [*about, *_looks(client, series_uid)]
        running = {
            work.workflow_id for work in client.list_workflows(workflow_ids=ids, status="PENDING")
        }
        client.cancel_workflows(ids)
        _remove_files(settings, series_uid)
        _forget_commitments(settings, about)
        client.delete_workflows([each for each in ids if each not in running])
    return len(running)


def _about(client: DBOSClient, series_uid: str) -> list[str]:
    """Ids of all work on a series that a person would see."""
    ledger = Ledger(client)
    digests = {status.analysis.digest for status in ledger.of(series_uid) if status.analysis}
    return ledger.about(series_uid, sorted(digests))


def _looks(client: DBOSClient, series_uid: str) -> list[str]:
    """Ids of what waits to look at a series, or to delete its instances; named by nothing."""
    waiting = client.list_workflows(name=[SETTLE, RETIRE], status=list(ACTIVE), load_output=False)
    return [
        work.workflow_id
        for work in waiting
        if work.input is not None and work.input["args"][0] == series_uid
    ]


def _remove_files(settings: Settings, series_uid: str) -> None:
    spool = service.open_spool(settings)
    for shelf in (Shelf.SERIES, Shelf.ASIDE):
        held = {held.sop_instance_uid for held in spool.held(series_uid, shelf)}
        spool.remove(series_uid, held, shelf)
    Revisions(Path(settings.node.state_dir) / "reports").drop(series_uid)


def _forget_commitments(settings: Settings, ids: list[str]) -> None:
    folder = Path(settings.node.state_dir) / "commitments"
    transactions = Transactions(folder, settings.listener.ae_title)
    for workflow_id in ids:
        if workflow_id.startswith(f"{PROVE}/"):
            transactions.forget(DeliveryId.parse(workflow_id))
