"""Each way of breaking a report that validators do not catch is refused, and named."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from pydicom import Dataset

from plugin.errors import InvalidReport
from plugin.report import codes, tree
from plugin.report.checks.document import check
from tests.report_cases import Geometry, bookmark, encoded, findings, volume

if TYPE_CHECKING:
    from pydicom.sr.coding import Code

    from plugin.report import Findings


@cache
def good_report() -> tuple[Dataset, Findings]:
    source = volume(Geometry(spacing=(2.5, 0.6, 0.7)))
    marks = [bookmark(source, 1), bookmark(source, 2)]
    return encoded(source, marks), findings(source, marks)


def report() -> tuple[Dataset, Findings]:
    """A report of two lesions that a test may break; its pixels are wider than high."""
    document, found = good_report()
    return deepcopy(document), found


def lesion(document: Dataset, code: Code | None = None) -> Dataset:
    """The second lesion, or its item named `code`."""
    group = tree.lesion_groups(document)[1]
    return group if code is None else tree.one(group, code, "lesion")


def shape(document: Dataset, code: Code) -> Dataset:
    return tree.content(lesion(document, code))[0]


Mutation = Callable[[Dataset], None]


def remove(parent: Dataset, code: Code) -> None:
    kept = [item for item in parent.ContentSequence if not tree.is_named(item, code)]
    parent.ContentSequence = kept


def no(code: Code) -> Mutation:
    """The report without one of its items."""
    return lambda document: remove(document, code)


def lesion_without(code: Code) -> Mutation:
    return lambda document: remove(lesion(document), code)


def value(code: Code, number: str) -> Mutation:
    def mutate(document: Dataset) -> None:
        lesion(document, code).MeasuredValueSequence[0].NumericValue = number

    return mutate


def unit(code: Code, other: Code) -> Mutation:
    def mutate(document: Dataset) -> None:
        measured = lesion(document, code).MeasuredValueSequence[0]
        measured.MeasurementUnitsCodeSequence = [codes.item(other)]

    return mutate


def points(code: Code, *values: float) -> Mutation:
    return lambda document: setattr(shape(document, code), "GraphicData", list(values))


def meaning(code: Code, spelled: str) -> Mutation:
    def mutate(document: Dataset) -> None:
        lesion(document, code).ConceptNameCodeSequence[0].CodeMeaning = spelled

    return mutate


def says(code: Code, keyword: str, text: str) -> Mutation:
    return lambda document: setattr(lesion(document, code), keyword, text)


def attribute(keyword: str, value: Any) -> Mutation:
    return lambda document: setattr(document, keyword, value)


def swap_columns_and_rows(document: Dataset) -> None:
    for code in (codes.LONG_AXIS, codes.SHORT_AXIS):
        for item in tree.content(lesion(document, code)):
            values = list(item.GraphicData)
            item.GraphicData = [values[1], values[0], values[3], values[2]]


def insert_number_first(document: Dataset) -> None:
    group = lesion(document)
    group.ContentSequence.insert(0, group.ContentSequence.pop(_place(group, codes.VOLUME)))


def insert_method_before_points(document: Dataset) -> None:
    axis = lesion(document, codes.LONG_AXIS)
    axis.ContentSequence.insert(0, tree.one(lesion(document), codes.FINDING, "lesion"))


def exchange_axes(document: Dataset) -> None:
    items = lesion(document).ContentSequence
    place = _place(lesion(document), codes.LONG_AXIS)
    items[place], items[place + 1] = items[place + 1], items[place]


def shorten(document: Dataset) -> None:
    """A long axis that is drawn and written shorter than the short one."""
    points(codes.LONG_AXIS, 10.5, 20.5, 13.5, 20.5)(document)
    value(codes.LONG_AXIS, "2.1")(document)


def draw_a_circle(document: Dataset) -> None:
    shape(document, codes.LONG_AXIS).GraphicType = "CIRCLE"


def measure_nothing(document: Dataset) -> None:
    del lesion(document, codes.SHORT_AXIS).MeasuredValueSequence


def drop_notice(document: Dataset) -> None:
    remove(evaluations(document), codes.COMMENT)


def retitle(document: Dataset) -> None:
    document.ConceptNameCodeSequence[0].CodeValue = "121322"


def retag(document: Dataset) -> None:
    document.file_meta.MediaStorageSOPInstanceUID = "1.2.3"


def put_into_series_of_images(document: Dataset) -> None:
    evidence = document.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    document.SeriesInstanceUID = evidence.SeriesInstanceUID


def drop_lesion(document: Dataset) -> None:
    del tree.one(document, codes.IMAGING_MEASUREMENTS, "report").ContentSequence[0]


def share_tracking_uid(document: Dataset) -> None:
    first, second = tree.lesion_groups(document)
    uid = tree.one(first, codes.TRACKING_UID, "lesion").UID
    tree.one(second, codes.TRACKING_UID, "lesion").UID = uid


def refer_elsewhere(document: Dataset) -> None:
    image = tree.content(shape(document, codes.LONG_AXIS))[0]
    image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID = "1.2.3"


def draw_on_another_slice(document: Dataset) -> None:
    image = tree.content(shape(document, codes.SHORT_AXIS))[0]
    evidence = document.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    other = evidence.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID = other


def shorten_evidence(document: Dataset) -> None:
    evidence = document.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    del evidence.ReferencedSOPSequence[0]


def shorten_library(document: Dataset) -> None:
    (group,) = tree.content(tree.one(document, codes.IMAGE_LIBRARY, "report"))
    del group.ContentSequence[-1]


def evaluations(document: Dataset) -> Dataset:
    return tree.one(document, codes.QUALITATIVE_EVALUATIONS, "report")


def deny_findings(document: Dataset) -> None:
    outcome = tree.one(evaluations(document), codes.FINDINGS_SUMMARY, "report")
    outcome.ConceptCodeSequence = [codes.item(codes.WITHOUT_FINDINGS)]


def _place(group: Dataset, code: Code) -> int:
    return next(i for i, item in enumerate(group.ContentSequence) if tree.is_named(item, code))


LONG, SHORT, CERTAINTY = codes.LONG_AXIS, codes.SHORT_AXIS, codes.CERTAINTY

#: What is broken -> how, and what the refusal names.
MUTATIONS: dict[str, tuple[Mutation, str]] = {
    "no language": (no(codes.LANGUAGE), "Language of Content Item"),
    "no observer": (no(codes.OBSERVER_TYPE), "Observer Type"),
    "no device": (no(codes.DEVICE_OBSERVER_UID), "Device Observer UID"),
    "no procedure": (no(codes.PROCEDURE_REPORTED), "Procedure Reported"),
    "no library": (no(codes.IMAGE_LIBRARY), "Image Library"),
    "library lacks an image": (shorten_library, "is not in the Image Library"),
    "evidence lacks an image": (shorten_evidence, "is not in the evidence"),
    "no evaluations": (no(codes.QUALITATIVE_EVALUATIONS), "Qualitative Evaluations"),
    "no notice": (drop_notice, "Research use only"),
    "denies its findings": (deny_findings, "CAD Processing and Findings Summary"),
    "another title": (retitle, "title"),
    "verified": (attribute("VerificationFlag", "VERIFIED"), "VerificationFlag"),
    "final": (attribute("PreliminaryFlag", "FINAL"), "PreliminaryFlag"),
    "partial": (attribute("CompletionFlag", "PARTIAL"), "CompletionFlag"),
    "not research": (attribute("ContentQualification", "PRODUCT"), "ContentQualification"),
    "another patient": (attribute("PatientID", "54321"), "PatientID"),
    "another name": (attribute("PatientName", "Roe^Jane"), "PatientName"),
    "another study": (attribute("StudyInstanceUID", "1.2.3"), "StudyInstanceUID"),
    "a class of its own": (attribute("SOPClassUID", "1.2.3"), "SOPClassUID is 1.2.3"),
    "another instance in the file meta": (retag, "MediaStorageSOPInstanceUID is not"),
    "the series of the images": (put_into_series_of_images, "SeriesInstanceUID is not that of a"),
    "no notice in the series": (
        attribute("SeriesDescription", "Lesions"),
        "SeriesDescription does",
    ),
    "another lesion": (says(codes.TRACKING_UID, "UID", "1.2.3"), "not those of the lesions found"),
    "a lesion fewer": (drop_lesion, "not those of the lesions found"),
    "no tracking UID": (lesion_without(codes.TRACKING_UID), "Lesion 2 has no Tracking Unique"),
    "empty tracking UID": (says(codes.TRACKING_UID, "UID", ""), "Tracking Unique Identifier has"),
    "shared tracking UID": (share_tracking_uid, "Tracking Unique Identifier is not unique"),
    "no tracking identifier": (lesion_without(codes.TRACKING_IDENTIFIER), "Tracking Identifier"),
    "no finding": (lesion_without(codes.FINDING), "Lesion 2 has no Finding"),
    "no site": (lesion_without(codes.FINDING_SITE), "Finding Site"),
    "no label": (lesion_without(codes.COMMENT), "Comment"),
    "another label": (says(codes.COMMENT, "TextValue", "7.2 x 3.6 mm"), "say both lengths"),
    "no long axis": (lesion_without(LONG), 'NUM 1 is not "Long Axis"'),
    "no short axis": (lesion_without(SHORT), 'NUM 2 is not "Short Axis"'),
    "a number before the axes": (insert_number_first, 'NUM 1 is not "Long Axis"'),
    "axes exchanged": (exchange_axes, 'NUM 1 is not "Long Axis"'),
    "long axis spelled otherwise": (meaning(LONG, "Long axis"), '"Long Axis"'),
    "short axis spelled otherwise": (meaning(SHORT, "Short axis"), '"Short Axis"'),
    "method before the points": (insert_method_before_points, "SCOORD as its first child"),
    "length that does not fit": (value(LONG, "7.02"), "7.02 mm, but its points are 7.00 mm"),
    "columns and rows swapped": (swap_columns_and_rows, "Long Axis is 7.0 mm, but its points"),
    "short axis longer": (shorten, "Short Axis is longer"),
    "length not in mm": (unit(LONG, codes.PERCENT), "Long Axis is not in mm"),
    "no length": (measure_nothing, "no numeric value"),
    "three points": (points(LONG, 1, 1, 2, 2, 3, 3), "not drawn as a polyline of 2 points"),
    "a circle": (draw_a_circle, "not drawn as a polyline"),
    "points outside": (points(LONG, 52.5, 20.5, 62.5, 20.5), r"\(62.5, 20.5\) lies outside"),
    "points before": (points(SHORT, 15.5, -1, 15.5, 5), r"\(15.5, -1.0\) lies outside"),
    "another instance": (refer_elsewhere, r"1\.2\.3 is not in the evidence"),
    "axes on two slices": (draw_on_another_slice, "axes and box do not lie in one image"),
    "no certainty": (lesion_without(CERTAINTY), "Certainty of Finding"),
    "certainty over 100 %": (value(CERTAINTY, "101"), "not between 0 and 100 %"),
    "open box": (points(CERTAINTY, 1, 1, 2, 1, 2, 2, 1, 2, 1, 3), "the box is not closed"),
    "no attenuation": (lesion_without(codes.ATTENUATION), "Attenuation Coefficient"),
    "attenuation in mm": (unit(codes.ATTENUATION, codes.MILLIMETRE), "Coefficient is not in"),
    "no volume": (lesion_without(codes.VOLUME), "Volume"),
    "negative volume": (value(codes.VOLUME, "-1"), "Volume is negative"),
}


def test_a_good_report_passes() -> None:
    document, found = report()
    check([document], found)
    assert len(tree.lesion_groups(document)) == 2


@pytest.mark.parametrize("case", MUTATIONS)
def test_a_broken_report_is_refused(case: str) -> None:
    mutate, message = MUTATIONS[case]
    document, found = report()
    mutate(document)
    with pytest.raises(InvalidReport, match=message):
        check([document], found)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"long_axis_mm": 7.1}, "Lesion 1: Long Axis is 7.1 mm"),
        ({"score": 1.2}, "Certainty of Finding is not between 0 and 100 %"),
        ({"box": (-2.0, 17.0, 20.0, 23.0)}, "Certainty of Finding: point"),
    ],
)
def test_a_bookmark_that_is_not_true_is_not_encoded(changes: dict[str, Any], message: str) -> None:
    source = volume()
    with pytest.raises(InvalidReport, match=message):
        encoded(source, [bookmark(source, **changes)])
