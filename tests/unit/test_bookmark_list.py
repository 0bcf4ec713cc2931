from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from math import isnan, nan
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plugin.bookmark import to_record
from plugin.datasets.bookmark_list import read_bookmarks, write_bookmarks
from plugin.datasets.errors import InvalidDataset
from plugin.datasets.marked import read_marked
from tests.report_cases import bookmark, enhanced, volume

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

AGAIN = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
MARK = bookmark(volume())
NUMBERS = st.floats(-1e6, 1e6)
POINTS = st.tuples(NUMBERS, NUMBERS)


@AGAIN
@given(
    axes=st.tuples(st.tuples(POINTS, POINTS), st.tuples(POINTS, POINTS)),
    lengths=st.tuples(st.floats(0, 1e4), st.floats(0, 1e4)),
    score=st.floats(0, 1),
)
def test_bookmarks_come_back_equal(
    tmp_path: Path, axes: Any, lengths: tuple[float, float], score: float
) -> None:
    mark = replace(
        bookmark(enhanced()),
        long_axis=axes[0],
        short_axis=axes[1],
        long_axis_mm=lengths[0],
        short_axis_mm=lengths[1],
        score=score,
    )
    write_bookmarks(tmp_path / "marks.json", [mark, MARK])
    assert read_bookmarks(tmp_path / "marks.json") == [mark, MARK]


def test_what_nobody_measured_stays_unknown(tmp_path: Path) -> None:
    write_bookmarks(tmp_path / "marks.json", [replace(MARK, mean_hu=nan, volume_mm3=nan)])
    (back,) = read_bookmarks(tmp_path / "marks.json")
    assert isnan(back.mean_hu)
    assert isnan(back.volume_mm3)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r.pop("box"), "box is missing"),
        (lambda r: r.update(box=[1, 2, 3]), "box must hold 4 numbers, not 3"),
        (lambda r: r.update(box=[1, 2, nan, 4]), "box nan is not a number"),
        (lambda r: r.update(box=[9, 2, 3, 4]), "box ends before it begins"),
        (lambda r: r.update(long_axis=[[1, 2]]), "long_axis must hold two points"),
        (lambda r: r.update(short_axis=[[1, 2], [3, "x"]]), "short_axis 'x' is not a number"),
        (lambda r: r.update(long_axis_mm=-1), "long_axis_mm -1.0 is negative"),
        (lambda r: r.update(slice_index=2.5), "slice_index 2.5 is not a whole number"),
        (lambda r: r.update(slice_range=[3, 4]), "slice_range 3 to 4 does not hold 2"),
        (lambda r: r.update(sop_instance_uid=7), "sop_instance_uid 7 is not a text"),
        (lambda r: r.update(lesion_type="heart"), "lesion_type 'heart' is not one of bone"),
        (lambda r: r.update(score=None), "score None is not a number"),
    ],
)
def test_a_broken_bookmark_is_named(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    record = to_record(MARK)
    change(record)
    path = tmp_path / "marks.json"
    path.write_text(json.dumps([to_record(MARK), record]))
    with pytest.raises(InvalidDataset, match=f"{path}, bookmark 1: {said}"):
        read_bookmarks(path)


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@AGAIN
@given(key=st.sampled_from(sorted(to_record(MARK))), value=VALUES)
def test_any_value_is_read_or_refused_by_name(tmp_path: Path, key: str, value: Any) -> None:
    path = tmp_path / "marks.json"
    path.write_text(json.dumps([to_record(MARK) | {key: value}]))
    with suppress(InvalidDataset):
        (mark,) = read_bookmarks(path)
        assert mark.slice_range[0] <= mark.slice_index


@AGAIN
@given(VALUES)
def test_any_json_is_read_or_refused_by_name(tmp_path: Path, record: Any) -> None:
    path = tmp_path / "marks.json"
    path.write_text(json.dumps(record))
    if record != []:
        with pytest.raises(InvalidDataset, match=r"marks\.json"):
            read_bookmarks(path)


@AGAIN
@given(length=st.integers(0, 400))
def test_a_file_that_is_cut_off_is_named(tmp_path: Path, length: int) -> None:
    path = tmp_path / "marks.json"
    write_bookmarks(path, [MARK])
    path.write_text(path.read_text()[:length])
    with pytest.raises(InvalidDataset, match=r"marks\.json"):
        read_bookmarks(path)


LESION = {
    "key_slice": 3,
    "key_bbox_px": [10, 20, 19, 25],
    "recist": {"long_mm": 9.0, "short_mm": 5.0, "long_px": [1, 2, 3, 4]},
    "bbox_px": [10, 20, 1, 19, 25, 4],
}


@AGAIN
@given(key=st.sampled_from(sorted(LESION)), value=VALUES)
def test_any_mark_is_read_or_refused_by_name(tmp_path: Path, key: str, value: Any) -> None:
    entry = {"series_dir": "scan", "lesions": [LESION | {key: value}]}
    (tmp_path / "lesions.json").write_text(json.dumps([entry]))
    with suppress(InvalidDataset):
        ((mark,),) = (series.marks for series in read_marked(tmp_path))
        assert mark.box[0] <= mark.box[2]


@pytest.mark.parametrize("box", [[1, 2, nan, 4], [5, 2, 3, 4], [1, 2, 3]])
def test_a_broken_box_of_a_marked_series_is_named(tmp_path: Path, box: list[float]) -> None:
    entry = {"series_dir": "scan", "lesions": [LESION | {"key_bbox_px": box}]}
    (tmp_path / "lesions.json").write_text(json.dumps([entry]))
    with pytest.raises(InvalidDataset, match=r"lesions.json: series 0: .*(key_bbox_px|unpack)"):
        read_marked(tmp_path)
