"""The status page, the metrics and the health checks of a node: what a person or a monitor sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from dbos import DBOSClient

    from dicom_node.audit import Trail
    from dicom_node.config import Settings
    from dicom_node.history import History
    from dicom_node.live import Live
    from dicom_node.receipts import Receipts
    from dicom_node.revisions import Revisions
    from dicom_node.spool import Spool
    from dicom_node.totals import Totals
    from dicom_node.vitals import Vitals
    from plugin import Plugin


@dataclass(frozen=True)
class Sources:
    """What pages, metrics and health checks read from, and act on."""

    #: The configuration, which may change in a running node.
    live: Live[Settings]
    #: Whether this process receives.
    receives: bool
    #: Whether its parts do what they are there for.
    vitals: Vitals
    #: What its processes have counted.
    totals: Totals
    #: The plugin that runs in this process; None where it only receives.
    analyser: Plugin | None
    #: Received instances.
    spool: Spool
    #: What was made of them.
    revisions: Revisions
    #: What destinations have acknowledged.
    receipts: Receipts
    #: Where every series stands.
    history: History
    #: The work queue.
    client: DBOSClient
    #: Who saw whose name.
    trail: Trail
    #: The time, with its zone.
    clock: Callable[[], datetime]

    @property
    def settings(self) -> Settings:
        """The configuration of this moment."""
        return self.live.now
