"""The tables of a harvested data set: DL_info.csv, and what its columns rest on."""

from __future__ import annotations

import csv
from collections import Counter
from typing import TYPE_CHECKING

from plugin.datasets.deeplesion import Split
from plugin.datasets.deeplesion_table import UNKNOWN, write_table
from plugin.datasets.harvested.location import Basis
from plugin.datasets.harvested.outcome import Summary

if TYPE_CHECKING:
    from pathlib import Path

    from plugin.datasets.harvested.entry import Entry
    from plugin.datasets.harvested.files import Files
    from plugin.datasets.harvested.registry import Registry

#: File names.
TABLE, ESTIMATES = "DL_info.csv", "estimates.csv"
#: Columns of estimates.csv; its rows are those of DL_info.csv in the same order.
COLUMNS = (
    "File_name",
    "Source",
    "Author",
    "Tracking_UID",
    "Location_x",
    "Location_y",
    "Location_z",
    "Location_basis",
    "Type_basis",
    "Spacing_basis",
)
#: Where a type is not stated.
ESTIMATED, NO_BASIS = "estimated", "unknown"


def write_tables(target: Path, files: Files, registry: Registry) -> Summary:
    """Write both tables, and count."""
    rows = (entry.row for entry in registry.entries())
    files.write(target / TABLE, lambda path: write_table(path, rows))
    files.write(target / ESTIMATES, lambda path: _write_estimates(path, registry))
    return _summary(registry)


def _write_estimates(path: Path, registry: Registry) -> None:
    with path.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(map(_texts, registry.entries()))


def _texts(entry: Entry) -> list[str]:
    origin = entry.origin
    place = [UNKNOWN if each is None else f"{each:.6g}" for each in origin.location]
    return [
        *(entry.row.file_name, origin.source, origin.author, origin.tracking_uid),
        *(*place, origin.location_basis, origin.type_basis, origin.spacing_basis),
    ]


def _summary(registry: Registry) -> Summary:
    splits: Counter[Split] = Counter()
    locations: Counter[str] = Counter()
    types: Counter[str] = Counter()
    for entry in registry.entries():
        splits[entry.row.split] += 1
        locations[entry.origin.location_basis] += 1
        types[entry.origin.type_basis] += 1
    patients, studies, series = registry.counts()
    train, validation, test = (splits[each] for each in Split)
    return Summary(
        patients=patients,
        studies=studies,
        series=series,
        bookmarks=splits.total(),
        split=(train, validation, test),
        estimated_locations=splits.total() - locations[Basis.UNKNOWN],
        estimated_types=types[ESTIMATED],
        unknown_locations=locations[Basis.UNKNOWN],
        unknown_types=types[NO_BASIS],
    )
