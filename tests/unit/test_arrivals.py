from __future__ import annotations

from pynetdicom import AE
from pynetdicom.association import MODE_REQUESTOR, Association

from dicom_node.arrivals import Arrivals
from dicom_node.spool import Shelf

PLACE, OTHER = (Shelf.SERIES, "1.2"), (Shelf.SERIES, "1.3")


def association() -> Association:
    return Association(AE(), MODE_REQUESTOR)


def test_a_series_arrives_until_its_last_association_ends() -> None:
    arrivals, first, second = Arrivals(), association(), association()
    arrivals.add(first, PLACE)
    arrivals.add(second, PLACE)
    assert not arrivals.is_new(first, PLACE)
    assert arrivals.is_new(first, OTHER)
    assert arrivals.end(first) == [PLACE]
    assert arrivals.is_arriving(PLACE)
    assert arrivals.end(second) == [PLACE]
    assert not arrivals.is_arriving(PLACE)


def test_an_instance_that_is_written_after_the_end_is_noticed_but_does_not_arrive() -> None:
    arrivals, aborted = Arrivals(), association()
    assert arrivals.end(aborted) == []
    arrivals.add(aborted, PLACE)
    assert not arrivals.is_arriving(PLACE)
    assert arrivals.is_new(aborted, PLACE)
