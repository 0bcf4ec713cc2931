"""Which studies a harvest looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date


@dataclass(frozen=True)
class Selection:
    """Studies with a series of images as wanted."""

    #: First and last Study Date (0008,0020), both included; None where there is no such bound.
    first: date | None = None
    last: date | None = None
    #: Modality (0008,0060) of the images.
    modality: str = "CT"
    #: Body Part Examined (0018,0015) of the images; empty for any, or none.
    body_part: str = ""

    @property
    def days(self) -> tuple[str, str]:
        """The dates as DICOM writes them (VR DA); the bounds of such texts where there are none."""
        first = f"{self.first:%Y%m%d}" if self.first else ""
        return first, f"{self.last:%Y%m%d}" if self.last else "99999999"

    @property
    def name(self) -> str:
        """Tells selections apart, apart from their dates."""
        return f"{self.modality} {self.body_part}".rstrip()
