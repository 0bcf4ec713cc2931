"""Requests for storage commitment and the reports on them, on disk (PS3.4 J).

    <root>/<Transaction UID>.request.json     which delivery, which instances; written first
    <root>/<Transaction UID>.report.json      what the peer reported

A report may come to another process than the one that asked, or when none of them runs any
more that did: what it is about is found by its Transaction UID alone.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from dicom_node.durable import DurableFolders, write_durably
from dicom_node.work import DeliveryId
from plugin.uids import derive

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydicom.uid import UID


@dataclass(frozen=True)
class Transaction:
    """One request to commit to the safekeeping of some instances."""

    #: Transaction UID (0008,1195).
    uid: str
    #: The try that asked.
    delivery: DeliveryId
    #: SOP Class UID of each instance, by its SOP Instance UID.
    instances: Mapping[str, str]


@dataclass(frozen=True)
class Report:
    """What a peer reported on a transaction (PS3.4 J.3.3)."""

    #: SOP Instance UIDs that it is committed to keep.
    kept: tuple[str, ...]
    #: Failure Reason (0008,1197) of each SOP Instance UID that it is not.
    failed: Mapping[str, int]


class Transactions:
    """The folder of transactions; several processes may share it."""

    def __init__(self, root: Path, node: str) -> None:
        """`node` tells the Transaction UIDs of this node from those of others."""
        self._root = root
        self._node = node
        DurableFolders().make(root)

    def uid(self, delivery: DeliveryId) -> UID:
        """The Transaction UID of one try, the same when the try is repeated after a crash."""
        return derive("transaction", self._node, str(delivery))

    def open(self, delivery: DeliveryId, instances: Mapping[str, str]) -> Transaction:
        """Write down what is asked; on return a report on it can be understood."""
        transaction = Transaction(self.uid(delivery), delivery, instances)
        self._write(f"{transaction.uid}.request.json", asdict(transaction))
        return transaction

    def find(self, uid: UID) -> Transaction | None:
        """The transaction of that UID, if this node has opened it."""
        if not uid.is_valid:
            return None
        path = self._root / f"{uid}.request.json"
        if not path.exists():
            return None
        record = json.loads(path.read_bytes())
        return Transaction(**record | {"delivery": DeliveryId(**record["delivery"])})

    def close(self, transaction: Transaction, report: Report) -> None:
        """Keep a report; on return it survives a power cut.

        A peer that has once committed to every instance is held to it.
        """
        if not self.is_committed(transaction.delivery):
            self._write(f"{transaction.uid}.report.json", asdict(report))

    def report(self, delivery: DeliveryId) -> Report | None:
        """What was reported on what a try asked."""
        path = self._root / f"{self.uid(delivery)}.report.json"
        if not path.exists():
            return None
        record = json.loads(path.read_bytes())
        return Report(tuple(record["kept"]), record["failed"])

    def take(self, delivery: DeliveryId) -> Report | None:
        """A report that does not commit to everything, once: it says nothing of other tries."""
        report = self.report(delivery)
        (self._root / f"{self.uid(delivery)}.report.json").unlink(missing_ok=True)
        return report

    def forget(self, delivery: DeliveryId) -> None:
        """Delete what a try asked and what was reported on it."""
        for kind in ("report", "request"):
            (self._root / f"{self.uid(delivery)}.{kind}.json").unlink(missing_ok=True)

    def is_committed(self, delivery: DeliveryId) -> bool:
        """Whether the peer is committed to every instance that a try asked about."""
        transaction, report = self.find(self.uid(delivery)), self.report(delivery)
        if transaction is None or report is None:
            return False
        return set(transaction.instances) <= set(report.kept)

    def _write(self, name: str, record: object) -> None:
        write_durably(self._root / name, json.dumps(record, indent=1).encode())
