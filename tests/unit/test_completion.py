from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from dicom_node.completion import LOST_END_S, Completion, find_gap
from dicom_node.config_tables import Completion as Settings
from dicom_node.live import fixed
from dicom_node.revisions import Revisions
from dicom_node.spool import Shelf, Spool
from tests.instances import WrittenSeries, write_series

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: Seconds since the epoch at which the instances of these tests were stored.
STORED = 1_000_000.0


@pytest.fixture
def series(tmp_path: Path) -> WrittenSeries:
    """Six instances in the spool, all stored at the same moment."""
    written = write_series(tmp_path / "ct", 6)
    put(Spool(tmp_path / "spool"), written, STORED, *range(6))
    return written


def put(spool: Spool, series: WrittenSeries, at: float, *numbers: int) -> None:
    for number in numbers:
        path = series.paths[number]
        spool.add(Shelf.SERIES, series.series_uid, f"1.{number}", path.read_bytes())
    for held in spool.held(series.series_uid):
        if int(held.sop_instance_uid.split(".")[1]) in numbers:
            os.utime(held.path, (at, at))


def completion(
    tmp_path: Path,
    *,
    count: Callable[[str, str], int | None] | None = None,
    arriving: bool = False,
    started_at: float = 0.0,
) -> Completion:
    return Completion(
        fixed(Settings(quiet_period_s=10.0, cap_s=100.0)),
        Spool(tmp_path / "spool"),
        Revisions(tmp_path / "reports"),
        choose_count=lambda: count,
        is_arriving=lambda _: arriving,
        started_at=started_at,
    )


def test_whole_after_the_quiet_period(tmp_path: Path, series: WrittenSeries) -> None:
    judge = completion(tmp_path).judge
    early = judge(series.series_uid, STORED + 4)
    assert (early.whole, early.look_again_s) == (False, 6.0)
    assert judge(series.series_uid, STORED + 10).whole


def test_not_while_an_association_is_open(tmp_path: Path, series: WrittenSeries) -> None:
    verdict = completion(tmp_path, arriving=True).judge(series.series_uid, STORED + 60)
    assert (verdict.whole, verdict.look_again_s) == (False, LOST_END_S)


def test_the_cap_ends_every_wait(tmp_path: Path, series: WrittenSeries) -> None:
    judge = completion(tmp_path, arriving=True, count=lambda *_: 99).judge
    assert not judge(series.series_uid, STORED + 99).whole
    assert judge(series.series_uid, STORED + 100).whole


def test_senders_get_a_quiet_period_after_a_restart(tmp_path: Path, series: WrittenSeries) -> None:
    judge = completion(tmp_path, started_at=STORED + 50).judge
    assert judge(series.series_uid, STORED + 55).look_again_s == 5.0
    assert judge(series.series_uid, STORED + 60).whole


@pytest.mark.parametrize(("count", "whole"), [(6, True), (7, False)])
def test_the_count_of_the_sender_decides(
    tmp_path: Path, series: WrittenSeries, count: int, whole: bool
) -> None:
    asked = []

    def ask(study_uid: str, series_uid: str) -> int:
        asked.append((study_uid, series_uid))
        return count

    verdict = completion(tmp_path, count=ask).judge(series.series_uid, STORED + 0.5)
    assert verdict.whole is whole
    assert asked == [(series.study_uid, series.series_uid)]


def test_a_count_is_asked_for_when_nothing_comes_any_more(
    tmp_path: Path, series: WrittenSeries
) -> None:
    verdict = completion(tmp_path, count=lambda *_: 6).judge(series.series_uid, STORED + 0.125)
    assert (verdict.whole, verdict.look_again_s) == (False, 0.375)


def test_a_count_below_what_came_is_no_answer(tmp_path: Path, series: WrittenSeries) -> None:
    judge = completion(tmp_path, count=lambda *_: 5).judge
    assert judge(series.series_uid, STORED + 2).reason == "the quiet period is running"
    assert judge(series.series_uid, STORED + 10).whole


def test_what_was_set_aside_counts(tmp_path: Path, series: WrittenSeries) -> None:
    path = series.paths[0]
    Spool(tmp_path / "spool").add(Shelf.ASIDE, series.series_uid, "2.1", path.read_bytes())
    assert completion(tmp_path, count=lambda *_: 7).judge(series.series_uid, STORED + 1).whole


def test_without_an_answer_the_quiet_period_decides(tmp_path: Path, series: WrittenSeries) -> None:
    judge = completion(tmp_path, count=lambda *_: None).judge
    assert not judge(series.series_uid, STORED + 1).whole
    assert judge(series.series_uid, STORED + 10).whole


def test_a_gap_is_waited_for_until_the_cap(tmp_path: Path) -> None:
    series = write_series(tmp_path / "ct", 6)
    put(Spool(tmp_path / "spool"), series, STORED, 0, 1, 2, 4, 5)
    judge = completion(tmp_path).judge
    verdict = judge(series.series_uid, STORED + 20)
    assert (verdict.whole, verdict.reason) == (False, "a gap of 4.0 mm between two slices")
    assert judge(series.series_uid, STORED + 100).whole


def test_the_cap_counts_from_the_first_instance_that_is_new(
    tmp_path: Path, series: WrittenSeries
) -> None:
    spool, later = Spool(tmp_path / "spool"), write_series(tmp_path / "more", 7)
    Revisions(tmp_path / "reports").freeze(series.series_uid, [f"1.{n}" for n in range(6)])
    late = WrittenSeries(series.study_uid, series.series_uid, later.paths)
    put(spool, late, STORED + 500, 6)
    assert not completion(tmp_path).judge(series.series_uid, STORED + 505).whole


@pytest.mark.parametrize("count", [None, lambda *_: 9], ids=["a gap", "a count never met"])
def test_what_was_analysed_short_is_not_waited_for_again(
    tmp_path: Path, count: Callable[[str, str], int] | None
) -> None:
    series = write_series(tmp_path / "ct", 6)
    put(Spool(tmp_path / "spool"), series, STORED, 0, 1, 2, 4, 5)
    Revisions(tmp_path / "reports").freeze(series.series_uid, [f"1.{n}" for n in (0, 1, 2, 4, 5)])
    judge = completion(tmp_path, count=count).judge
    verdict = judge(series.series_uid, STORED + 20)
    assert (verdict.whole, verdict.reason) == (True, "nothing is new")
    assert not completion(tmp_path, arriving=True).judge(series.series_uid, STORED + 20).whole


@pytest.mark.parametrize(("missing", "gap"), [((), None), ((2,), 4.0), ((0,), None), ((1, 2), 6.0)])
def test_gaps(tmp_path: Path, missing: tuple[int, ...], gap: float | None) -> None:
    paths = write_series(tmp_path / "ct", 8).paths
    assert find_gap([p for n, p in enumerate(paths) if n not in missing]) == gap
