"""Objects beside the report, as validators see them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from plugin.report import key_objects, presentation_state, secondary_capture, segmentation
from plugin.report.segmentation import Region
from plugin.volume import read
from tests.acceptance.validators import dciodvfy, dcmpschk, pixelmed
from tests.report_cases import (
    MODEL,
    NOW,
    Geometry,
    bookmark,
    enhanced,
    readers_bookmarks,
    shared_data,
    volume,
)

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom import Dataset

    from plugin.bookmark import Bookmark
    from plugin.volume import Volume

COMPLETE = {"StudyID": "1", "StudyDate": "20260101", "StudyTime": "010203", "PatientSex": "O"}


def synthetic() -> tuple[Volume, list[Bookmark]]:
    source = volume(Geometry(shear=0.4), **COMPLETE)
    return source, [bookmark(source, 1), bookmark(source, 2)]


def multi_frame() -> tuple[Volume, list[Bookmark]]:
    source = enhanced()
    return source, [bookmark(source, 1)]


def real() -> tuple[Volume, list[Bookmark]]:
    source = read(shared_data("series", "LIDC-IDRI-0001").iterdir())
    return source, readers_bookmarks("LIDC-IDRI-0001", source)


@pytest.fixture(params=[synthetic, multi_frame, real], ids=lambda make: make.__name__)
def case(request: pytest.FixtureRequest) -> tuple[Volume, list[Bookmark]]:
    made: tuple[Volume, list[Bookmark]] = request.param()
    return made


def written(folder: Path, objects: tuple[Dataset, ...]) -> list[Path]:
    paths = [folder / f"{found.SOPInstanceUID}.dcm" for found in objects]
    for path, found in zip(paths, objects, strict=True):
        found.save_as(path, enforce_file_format=True)
    return paths


def test_key_images_are_valid(case: tuple[Volume, list[Bookmark]], tmp_path: Path) -> None:
    paths = written(tmp_path, secondary_capture.encode(*case, model=MODEL, now=NOW))
    assert len(paths) == len(case[1])
    assert [dciodvfy(path) for path in paths] == [[] for _ in paths]


def test_the_presentation_state_is_valid(
    case: tuple[Volume, list[Bookmark]], tmp_path: Path
) -> None:
    source, bookmarks = case
    for header in source.headers:
        header.PatientName = "Doe^Jane"  # dcmpschk wants one, and real data may have none
    (path,) = written(tmp_path, presentation_state.encode(source, bookmarks, model=MODEL, now=NOW))
    assert dciodvfy(path) == []
    assert dcmpschk(path) == []


def test_the_key_object_selection_is_valid(
    case: tuple[Volume, list[Bookmark]], tmp_path: Path
) -> None:
    (path,) = written(tmp_path, key_objects.encode(*case, model=MODEL, now=NOW))
    assert dciodvfy(path) == []


def test_pixelmed_finds_a_valid_key_object_selection(tmp_path: Path) -> None:
    (path,) = written(tmp_path, key_objects.encode(*multi_frame(), model=MODEL, now=NOW))
    assert pixelmed(path, template=2010) == []


@pytest.mark.parametrize("make", [synthetic, real])
def test_the_segmentation_is_valid(make: type, tmp_path: Path) -> None:
    source, bookmarks = make()
    index = bookmarks[0].slice_index
    bookmarks = [replace(mark, slice_range=(index, index + 1)) for mark in bookmarks]
    regions = [Region(np.ones((2, 8, 9), np.bool_), (index, 10, 12)) for _ in bookmarks]
    (path,) = written(
        tmp_path, segmentation.encode(source, bookmarks, regions, model=MODEL, now=NOW)
    )
    assert dciodvfy(path) == []
