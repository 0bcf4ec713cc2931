"""Volume in HU -> detections. Which detector does it is known only here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from plugin import Facts
    from plugin.bookmark import LesionType
    from plugin.volume import Volume

__all__ = ["Detection", "Detector", "load"]


@dataclass(frozen=True)
class Detection:
    """One lesion, before measuring, in voxels of the volume."""

    #: Its voxels, [slice, row, column], cropped to where they are; never empty.
    mask: NDArray[np.bool_]
    #: Index (slice, row, column) in the volume of the first voxel of `mask`.
    offset: tuple[int, int, int]
    #: Certainty that it is a lesion, 0 to 1.
    score: float
    #: Where in the body it lies.
    lesion_type: LesionType


class Detector(Protocol):
    """Finds lesions. The same volume gives the same detections."""

    @property
    def version(self) -> str:
        """Name and version, such as "lesionmark-lung 3.1".

        It changes whenever detections may change.
        """
        ...

    def facts(self) -> Facts:
        """What runs, and where, at this moment."""
        ...

    def warm_up(self) -> None:
        """Do beforehand what would make the first series slower than the second."""
        ...

    def detect(self, volume: Volume, lowest: float = 0.0) -> list[Detection]:
        """The lesions of a volume, in any order; none where there is nothing to look at.

        Those with a score below `lowest` are left out, which saves the time to outline them.
        """
        ...


def load(device: str = "auto") -> Detector:
    """The detector that is shipped, on a device: "cuda", "mps", "cpu", or the best of them.

    Raises WrongSetting where there is no such device.
    """
    from plugin.detector.learned import shipped

    return shipped(device)
