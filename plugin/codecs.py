"""Which transfer syntaxes can be read here: each by decoding an image that is built in."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from pydicom import uid
from pydicom.uid import UID

from plugin import volume
from plugin.errors import UnsuitableSeries

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Rows and columns of the image.
SHAPE: Final = (32, 40)
#: How far a value decoded from a lossy encoding may be from what was encoded, HU.
LOSSY: Final[dict[UID, float]] = {
    uid.JPEGBaseline8Bit: 5.0,
    uid.JPEGExtended12Bit: 30.0,
    uid.JPEG2000: 30.0,
    uid.JPEGLSNearLossless: 2.0,
}
#: Those of syntaxes that hold eight bits only: the stored values are an eighth.
EIGHT_BITS: Final = frozenset({uid.JPEGBaseline8Bit})
#: Rescale Intercept of the image before it was encoded, HU.
INTERCEPT: Final = -1024


def wave() -> NDArray[np.uint16]:
    """The image: stored values, [row, column]."""
    row, column = np.mgrid[: SHAPE[0], : SHAPE[1]]
    image = np.rint(1000 + 600 * np.sin(column / 6) * np.cos(row / 5))
    return np.asarray(image, np.uint16)


def samples() -> dict[UID, Path]:
    """The image as a DICOM file (PS3.10) in every transfer syntax that a CT is read in."""
    folder = Path(str(files("plugin") / "samples"))
    return {UID(path.stem): path for path in sorted(folder.glob("*.dcm"))}


def undecodable() -> dict[str, str]:
    """Transfer Syntax UIDs whose sample does not give the image, each with the reason."""
    faults = {str(syntax): _fault(syntax, path) for syntax, path in samples().items()}
    return {syntax: fault for syntax, fault in faults.items() if fault is not None}


def _fault(syntax: UID, path: Path) -> str | None:
    stored = wave() >> 3 if syntax in EIGHT_BITS else wave()
    expected = stored.astype(np.float32) + INTERCEPT
    try:
        difference = np.abs(volume.decoded(path) - expected).max()
    except UnsuitableSeries as error:
        return str(error)
    if difference > LOSSY.get(syntax, 0.0):
        return f"{syntax.name}: a decoded value is wrong by {difference:g} HU"
    return None
