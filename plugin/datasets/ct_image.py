"""Arrays in HU -> CT Image Storage instances (PS3.3 A.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import PYDICOM_IMPLEMENTATION_UID, CTImageStorage, ExplicitVRLittleEndian

from plugin.uids import derive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

#: Rescale Intercept of twelve-bit CT, HU.
INTERCEPT = -1024
#: Highest stored value of twelve bits.
HIGHEST = 4095


@dataclass(frozen=True)
class Identity:
    """Whose images these are."""

    #: Patient's Name; says that nobody was scanned.
    patient_name: str
    #: Patient ID.
    patient_id: str
    #: What the UIDs of study, series and instances are derived from.
    seed: str
    #: Study and Series Description.
    description: str
    #: Study Date, YYYYMMDD.
    date: str = "20260101"


def ct_images(
    hu: NDArray[np.float32], affine: NDArray[np.float64], identity: Identity
) -> Iterator[Dataset]:
    """One instance for each slice of `hu` [slice, row, column], complete with file meta.

    `affine` maps (slice, row, column, 1) to mm in LPS patient coordinates.
    """
    shift, down, right = affine[:3, :3].T
    down_mm, right_mm = float(np.linalg.norm(down)), float(np.linalg.norm(right))
    normal = np.cross(right / right_mm, down / down_mm)
    for index, image in enumerate(hu):
        dataset = _instance(identity, index)
        position = affine[:3, 3] + index * shift
        dataset.ImagePositionPatient = _decimals(position)
        dataset.ImageOrientationPatient = _decimals([*(right / right_mm), *(down / down_mm)])
        dataset.PixelSpacing = _decimals([down_mm, right_mm])
        dataset.SliceThickness = _decimals([abs(shift @ normal)])[0]
        dataset.SliceLocation = _decimals([position @ normal])[0]
        _set_pixels(dataset, image)
        yield dataset


def _decimals(values: NDArray[np.float64] | list[float]) -> list[str]:
    """Decimal Strings hold at most 16 characters (PS3.5 6.2)."""
    return [f"{float(value) + 0.0:.8g}" for value in values]


def _instance(identity: Identity, index: int) -> Dataset:
    dataset = Dataset()
    _describe_patient_and_study(dataset, identity)
    _describe_series(dataset, identity)
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = derive("instance", identity.seed, str(index))
    dataset.InstanceNumber = index + 1
    dataset.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    dataset.AcquisitionNumber = 1
    dataset.KVP = "120"
    dataset.RescaleIntercept = str(INTERCEPT)
    dataset.RescaleSlope = "1"
    dataset.RescaleType = "HU"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    return dataset


def _describe_patient_and_study(dataset: Dataset, identity: Identity) -> None:
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = identity.patient_name
    dataset.PatientID = identity.patient_id
    dataset.PatientBirthDate = ""
    dataset.PatientSex = ""
    dataset.StudyInstanceUID = derive("study", identity.seed)
    dataset.StudyID = "1"
    dataset.StudyDate = identity.date
    dataset.StudyTime = "120000"
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""
    dataset.StudyDescription = identity.description


def _describe_series(dataset: Dataset, identity: Identity) -> None:
    dataset.Modality = "CT"
    dataset.SeriesInstanceUID = derive("series", identity.seed)
    dataset.SeriesNumber = 1
    dataset.SeriesDate = dataset.ContentDate = identity.date
    dataset.SeriesTime = dataset.ContentTime = "120000"
    dataset.SeriesDescription = identity.description
    dataset.BodyPartExamined = "CHEST"
    dataset.PatientPosition = "HFS"
    dataset.FrameOfReferenceUID = derive("frame of reference", identity.seed)
    dataset.PositionReferenceIndicator = ""
    dataset.Manufacturer = "lesionmark"
    dataset.ManufacturerModelName = "phantom"


def _set_pixels(dataset: Dataset, image: NDArray[np.float32]) -> None:
    stored = np.clip(np.rint(image) - INTERCEPT, 0, HIGHEST).astype("<u2")
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.BitsAllocated = 16
    dataset.BitsStored = 12
    dataset.HighBit = 11
    dataset.PixelRepresentation = 0
    dataset.WindowCenter, dataset.WindowWidth = "-600", "1500"
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OW"
