"""Small CT instances for tests that look at no pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from dicom_node.spool import Spool

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class WrittenSeries:
    """A series on disk, as a modality would send it."""

    study_uid: str
    series_uid: str
    paths: tuple[Path, ...]


def write_series(folder: Path, count: int, *, study_uid: str | None = None) -> WrittenSeries:
    """Write `count` CT instances of 16 x 16 pixels, 2 mm apart, in a new series."""
    folder.mkdir(parents=True, exist_ok=True)
    series_uid, study_uid = generate_uid(), study_uid or generate_uid()
    paths = []
    for number in range(count):
        path = folder / f"{number:03}.dcm"
        instance(series_uid, study_uid, number).save_as(path, enforce_file_format=True)
        paths.append(path)
    return WrittenSeries(study_uid, series_uid, tuple(paths))


def instance(series_uid: str, study_uid: str, number: int) -> Dataset:
    """One CT instance; its SOP Instance UID follows from its series and number."""
    ct = Dataset()
    ct.file_meta = FileMetaDataset()
    ct.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ct.SOPClassUID = ct.file_meta.MediaStorageSOPClassUID = CTImageStorage
    ct.SOPInstanceUID = generate_uid(entropy_srcs=[series_uid, str(number)])
    ct.file_meta.MediaStorageSOPInstanceUID = ct.SOPInstanceUID
    ct.StudyInstanceUID, ct.SeriesInstanceUID = study_uid, series_uid
    ct.FrameOfReferenceUID = generate_uid(entropy_srcs=[series_uid, "frame"])
    ct.PatientID, ct.PatientName = "TEST-7", "Secret^Person"
    ct.Modality, ct.InstanceNumber = "CT", number + 1
    ct.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ct.ImagePositionPatient = [0.0, 0.0, 2.0 * number]
    ct.ImageOrientationPatient = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    ct.PixelSpacing, ct.SliceThickness = [1.0, 1.0], 2.0
    ct.Rows = ct.Columns = 16
    ct.SamplesPerPixel, ct.PhotometricInterpretation = 1, "MONOCHROME2"
    ct.BitsAllocated, ct.BitsStored, ct.HighBit, ct.PixelRepresentation = 16, 16, 15, 1
    ct.RescaleSlope, ct.RescaleIntercept = 1, -1024
    ct.PixelData = np.zeros((16, 16), np.int16).tobytes()
    return ct


def spool_of(node_folder: Path) -> Spool:
    """The spool of a node under test."""
    return Spool(node_folder / "state" / "spool")
