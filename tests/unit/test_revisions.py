from __future__ import annotations

import errno
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from pydicom import Dataset, dcmread

from dicom_node.durable import write_durably
from dicom_node.revisions import About, Revisions
from plugin import Analysis, Bookmark, Kind, Picture, Product
from plugin.bookmark import LesionType
from tests.fake_plugin import FakePlugin
from tests.instances import write_series

if TYPE_CHECKING:
    from pathlib import Path


BOOKMARK = Bookmark(
    series_instance_uid="1.2",
    sop_instance_uid="1.2.1",
    frame_number=None,
    slice_index=7,
    long_axis=((1.0, 2.0), (4.0, 6.0)),
    short_axis=((1.5, 5.0), (3.5, 3.0)),
    long_axis_mm=5.0,
    short_axis_mm=2.8,
    box=(1.0, 2.0, 4.0, 6.0),
    slice_range=(5, 9),
    lesion_type=LesionType.SOFT_TISSUE,
    score=0.75,
    tracking_uid="2.25.1",
    mean_hu=31.5,
    volume_mm3=64.0,
)


@pytest.fixture
def report(tmp_path: Path) -> Dataset:
    from plugin import Series

    series = write_series(tmp_path / "ct", 3)
    plugin = FakePlugin(tmp_path / "gate")
    analysis = plugin.analyse(Series(series.series_uid, series.paths), None, datetime.now(UTC))
    return analysis.objects[0].dataset


def test_the_same_set_is_the_same_revision(tmp_path: Path) -> None:
    revisions = Revisions(tmp_path)
    first = revisions.freeze("1.2", ["1.2.2", "1.2.1"])
    assert revisions.freeze("1.2", ["1.2.1", "1.2.2"]) == first
    second = revisions.freeze("1.2", ["1.2.1", "1.2.2", "1.2.3"])
    assert (first.number, second.number) == (1, 2)
    assert first.digest != second.digest
    assert revisions.of("1.2") == [first, second]
    assert revisions.get("1.2", second.digest) == second


def test_what_is_saved_can_be_sent_and_read_back(tmp_path: Path, report: Dataset) -> None:
    revisions = Revisions(tmp_path)
    revision = revisions.freeze("1.2", ["1.2.1"])
    revisions.save(revision, Analysis((BOOKMARK,), (Product(Kind.REPORT, report),)), "fake-1")
    [path] = revisions.objects("1.2", revision.digest, Kind.REPORT)
    assert dcmread(path).SOPInstanceUID == report.SOPInstanceUID
    assert revisions.bookmarks(revision) == (BOOKMARK,)


def test_earlier_is_the_last_revision_that_was_reported(tmp_path: Path, report: Dataset) -> None:
    revisions = Revisions(tmp_path)
    first, second, third = (revisions.freeze("1.2", map(str, range(n))) for n in (1, 2, 3))
    assert revisions.earlier(third) is None
    revisions.save(first, Analysis((BOOKMARK,), (Product(Kind.REPORT, report),)), "fake-1")
    earlier = revisions.earlier(third)
    assert earlier is not None
    assert earlier.reports == tuple(revisions.objects("1.2", first.digest, Kind.REPORT))
    assert earlier.bookmarks == (BOOKMARK,)
    assert revisions.earlier(first) is None
    revisions.save(second, Analysis((), (Product(Kind.REPORT, report),)), "fake-1")
    assert revisions.earlier(third) != earlier


def test_what_is_saved_stays_as_it_is(tmp_path: Path, report: Dataset) -> None:
    """Another worker that did the same may be later, when it is on its way already."""
    revisions = Revisions(tmp_path)
    revision = revisions.freeze("1.2", ["1.2.1"])
    revisions.save(revision, Analysis((BOOKMARK,), (Product(Kind.REPORT, report),)), "fake-1")
    revisions.save(revision, Analysis((), ()), "fake-1")
    assert len(revisions.objects("1.2", revision.digest, Kind.REPORT)) == 1
    assert revisions.bookmarks(revision) == (BOOKMARK,)


def test_what_is_analysed_after_all_is_settled_no_more(tmp_path: Path, report: Dataset) -> None:
    revisions = Revisions(tmp_path)
    revision = revisions.freeze("1.2", ["1.2.1"])
    revisions.settle("1.2", revision.digest)
    revisions.save(revision, Analysis((), (Product(Kind.REPORT, report),)), "fake-1")
    assert not revisions.is_settled(revision)


def test_pictures_are_kept_until_retention(tmp_path: Path) -> None:
    revisions = Revisions(tmp_path)
    revision = revisions.freeze("1.2", ["1.2.1"])
    assert revisions.about(revision) == About()
    shown = (Picture(b"png 0", "one"), Picture(b"png 1", "two"))
    revisions.save(revision, Analysis((BOOKMARK,), (), ("left out",), shown), "fake-1")
    assert revisions.about(revision) == About("fake-1", ("left out",), ("one", "two"))
    paths = [revisions.picture("1.2", revision.digest, number) for number in range(3)]
    assert [path and path.read_bytes() for path in paths] == [b"png 0", b"png 1", None]
    revisions.settle("1.2", revision.digest)
    assert revisions.picture("1.2", revision.digest, 0) is None
    assert revisions.about(revision).pictures == ("one", "two")


def test_a_report_does_not_wait_for_pictures(
    tmp_path: Path,
    report: Dataset,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def write(target: Path, data: bytes) -> None:
        if target.suffix == ".png":
            raise OSError(errno.ENOSPC, "No space left on device")
        write_durably(target, data)

    monkeypatch.setattr("dicom_node.revisions.write_durably", write)
    revisions = Revisions(tmp_path)
    revision = revisions.freeze("1.2", ["1.2.1"])
    products = (Product(Kind.REPORT, report),)
    revisions.save(revision, Analysis((BOOKMARK,), products, (), (Picture(b"png", "one"),)), "m")
    assert revisions.is_done(revision)
    assert len(revisions.objects("1.2", revision.digest, Kind.REPORT)) == 1
    assert revisions.picture("1.2", revision.digest, 0) is None
    assert "LM406 series 1.2: " in caplog.text


def test_another_model_makes_a_revision_of_the_same_instances(tmp_path: Path) -> None:
    revisions = Revisions(tmp_path)
    first = revisions.freeze("1.2", ["1.2.1", "1.2.2"])
    revisions.save(first, Analysis((BOOKMARK,), ()), "fake-1")
    anew = revisions.renew(first, "fake-2")
    assert (anew.number, anew.instances) == (2, first.instances)
    assert anew.digest != first.digest
    assert revisions.renew(first, "fake-2") == anew
    assert revisions.freeze("1.2", first.instances) == first
    assert [revisions.has_seen(model, first) for model in ("fake-1", "fake-2")] == [True, False]
    revisions.save(anew, Analysis((), ()), "fake-2")
    assert revisions.has_seen("fake-2", first)
