"""The part of a node that works: the walk of every series, on the work queue."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dbos import DBOS

from dicom_node import database, query, telemetry
from dicom_node.arriving import Arriving
from dicom_node.audit import Party
from dicom_node.completion import Completion
from dicom_node.ledger import Ledger
from dicom_node.metered import MeteredProofs, MeteredSteps
from dicom_node.receipts import Receipts
from dicom_node.recovery import Recovery
from dicom_node.revisions import Revisions
from dicom_node.spool import ARRIVING
from dicom_node.transactions import Transactions
from dicom_node.vouching import Vouching
from dicom_node.workflow import Workflows

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from dicom_node.audit import Trail
    from dicom_node.completion import Count
    from dicom_node.config import Settings
    from dicom_node.live import Live
    from dicom_node.spool import Spool
    from plugin import Plugin


class Workshop:
    """There can be one in a process, because dbos is a singleton."""

    def __init__(
        self,
        live: Live[Settings],
        spool: Spool,
        analyser: Plugin,
        trail: Trail,
        clock: Callable[[], datetime],
    ) -> None:
        self._live = live
        settings = live.now
        self._spool = spool
        self._analyser = analyser
        self._trail = trail
        self._clock = clock
        self._lease = database.lease(settings)
        state = Path(settings.node.state_dir)
        self._revisions = Revisions(state / "reports")
        self._receipts = Receipts(state / "reports")
        self._transactions = Transactions(state / "commitments", settings.listener.ae_title)

    def hold_lease(self) -> None:
        """Take the name of this worker. Raises NodeError when another process has it."""
        self._lease.hold()

    def start(self) -> None:
        """Work from now on. Raises NodeError when the database does not answer."""
        with database.explained():
            DBOS(config=database.dbos_config(self._settings))
            workflows = self._make_workflows()
            DBOS.launch()
            workflows.open_queues()
        self._recovery = Recovery(
            self._spool,
            self._revisions,
            Ledger(DBOS),
            workflows,
            self._lease,
            executor_id=self._settings.node.name,
            quiet_period_s=self._settings.completion.quiet_period_s,
            keep_s=self._live.part(lambda settings: settings.retention.keep_s),
        )

    def take_stock(self) -> None:
        """Look for what was dropped, now that series can arrive again."""
        self._recovery.start()

    def renew(self) -> None:
        """Nothing: its parts ask for their settings each time."""

    def stuck(self) -> str | None:
        """What keeps work from being done, if anything does."""
        return self._recovery.stuck()

    def stop(self, within_s: float) -> None:
        """Let running work end, or leave it for the next start."""
        deadline = time.monotonic() + within_s
        self._recovery.stop(within_s)
        left = max(1, round(deadline - time.monotonic()))
        DBOS.destroy(workflow_completion_timeout_sec=left)
        telemetry.close(self._settings)
        self._lease.release()

    @property
    def _settings(self) -> Settings:
        return self._live.now

    def _make_workflows(self) -> Workflows:
        steps = MeteredSteps(
            self._live,
            self._spool,
            self._revisions,
            self._receipts,
            self._make_completion(),
            self._analyser,
            self._clock,
            self._trail,
        )
        return Workflows(
            steps,
            MeteredProofs(self._live, self._receipts, self._transactions, self._clock, self._trail),
            Vouching(self._live, self._spool, self._clock),
            Ledger(DBOS),
            parallel_deliveries=self._settings.delivery.parallel,
        )

    def _make_completion(self) -> Completion:
        return Completion(
            self._live.part(lambda settings: settings.completion),
            self._spool,
            self._revisions,
            choose_count=self._choose_count,
            is_arriving=Arriving(self._spool.root / ARRIVING).has,
            started_at=time.time(),
        )

    def _choose_count(self) -> Count | None:
        peer = self._settings.completion.query
        if peer is None:
            return None
        on_query = partial(self._trail.queried, Party(peer.ae_title, peer.host))
        return partial(
            query.count_instances, peer, self._settings.listener.ae_title, on_query=on_query
        )
