"""An object with bookmarks -> bookmarks: the one way in, whoever wrote it and in which form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugin.errors import InvalidReport
from plugin.report import codes, contours, graphics, lengths, measurement_report, tree
from plugin.report.source import Source, references

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydicom import Dataset

    from plugin.report.reading import Reading
    from plugin.volume import Slice

#: What missing attributes, wrong multiplicities and values of another kind raise on access.
MALFORMED = (AttributeError, IndexError, KeyError, TypeError, ValueError)


def read(
    document: Dataset, slices: Sequence[Slice] | None = None, headers: Sequence[Dataset] = ()
) -> Reading:
    """The bookmarks of an object, in its order.

    A structured report gives the groups of a Measurement Report (PS3.16 TID 1500) with both
    diameters, or of any other form the lengths that are drawn across each other; a Grayscale
    Softcopy Presentation State the lines that are drawn across each other; an RT Structure Set the
    outlined tumours. What is no bookmark gives a remark.

    `slices` are those of the volume, which tell the slice index; without them the images of a
    series count in their order. `headers` are those of the images, of one series or of several:
    only a Measurement Report can be read without them, for nothing else says how large a pixel is.
    Raises InvalidReport, naming the item, when the object cannot be understood.
    """
    reader = _READERS.get(str(document.get("Modality")))
    if reader is None:
        raise InvalidReport(
            f"Modality {document.get('Modality')} is not {', '.join(_READERS)}: this is no "
            "structured report, presentation state or structure set"
        )
    try:
        return reader(document, Source(headers, slices, references(document)))
    except MALFORMED as error:
        raise InvalidReport(f"the {document.Modality} object is malformed: {error}") from error


def _read_report(document: Dataset, source: Source) -> Reading:
    if any(tree.is_named(document, title) for title in codes.MEASUREMENT_REPORTS):
        return measurement_report.read(document, source)
    return lengths.read(document, source)


#: By Modality (0008,0060).
_READERS = {"SR": _read_report, "PR": graphics.read, "RTSTRUCT": contours.read}
