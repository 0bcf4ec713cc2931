"""CT instances as a scanner sends them: 512 x 512 pixels, 512 KiB, with some noise in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, JPEGLSLossless, generate_uid

if TYPE_CHECKING:
    from pathlib import Path

_SIZE = 512


def write_series(folder: Path, count: int, *, compressed: bool = False) -> list[Path]:
    """Write one series, natively or by lossless JPEG-LS; its paths in order."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng(7)
    series_uid, study_uid = generate_uid(), generate_uid()
    noise = chance.normal(0, 12, (_SIZE, _SIZE + count))
    paths = []
    for number in range(count):
        instance = _instance(series_uid, study_uid, number)
        _fill(instance, noise[:, number : number + _SIZE], compressed=compressed)
        path = folder / f"{number:04}.dcm"
        instance.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def _fill(instance: Dataset, noise: np.ndarray, *, compressed: bool) -> None:
    y, x = np.mgrid[:_SIZE, :_SIZE] - _SIZE / 2
    body = np.where(x**2 + (1.4 * y) ** 2 < 220**2, 1040.0, 24.0)
    pixels = np.clip(body + noise, 0, 4095).astype(np.uint16)
    if not compressed:
        instance.PixelData = pixels.tobytes()
        return
    import jpeg_ls

    instance.PixelData = encapsulate([bytes(jpeg_ls.encode(pixels))])
    instance["PixelData"].VR = "OB"
    instance["PixelData"].is_undefined_length = True
    instance.file_meta.TransferSyntaxUID = JPEGLSLossless


def _instance(series_uid: str, study_uid: str, number: int) -> Dataset:
    ct = Dataset()
    ct.file_meta = FileMetaDataset()
    ct.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ct.SOPClassUID = ct.file_meta.MediaStorageSOPClassUID = CTImageStorage
    ct.SOPInstanceUID = ct.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    ct.StudyInstanceUID, ct.SeriesInstanceUID, ct.StudyID = study_uid, series_uid, "1"
    ct.PatientID, ct.PatientName, ct.Modality = "BENCH", "Bench^Mark", "CT"
    ct.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ct.SeriesNumber, ct.InstanceNumber = 1, number + 1
    ct.FrameOfReferenceUID = generate_uid(entropy_srcs=[series_uid])
    ct.ImagePositionPatient = [-150.0, -150.0, 1.0 * number]
    ct.ImageOrientationPatient = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    ct.PixelSpacing, ct.SliceThickness = [0.6, 0.6], 1.0
    ct.Rows = ct.Columns = _SIZE
    ct.SamplesPerPixel, ct.PhotometricInterpretation = 1, "MONOCHROME2"
    ct.BitsAllocated, ct.BitsStored, ct.HighBit, ct.PixelRepresentation = 16, 12, 11, 0
    ct.RescaleSlope, ct.RescaleIntercept = 1, -1024
    return ct
