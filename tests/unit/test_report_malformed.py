"""Objects of others that miss something, or have something else in its place."""

from __future__ import annotations

from contextlib import suppress
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plugin import Kind
from plugin.errors import InvalidReport
from plugin.report import Reading, read
from tests.report_authors import without_program
from tests.report_cases import bookmark, encoded, made, received, volume
from tests.unit.test_report_contours import SOURCE, lesion, structures
from tests.unit.test_report_lengths import both, group, report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom import DataElement, Dataset

IMAGES = volume()
REPORT = without_program(encoded(IMAGES, [bookmark(IMAGES)]))
(STATE,) = made(IMAGES, [bookmark(IMAGES)], Kind.PRESENTATION_STATE)
OBJECTS = {
    "Measurement Report": (REPORT, IMAGES),
    "report of other form": (report(group(*both(IMAGES))), IMAGES),
    "presentation state": (received(STATE), IMAGES),
    "structure set": (structures(*lesion()), SOURCE),
}
#: In place of a value that was right.
WRONG: list[Any] = [None, []]


def elements(dataset: Dataset) -> Iterator[tuple[Dataset, DataElement]]:
    """Every element of an object with the item that holds it, the innermost too."""
    for element in dataset:
        yield dataset, element
        if element.VR == "SQ":
            for item in element.value or []:
                yield from elements(item)


def survives(document: Dataset, headers: Any) -> None:
    """Whether it is read, or refused by name; any other error fails the test."""
    with suppress(InvalidReport):
        assert isinstance(read(document, headers=headers), Reading)


@pytest.mark.parametrize("name", OBJECTS)
def test_the_objects_are_whole_before_they_are_broken(name: str) -> None:
    document, source = OBJECTS[name]
    assert len(read(document, headers=source.headers).bookmarks) == 1


@pytest.mark.parametrize("name", OBJECTS)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_missing_or_empty_element_is_no_crash(name: str, data: st.DataObject) -> None:
    whole, source = OBJECTS[name]
    document = deepcopy(whole)
    found = list(elements(document))
    holder, element = found[data.draw(st.integers(0, len(found) - 1))]
    wrong = data.draw(st.sampled_from(["gone", *WRONG]))
    if wrong == "gone":
        del holder[element.tag]
    else:
        element.value = wrong
    survives(document, source.headers)


@pytest.mark.parametrize(
    ("keyword", "holder"),
    [("ROINumber", "StructureSetROISequence"), ("ReferencedROINumber", "ROIContourSequence")],
)
def test_a_malformed_object_names_the_attribute(keyword: str, holder: str) -> None:
    document = structures(*lesion())
    delattr(document[holder].value[0], keyword)
    with pytest.raises(InvalidReport, match=f"the RTSTRUCT object is malformed: .*{keyword}"):
        read(document, headers=SOURCE.headers)
