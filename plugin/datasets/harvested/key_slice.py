"""A key slice as a de-identified CT instance (PS3.15 Annex E).

Basic Application Level Confidentiality Profile with the Retain Patient Characteristics Option. The
instance is written anew from attributes that are named here; whatever is not named, every text,
date and private attribute among them, does not exist in it. UIDs are keyed hashes, and the same
one is the same everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.sr.coding import Code
from pydicom.uid import PYDICOM_IMPLEMENTATION_UID, CTImageStorage, ExplicitVRLittleEndian

from plugin.datasets.harvested import pseudonym
from plugin.report import codes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plugin.datasets.deeplesion import Row
    from plugin.datasets.harvested.stack import Axial

#: How it was done (PS3.16 CID 7050).
METHODS = (
    ("113100", "Basic Application Confidentiality Profile"),
    ("113108", "Retain Patient Characteristics Option"),
)
#: Attributes of type 2 that are there without a value.
EMPTY = (
    "AccessionNumber",
    "Laterality",
    "Manufacturer",
    "PatientBirthDate",
    "PatientPosition",
    "PositionReferenceIndicator",
    "ReferringPhysicianName",
    "StudyDate",
    "StudyID",
    "StudyTime",
)
#: Numbers that say how the image was made, taken over where the original has them. No words: what
#: stands where a term ought to be may be a name.
TAKEN_OVER = (
    "KVP",
    "SliceThickness",
    "SpacingBetweenSlices",
    "WindowCenter",
    "WindowWidth",
)


@dataclass(frozen=True)
class Names:
    """Original UIDs, and the secret that hides them."""

    #: Key of the hash.
    secret: bytes
    #: Study, Series and SOP Instance UID, and Frame of Reference UID, of the original.
    study: str
    series: str
    instance: str
    frame_of_reference: str

    def hidden(self, original: str) -> str:
        """The UID in place of an original one."""
        return pseudonym.uid(self.secret, original)


def key_slice(axial: Axial, row: Row, names: Names) -> Dataset:
    """The key slice of a row, complete with file meta information.

    Raises UnsuitableSeries when its pixels cannot be decoded.
    """
    dataset = Dataset()
    for keyword in EMPTY:
        setattr(dataset, keyword, "")
    _identify(dataset, row, names)
    _state_method(dataset)
    _place(dataset, axial)
    _set_pixels(dataset, axial.hu())
    for keyword in TAKEN_OVER:
        value = axial.plane.header.get(keyword)
        if value is not None:
            setattr(dataset, keyword, value)
    dataset.setdefault("KVP", None)
    dataset.setdefault("SliceThickness", None)
    return dataset


def _identify(dataset: Dataset, row: Row, names: Names) -> None:
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientID = f"{row.patient:06d}"
    dataset.PatientName = f"{row.patient:06d}^"
    dataset.PatientSex = row.gender
    if row.age is not None:
        dataset.PatientAge = f"{int(row.age):03d}Y"
    dataset.StudyInstanceUID = names.hidden(names.study)
    dataset.SeriesInstanceUID = names.hidden(names.series)
    dataset.FrameOfReferenceUID = names.hidden(names.frame_of_reference or names.series)
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = names.hidden(names.instance)
    dataset.Modality = "CT"
    dataset.SeriesNumber, dataset.InstanceNumber = row.series, row.key_slice
    dataset.AcquisitionNumber = 1
    dataset.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    meta = dataset.file_meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID


def _state_method(dataset: Dataset) -> None:
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethodCodeSequence = [
        codes.item(Code(value, "DCM", meaning)) for value, meaning in METHODS
    ]
    dataset.LongitudinalTemporalInformationModified = "REMOVED"


def _place(dataset: Dataset, axial: Axial) -> None:
    """Image Plane Module (PS3.3 C.7.6.2) in the common orientation."""
    plane = axial.plane
    along, down = plane.orientation[:3], plane.orientation[3:]
    (columns, rows), (columns_mm, rows_mm) = axial.size, axial.spacing
    corner = plane.position.copy()
    turned_columns, turned_rows = axial.turned
    if turned_columns:
        corner, along = corner + along * columns_mm * (columns - 1), -along
    if turned_rows:
        corner, down = corner + down * rows_mm * (rows - 1), -down
    dataset.ImagePositionPatient = _decimals(corner)
    dataset.ImageOrientationPatient = _decimals([*along, *down])
    dataset.PixelSpacing = _decimals([rows_mm, columns_mm])


def _set_pixels(dataset: Dataset, hu: NDArray[np.float32]) -> None:
    stored = np.clip(np.rint(hu), -32768, 32767).astype("<i2")
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "0", "1", "HU"
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OW"


def _decimals(values: NDArray[np.float64] | list[float]) -> list[str]:
    """Decimal Strings hold at most 16 characters (PS3.5 6.2)."""
    return [f"{float(value) + 0.0:.8g}" for value in values]
