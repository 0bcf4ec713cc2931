"""The archive of the configuration as a source."""

from __future__ import annotations

import shutil
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dicom_node import retrieval
from dicom_node.audit import Party, open_trail
from dicom_node.errors import ConfigError
from dicom_node.harvest.archive import Archive, Ways
from dicom_node.harvest.pace import Pace
from dicom_node.hours import Hours
from dicom_node.instance import Sizes
from dicom_node.move_destination import MoveDestination
from dicom_node.retrieval import Conditions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from threading import Event

    from dicom_node.audit import Trail
    from dicom_node.config import Settings
    from dicom_node.config_tables import Listener, QueryPeer
    from dicom_node.harvest.logbook import Logbook
    from dicom_node.harvest.selection import Selection
    from dicom_node.retrieval import Retrieved, Wanted

_HOUR_S = 3600.0


@contextmanager
def open_archive(
    settings: Settings,
    selection: Selection,
    logbook: Logbook,
    folder: Path,
    *,
    by: str | None,
    stop: Event,
    say: Callable[[str], None],
) -> Iterator[Archive]:
    """Ready to be asked; `by` is "get" or "move", None for what the configuration says.

    Raises ConfigError, naming the key that is missing.
    """
    table = settings.harvest
    if table.peer is None:
        raise ConfigError("harvest.peer: is missing: it says which archive to ask")
    pace = Pace(
        Hours.parse(table.hours),
        table.associations_per_minute,
        table.instances_per_minute,
        wait=stop.wait,
        on_closed=lambda s: say(f"waiting {s / _HOUR_S:.1f} h for harvest.hours {table.hours}"),
    )
    Path(settings.node.state_dir).mkdir(parents=True, exist_ok=True)  # of the audit trail
    trail = open_trail(settings, lambda: datetime.now(UTC).astimezone())
    conditions = Conditions(
        timeout_s=table.peer.timeout_s,
        sizes=Sizes(
            settings.listener.max_instance_mb << 20, settings.listener.max_decoded_mb << 20
        ),
        is_cancelled=pace.is_over,
        trail=trail,
    )
    with ExitStack() as stack:
        stack.callback(trail.close)
        # Patients' instances stay no longer than the harvest, killed ones included.
        shutil.rmtree(folder, ignore_errors=True)
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        fetch = stack.enter_context(_fetch(settings, table.peer, by or table.by, conditions, trail))
        ways = Ways(
            table.peer,
            table.ae_title,
            fetch,
            pace,
            table.most_answers,
            table.slices_around,
            on_query=partial(trail.queried, Party(table.peer.ae_title, table.peer.host)),
        )
        yield Archive(ways, selection, logbook, folder)


@contextmanager
def _fetch(
    settings: Settings, peer: QueryPeer, by: str, conditions: Conditions, trail: Trail
) -> Iterator[Callable[[Wanted, Path], Retrieved]]:
    ours = settings.harvest.ae_title
    if by == "get":
        yield lambda wanted, folder: retrieval.get(wanted, peer, ours, folder, conditions)
        return
    with MoveDestination(_destination(settings), trail) as destination:
        yield lambda wanted, folder: retrieval.move(
            wanted, peer, ours, folder, destination, conditions
        )


def _destination(settings: Settings) -> Listener:
    """The listener's limits, at another address and for other senders."""
    table = settings.harvest.destination
    if table is None:
        raise ConfigError("harvest.destination: is missing: C-MOVE needs a place to send to")
    return settings.listener.model_copy(update={"processes": 0, **dict(table)})
