"""A work queue with a long past: what a node has written down after thousands of series."""

from __future__ import annotations

import base64
import json
import pickle
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from dicom_node.states import DeliveryState, SeriesState
from dicom_node.wording import plural
from dicom_node.work import ANALYSE, DELIVER, WALK_VERSION, AnalysisId, DeliveryId, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_ROOT = "1.2.826.0.1.3680043.8.498"
#: Of so many series one is refused, and one cannot be delivered.
_REFUSED_EVERY, _FAILED_EVERY = 40, 97


@dataclass(frozen=True)
class Past:
    """One series of long ago."""

    #: Series Instance UID.
    series_uid: str
    #: How it ended.
    state: SeriesState
    #: When it was whole, seconds since the epoch.
    whole_at: float


def invent(count: int, end: float, every_s: float = 60.0) -> list[Past]:
    """So many series, oldest first, the last at `end` (seconds since the epoch)."""
    return [
        Past(f"{_ROOT}.{number:08}.{7 + number % 89}", _state(number), end - every_s * left)
        for number, left in enumerate(reversed(range(count)))
    ]


def write(database: Path, series: Iterable[Past], destination: str = "pacs") -> None:
    """Into the work queue (SQLite) of a node that does not run."""
    works = [work for one in series for work in _works(one, destination)]
    with closing(sqlite3.connect(database)) as connection, connection:
        for table in ("workflow_status", "workflow_input", "workflow_output"):
            rows = [work[table] for work in works]
            names = ", ".join(rows[0])
            marks = ", ".join("?" * len(rows[0]))
            connection.executemany(
                f"INSERT INTO {table} ({names}) VALUES ({marks})",
                [tuple(row.values()) for row in rows],
            )


def _state(number: int) -> SeriesState:
    if number % _REFUSED_EVERY == _REFUSED_EVERY - 1:
        return SeriesState.REFUSED
    return SeriesState.FAILED if number % _FAILED_EVERY == 0 else SeriesState.DELIVERED


def _works(one: Past, destination: str) -> Iterator[dict[str, dict[str, Any]]]:
    digest = sha256(one.series_uid.encode()).hexdigest()[:16]
    analysis = AnalysisId(one.series_uid, digest, 0)
    # A day has its busy hours.
    took_s = 0.4 + int(digest[:4], 16) / 65536 + 0.6 * abs((one.whole_at / 3600) % 12 - 6) / 6
    analysed_at = one.whole_at + took_s
    arguments: tuple[Any, ...] = (one.series_uid, digest)
    refused = one.state is SeriesState.REFUSED
    state = one.state if refused else SeriesState.DELIVERING
    reason = (
        "only 2 slices" if refused else f"{plural(int(digest[4], 16) % 5, 'lesion')}, 0 remarks"
    )
    outcome = Outcome(state=state, reason=reason, at=analysed_at, again_s=None)
    outcome["whole_at"] = one.whole_at
    yield _row(ANALYSE, str(analysis), one.whole_at, outcome, arguments)
    if refused:
        return
    failed = one.state is SeriesState.FAILED
    sent = Outcome(
        state=DeliveryState.FAILED if failed else DeliveryState.DELIVERED,
        reason="out of resources (0xA700)" if failed else "1 objects",
        at=analysed_at + 0.1,
        again_s=None,
    )
    delivery = DeliveryId(DELIVER, one.series_uid, digest, destination, 0)
    arguments = (one.series_uid, digest, destination, 0, analysed_at, 0)
    yield _row(DELIVER, str(delivery), analysed_at, sent, arguments)


def _row(
    name: str, workflow_id: str, created_at: float, outcome: Outcome, arguments: tuple[Any, ...]
) -> dict[str, dict[str, Any]]:
    """One finished workflow, table by table."""
    began, ended = int(created_at) * 1000, int(outcome["at"]) * 1000
    kept = {"workflow_uuid": workflow_id, "retention_timestamp": began}
    return {
        "workflow_status": {
            "workflow_uuid": workflow_id,
            "status": "SUCCESS",
            "name": name,
            "executor_id": "lesionmark",
            "created_at": began,
            "updated_at": ended,
            "started_at_epoch_ms": began,
            "completed_at": ended,
            "application_version": WALK_VERSION,
            "application_id": "",
            "recovery_attempts": 1,
            "queue_name": name,
            "priority": 0,
            "serialization": "py_pickle",
            "attributes": json.dumps(None),
            "application_name": "lesionmark",
        },
        "workflow_input": kept | {"inputs": _encoded({"args": arguments, "kwargs": {}})},
        "workflow_output": kept | {"output": _encoded(dict(outcome))},
    }


def _encoded(value: Any) -> str:
    return base64.b64encode(pickle.dumps(value)).decode("ascii")
