"""One row of the data set, together with what it rests on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from plugin.datasets.deeplesion import Row, Split


@dataclass(frozen=True)
class Origin:
    """What the columns of a row rest on; a row of estimates.csv."""

    #: What kind of object the bookmark came in: one of `readers.MODALITIES`.
    source: str
    #: "person", or "not stated".
    author: str
    #: Name of the lesion over time: a UID in place of the tracking UID.
    tracking_uid: str
    #: Place in the body (x, y, z), 0 to 1; each None where it is unknown, even if others are not.
    location: tuple[float | None, ...]
    #: What z was told from: a `location.Basis`.
    location_basis: str
    #: "finding site", "label", "estimated" or "unknown".
    type_basis: str
    #: "slices" where neighbouring slices tell their distance, "header" for a single slice.
    spacing_basis: str


@dataclass(frozen=True)
class Entry:
    """A bookmark in the data set."""

    row: Row
    origin: Origin


def to_json(entry: Entry) -> str:
    """An entry as the registry keeps it."""
    return json.dumps(asdict(entry), default=str, sort_keys=True)


def from_json(text: str) -> Entry:
    """An entry as the registry keeps it."""
    values = json.loads(text)
    row, origin = (_tuples(values[each]) for each in ("row", "origin"))
    age = None if row["age"] is None else Decimal(row["age"])
    return Entry(Row(**row | {"age": age, "split": Split(row["split"])}), Origin(**origin))


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
