"""Reports of ours, changed to look as if somebody else had written them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugin.report import codes, tree

if TYPE_CHECKING:
    from pydicom import Dataset

#: What says in a report that a program made it.
PROGRAM = (
    codes.OBSERVER_TYPE,
    codes.DEVICE_OBSERVER_UID,
    codes.DEVICE_OBSERVER_NAME,
    codes.DEVICE_OBSERVER_MODEL,
    codes.ALGORITHM,
)


def without_program(document: Dataset) -> Dataset:
    """A report of a viewer that names neither observers nor algorithms."""
    document.Manufacturer, document.ManufacturerModelName = "A vendor", "A viewer"
    for item in (document, *tree.lesion_groups(document)):
        item.ContentSequence = [
            child
            for child in item.ContentSequence
            if not any(tree.is_named(child, code) for code in PROGRAM)
        ]
    return document
