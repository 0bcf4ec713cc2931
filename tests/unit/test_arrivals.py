from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pynetdicom import AE
from pynetdicom.association import MODE_REQUESTOR, Association

from dicom_node.arrivals import Arrivals
from dicom_node.arriving import Arriving, Marks
from dicom_node.spool import Shelf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PLACE, OTHER = (Shelf.SERIES, "1.2"), (Shelf.SERIES, "1.3")


def association() -> Association:
    return Association(AE(), MODE_REQUESTOR)


@pytest.fixture
def arrivals(tmp_path: Path) -> Iterator[Arrivals]:
    marks = Marks(tmp_path)
    yield Arrivals(marks)
    marks.close()


def test_a_series_arrives_until_its_last_association_ends(
    arrivals: Arrivals, tmp_path: Path
) -> None:
    first, second, arriving = association(), association(), Arriving(tmp_path)
    assert not arrivals.join(first, PLACE)
    arrivals.add(first, PLACE)
    assert arrivals.join(second, PLACE)
    assert not arrivals.is_new(first, PLACE)
    assert not arrivals.is_new(second, PLACE)
    assert arrivals.is_new(first, OTHER)
    assert arrivals.end(first) == []
    assert arriving.has("1.2")
    assert arrivals.end(second) == [PLACE]
    assert not arriving.has("1.2")


def test_an_instance_that_is_written_after_the_end_is_told_of(arrivals: Arrivals) -> None:
    aborted = association()
    assert arrivals.end(aborted) == []
    arrivals.add(association(), PLACE)
    assert not arrivals.join(aborted, PLACE)
    assert arrivals.is_new(aborted, PLACE)


def test_what_is_written_after_the_end_does_not_arrive(arrivals: Arrivals, tmp_path: Path) -> None:
    aborted = association()
    arrivals.end(aborted)
    arrivals.add(aborted, PLACE)
    assert not Arriving(tmp_path).has("1.2")


def test_what_is_set_aside_does_not_arrive(arrivals: Arrivals, tmp_path: Path) -> None:
    arrivals.add(association(), (Shelf.ASIDE, "1.2"))
    assert not Arriving(tmp_path).has("1.2")
