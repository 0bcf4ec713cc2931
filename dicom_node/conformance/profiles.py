"""The integration statement for the IHE profile AI Results (AIR)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_node.conformance.markdown import section, table
from plugin import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_node.conformance.subject import Subject

#: Transactions of the Evidence Creator, and the kinds of object by which each is done.
_TRANSACTIONS = (
    ("Evidence Documents Stored [RAD-43]", (Kind.REPORT, Kind.SEGMENTATION)),
    ("Key Image Note Stored [RAD-29]", (Kind.KEY_OBJECTS,)),
    ("Creator Images Stored [RAD-18]", (Kind.KEY_IMAGES,)),
    ("Creator Presentation State Stored [RAD-19]", (Kind.PRESENTATION_STATE,)),
)
#: Kinds of result that the profile knows, and what becomes of them here.
_RESULTS = (
    ("Measurements", "yes", "long and short axis, attenuation and volume, TID 1501 in TID 1500"),
    ("Qualitative findings", "yes", "type and site of a lesion, and whether anything was found"),
    ("Locations", "yes", "two-dimensional coordinates in the images; none in three dimensions"),
    ("Regions", "yes", "as a segmentation, where a destination gets one"),
    ("Tracking identifiers", "yes", "kept from revision to revision of one series"),
    ("Image references", "yes", "each measurement names the image that it was taken in"),
    ("Parametric maps", "no", "none are made"),
)


def profiles(subject: Subject) -> str:
    """The last chapter."""
    return section(
        2,
        "10 IHE integration statement",
        "Profile: AI Results (AIR) of IHE Radiology. Actor: Evidence Creator. Declared by its "
        "authors; it was not tested at a Connectathon. Other actors of the profile are not "
        "implemented. Transactions of the IHE Radiology Technical Framework, and result primitives "
        "of the profile:",
        table(("Transaction", "Supported", "With"), _transactions(subject)),
        table(("Result", "Supported", "How"), _RESULTS),
    )


def _transactions(subject: Subject) -> Iterator[tuple[str, str, str]]:
    for name, kinds in _TRANSACTIONS:
        made = [kind.value for kind in kinds if kind in subject.made]
        yield name, "yes" if made else "no", ", ".join(made)
    yield (
        "Storage Commitment [RAD-10]",
        "yes",
        "as SCU, where `proof` asks for it; as SCP, of what came",
    )
    yield "AI results by DICOMweb (STOW-RS)", "no", ""
