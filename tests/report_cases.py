"""Volumes and bookmarks for tests of the report: small, synthetic, and named for what they vary."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage

from plugin import Kind
from plugin.bookmark import Axis, Bookmark, LesionType
from plugin.report import Findings, Region, products
from plugin.uids import derive
from plugin.volume import Slice, Volume

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = datetime(2026, 3, 4, 5, 6, 7, 890000, tzinfo=UTC)
MODEL = "test-detector 1.2.3"
AXIAL = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))


@dataclass(frozen=True)
class Geometry:
    """How a synthetic series lies in the patient."""

    #: Slices, rows, columns.
    shape: tuple[int, int, int] = (5, 40, 60)
    #: mm between (slices, rows, columns).
    spacing: tuple[float, float, float] = (2.5, 0.7, 0.7)
    #: Direction along a row, and down a column.
    orientation: tuple[tuple[float, ...], tuple[float, ...]] = AXIAL
    #: How far each slice moves down the column direction (gantry tilt), mm.
    shear: float = 0.0


def volume(geometry: Geometry = Geometry(), *, name: str = "case", **attributes: Any) -> Volume:
    """A volume of single-frame CT; `attributes` are set in every header."""
    count = geometry.shape[0]
    headers = tuple(_ct(geometry, name, index) for index in range(count))
    for header in headers:
        header.update(_dataset(attributes))
    return Volume(
        hu=np.full(geometry.shape, -700, np.float32),
        affine=_affine(geometry),
        slices=tuple(Slice(header.SOPInstanceUID, None) for header in headers),
        headers=headers,
    )


def enhanced(
    geometry: Geometry = Geometry(), *, name: str = "enhanced", **attributes: Any
) -> Volume:
    """The same as one multi-frame instance, its frames stored from the last slice to the first."""
    header = _ct(geometry, name, 0)
    header.update(_dataset(attributes))
    header.SOPClassUID = EnhancedCTImageStorage
    count = header.NumberOfFrames = geometry.shape[0]
    header.SharedFunctionalGroupsSequence = [_shared(header, geometry)]
    header.PerFrameFunctionalGroupsSequence = [
        _frame(geometry, count, count - number) for number in range(count)
    ]
    del header.PixelSpacing, header.ImagePositionPatient, header.ImageOrientationPatient
    return Volume(
        hu=np.full(geometry.shape, -700, np.float32),
        affine=_affine(geometry),
        slices=tuple(Slice(header.SOPInstanceUID, count - index) for index in range(count)),
        headers=(header,),
    )


def _shared(header: Dataset, geometry: Geometry) -> Dataset:
    """Shared Functional Groups: what holds for all frames."""
    shared = Dataset()
    shared.PixelMeasuresSequence = [
        _dataset({"PixelSpacing": header.PixelSpacing, "SliceThickness": geometry.spacing[0]})
    ]
    orientation = {"ImageOrientationPatient": header.ImageOrientationPatient}
    shared.PlaneOrientationSequence = [_dataset(orientation)]
    return shared


def _frame(geometry: Geometry, count: int, place: int) -> Dataset:
    """Per-Frame Functional Groups of the slice at `place`, from 1 ascending along the normal."""
    frame, content = Dataset(), Dataset()
    position = list(map(float, _affine(geometry)[:3] @ [place - 1, 0, 0, 1]))
    frame.PlanePositionSequence = [_dataset({"ImagePositionPatient": position})]
    content.DimensionIndexValues = [1, count - place + 1]
    content.StackID, content.InStackPositionNumber = "1", count - place + 1
    frame.FrameContentSequence = [content]
    return frame


def findings(source: Volume, bookmarks: Sequence[Bookmark], **changes: Any) -> Findings:
    """What there is to say about `source`; each lesion fills its box in all its slices."""
    regions = tuple(_region(mark) for mark in bookmarks)
    return replace(Findings(source, tuple(bookmarks), regions, MODEL, (), NOW), **changes)


def made(
    source: Volume, bookmarks: Sequence[Bookmark], kind: Kind = Kind.REPORT, **changes: Any
) -> list[Dataset]:
    """The objects of one kind as they are sent; `changes` are those of the findings."""
    objects, remarks = products(findings(source, bookmarks, **changes), {kind})
    assert remarks == ()
    return [product.dataset for product in objects if product.kind is kind]


def encoded(source: Volume, bookmarks: Sequence[Bookmark], **changes: Any) -> Dataset:
    """The report as a receiver reads it: encoded, written and parsed again."""
    return received(made(source, bookmarks, **changes)[0])


def received(sent: Dataset) -> Dataset:
    """An object as a receiver reads it: written and parsed again."""
    file = BytesIO()
    sent.save_as(file, enforce_file_format=True)
    file.seek(0)
    return dcmread(file)


def written(folder: Path, objects: Sequence[Dataset]) -> list[Path]:
    """The files of objects as they are sent."""
    paths = [folder / f"{found.SOPInstanceUID}.dcm" for found in objects]
    for path, found in zip(paths, objects, strict=True):
        found.save_as(path, enforce_file_format=True)
    return paths


def _region(mark: Bookmark) -> Region:
    (left, top, right, bottom), (first, last) = mark.box, mark.slice_range
    shape = last - first + 1, int(bottom - top) + 1, int(right - left) + 1
    return Region(np.ones(shape, np.bool_), (first, int(top), int(left)))


def bookmark(source: Volume, number: int = 1, **changes: Any) -> Bookmark:
    """A lesion in the middle of `source`: 10 columns long, 6 rows across."""
    index = len(source.slices) // 2
    place = source.slices[index]
    down, across = np.linalg.norm(source.affine[:3, 1:3], axis=0)
    mark = Bookmark(
        series_instance_uid=str(source.headers[0].SeriesInstanceUID),
        sop_instance_uid=place.sop_instance_uid,
        frame_number=place.frame_number,
        slice_index=index,
        long_axis=((10.0, 20.0), (20.0, 20.0)),
        short_axis=((15.0, 17.0), (15.0, 23.0)),
        long_axis_mm=round(10 * float(across), 2),
        short_axis_mm=round(6 * float(down), 2),
        box=(10.0, 17.0, 20.0, 23.0),
        slice_range=(index - 1, index + 1),
        lesion_type=LesionType.LUNG,
        score=0.4137,
        tracking_uid=derive("test lesion", str(number)),
        mean_hu=-21.4,
        volume_mm3=0.0,
    )
    mark = replace(mark, **changes)
    voxels = int(_region(mark).mask.sum())
    size = round(voxels * abs(float(np.linalg.det(source.affine[:3, :3]))), 1)
    return replace(mark, volume_mm3=changes.get("volume_mm3", size))


def two_lesions(source: Volume) -> list[Bookmark]:
    """One of the lung in the middle slice, one of the liver in the first."""
    first = source.slices[0]
    liver = bookmark(
        source,
        2,
        sop_instance_uid=first.sop_instance_uid,
        frame_number=first.frame_number,
        slice_index=0,
        slice_range=(0, 0),
        lesion_type=LesionType.LIVER,
    )
    return [bookmark(source, 1), liver]


def _ct(geometry: Geometry, name: str, index: int) -> Dataset:
    header = Dataset()
    header.SOPClassUID = CTImageStorage
    header.SOPInstanceUID = derive(name, "instance", str(index))
    header.StudyInstanceUID = derive(name, "study")
    header.SeriesInstanceUID = derive(name, "series")
    header.FrameOfReferenceUID = derive(name, "frame of reference")
    header.Modality = "CT"
    header.SeriesNumber = 3
    header.InstanceNumber = index + 1
    header.PatientID = "12345"
    header.PatientName = "Doe^Jane"
    header.Rows, header.Columns = geometry.shape[1:]
    header.PixelSpacing = list(geometry.spacing[1:])
    header.ImageOrientationPatient = [*geometry.orientation[0], *geometry.orientation[1]]
    header.ImagePositionPatient = list(_affine(geometry)[:3] @ [index, 0, 0, 1])
    return header


def _affine(geometry: Geometry) -> np.ndarray[Any, np.dtype[np.float64]]:
    along_row, down_column = map(np.array, geometry.orientation)
    between, down, across = geometry.spacing
    affine = np.eye(4)
    normal = np.cross(along_row, down_column)
    affine[:3, 0] = between * normal + geometry.shear * down_column
    affine[:3, 1] = down * down_column
    affine[:3, 2] = across * along_row
    affine[:3, 3] = (-100.0, -120.0, 30.0)
    return affine


def _dataset(attributes: dict[str, Any]) -> Dataset:
    dataset = Dataset()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def data_folder() -> Path:
    """Where the shared test data lie, if they are at hand."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("LESIONMARK_DATA", default))


def shared_data(*parts: str) -> Path:
    """A folder or file of the shared test data; skips the test by name when it is absent."""
    path = data_folder().joinpath(*parts)
    if not path.exists():
        pytest.skip(f"test data {'/'.join(parts)} is not here")
    return path


def series(folder: Path) -> Volume:
    """Headers of a series of single-frame CT with its geometry; the pixels are all air."""
    headers = [dcmread(path, stop_before_pixels=True) for path in sorted(folder.iterdir())]
    headers.sort(key=lambda header: float(header.ImagePositionPatient[2]))
    first = headers[0]
    start, end = (np.array(each.ImagePositionPatient, float) for each in (first, headers[-1]))
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 3] = (end - start) / (len(headers) - 1), start
    affine[1, 1], affine[0, 2] = map(float, first.PixelSpacing)
    affine[2, 2] = 0
    return Volume(
        hu=np.full((len(headers), first.Rows, first.Columns), -1000, np.float32),
        affine=affine,
        slices=tuple(Slice(str(header.SOPInstanceUID), None) for header in headers),
        headers=tuple(headers),
    )


def readers_bookmarks(name: str, source: Volume) -> list[Bookmark]:
    """The lesions that readers marked in a series of the shared data, as bookmarks."""
    everything = json.loads(shared_data("lesions.json").read_text())
    (record,) = (item for item in everything if item["series_dir"] == f"series/{name}")
    places = [place.sop_instance_uid for place in source.slices]
    return [
        _readers_bookmark(number, lesion, places.index(lesion["key_sop_uid"]), source)
        for number, lesion in enumerate(record["lesions"], start=1)
    ]


def _readers_bookmark(number: int, lesion: dict[str, Any], index: int, source: Volume) -> Bookmark:
    left, top, right, bottom = lesion["key_bbox_px"]
    middle = (left + right) / 2, (top + bottom) / 2
    ends = lesion.get("recist") or {
        "long_px": [left, middle[1], right, middle[1]],
        "short_px": [middle[0], top, middle[0], bottom],
    }
    lines = (((a, b), (c, d)) for a, b, c, d in (ends["long_px"], ends["short_px"]))
    short_axis, long_axis = sorted(lines, key=lambda line: _length(line, source))
    return bookmark(
        source,
        number,
        sop_instance_uid=lesion["key_sop_uid"],
        slice_index=index,
        slice_range=(index, index),
        long_axis=long_axis,
        short_axis=short_axis,
        long_axis_mm=_length(long_axis, source),
        short_axis_mm=_length(short_axis, source),
        box=(left, top, right, bottom),
    )


def _length(axis: Axis, source: Volume) -> float:
    down, across = np.linalg.norm(source.affine[:3, 1:3], axis=0)
    (column0, row0), (column1, row1) = axis
    return float(np.hypot((row1 - row0) * down, (column1 - column0) * across))
