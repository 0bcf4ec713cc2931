"""Settings that may change while the node runs: parts ask for them, and keep none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from dicom_node.config_tables import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dicom_node.config import Settings

Value = TypeVar("Value")
Part = TypeVar("Part")


class Live(Generic[Value]):
    """What holds at this moment; whoever asks each time hears of a change."""

    def __init__(self, ask: Callable[[], Value]) -> None:
        self._ask = ask

    @property
    def now(self) -> Value:
        """The value of this moment."""
        return self._ask()

    def part(self, pick: Callable[[Value], Part]) -> Live[Part]:
        """A part of it, as live as the whole."""
        return Live(lambda: pick(self.now))


def fixed(value: Value) -> Live[Value]:
    """What never changes."""
    return Live(lambda: value)


_TLS_OR_LIMITS: Final = frozenset(
    {
        "max_associations",
        "max_associations_per_address",
        "max_pdu_bytes",
        "handshake_timeout_s",
        "idle_timeout_s",
        "max_instance_mb",
        "max_decoded_mb",
        "disk_reserve_mb",
        "sender",
        "tls",
    }
)
_PATIENCE: Final = frozenset({"first_retry_s", "longest_retry_s", "give_up_after_h", "timeout_s"})
#: The keys of a table that change in a running node.
_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "node": frozenset({"log_level"}),
    "listener": _TLS_OR_LIMITS,
    "delivery": _PATIENCE,
}
#: Tables that change as a whole; of every other one nothing changes before the next start.
_WHOLE: Final = frozenset({"completion", "proof", "retention", "destination", "harvest"})


def take_over(
    running: Settings, wanted: Settings, at_start: Settings
) -> tuple[Settings, list[str]]:
    """The running settings with all that may change as wanted; and the keys that have to wait.

    `at_start` are those for which the parts of the node were made.
    """
    tables: dict[str, Any] = {}
    waiting = _made_at_start(at_start, wanted)
    for name, table in running:
        asked = getattr(wanted, name)
        if name in _WHOLE:
            tables[name] = asked
            continue
        tables[name] = _mix(table, asked, _KEYS[name]) if name in _KEYS else table
        waiting += [f"{name}{key}" for key in _differing(tables[name], asked)]
    return running.model_copy(update=tables), waiting


def _mix(running: Table, wanted: Table, keys: frozenset[str]) -> Table:
    return running.model_copy(update={key: getattr(wanted, key) for key in keys})


def _differing(one: object, other: object) -> list[str]:
    """The keys that differ, each with its dot; an empty one where there is no table to compare."""
    if not (isinstance(one, Table) and isinstance(other, Table)):
        return [] if one == other else [""]
    values, others = dict(one), dict(other)
    return sorted(f".{key}" for key in values | others if values.get(key) != others.get(key))


def _made_at_start(at_start: Settings, wanted: Settings) -> list[str]:
    """What destinations may newly ask of parts that are made for them at start."""
    waiting = []
    if not _kinds(wanted) <= _kinds(at_start):
        waiting.append("destination.objects")
    if _reports(wanted) and not _reports(at_start):
        waiting.append("destination.proof")
    return waiting


def _kinds(settings: Settings) -> set[str]:
    return {kind for peer in settings.destination for kind in peer.objects}


def _reports(settings: Settings) -> bool:
    return any(peer.proof == "storage-commitment" for peer in settings.destination)
