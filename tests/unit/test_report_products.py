from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from pydicom import dcmread
from pydicom.uid import (
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EnhancedSRStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    KeyObjectSelectionDocumentStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from plugin import Kind
from plugin.report import SOP_CLASSES, Findings, products, read
from tests import report_cases

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = [Comprehensive3DSRStorage, ComprehensiveSRStorage, EnhancedSRStorage]


@pytest.fixture
def findings() -> Findings:
    volume = report_cases.volume()
    return report_cases.findings(volume, [report_cases.bookmark(volume, n) for n in (1, 2)])


def test_only_what_is_wanted_is_made(findings: Findings) -> None:
    made, remarks = products(findings, {Kind.KEY_OBJECTS})
    assert [product.kind for product in made] == [Kind.REPORT] * 3 + [Kind.KEY_OBJECTS]
    assert remarks == ()


def test_every_kind_has_its_sop_class(findings: Findings) -> None:
    made, _ = products(findings, set(Kind))
    classes = {product.kind: product.dataset.SOPClassUID for product in made}
    assert classes == {
        Kind.REPORT: EnhancedSRStorage,
        Kind.KEY_IMAGES: SecondaryCaptureImageStorage,
        Kind.PRESENTATION_STATE: GrayscaleSoftcopyPresentationStateStorage,
        Kind.KEY_OBJECTS: KeyObjectSelectionDocumentStorage,
        Kind.SEGMENTATION: SegmentationStorage,
    }
    for kind, sop_class in classes.items():
        assert sop_class in SOP_CLASSES[kind]
    assert list(SOP_CLASSES[Kind.REPORT]) == CLASSES
    captures = [product for product in made if product.kind is Kind.KEY_IMAGES]
    assert len(captures) == len(findings.bookmarks)
    uids = [product.dataset.SOPInstanceUID for product in made]
    assert len(set(uids)) == len(uids)


def test_the_forms_of_the_report_differ_in_class_and_uid_alone(findings: Findings) -> None:
    made, _ = products(findings, ())
    forms = [product.dataset for product in made]
    assert [form.SOPClassUID for form in forms] == CLASSES
    for form in forms:
        assert form.file_meta.MediaStorageSOPClassUID == form.SOPClassUID
        assert form.file_meta.MediaStorageSOPInstanceUID == form.SOPInstanceUID
        assert form.ContentSequence == forms[0].ContentSequence
        assert read(form) == read(forms[0])


def test_each_form_names_the_same_form_of_the_report_it_replaces(
    findings: Findings, tmp_path: Path
) -> None:
    before = [product.dataset for product in products(findings, ())[0]]
    paths = report_cases.written(tmp_path, before)
    later = replace(findings, earlier_reports=tuple(paths), model="model 2")
    for product, path in zip(products(later, ())[0], paths, strict=True):
        [study] = product.dataset.PredecessorDocumentsSequence
        [instance] = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
        before = dcmread(path)
        assert instance.ReferencedSOPInstanceUID == before.SOPInstanceUID
        assert instance.ReferencedSOPClassUID == before.SOPClassUID == product.dataset.SOPClassUID


@pytest.mark.parametrize("keyword", ["FrameOfReferenceUID", "Modality", "SeriesNumber"])
@pytest.mark.parametrize("absent", [True, False], ids=["absent", "empty"])
def test_headers_that_lack_something_do_not_hold_back_the_report(
    findings: Findings, keyword: str, absent: bool
) -> None:
    for header in findings.volume.headers:
        setattr(header, keyword, None)
        if absent:
            delattr(header, keyword)
    made, remarks = products(findings, frozenset(Kind))
    if keyword == "FrameOfReferenceUID":
        assert remarks == ("no segmentation: the images have no Frame of Reference UID",)
        assert {product.kind for product in made} == set(Kind) - {Kind.SEGMENTATION}
    else:
        assert remarks == ()
        assert {product.kind for product in made} == set(Kind)


def test_a_kind_that_cannot_be_made_does_not_hold_back_the_report(findings: Findings) -> None:
    volume = findings.volume
    slices = tuple(replace(place, frame_number=1) for place in volume.slices)
    several = replace(findings, volume=replace(volume, slices=slices))
    frames = tuple(replace(b, frame_number=1) for b in findings.bookmarks)
    made, remarks = products(replace(several, bookmarks=frames), {Kind.SEGMENTATION})
    assert {product.kind for product in made} == {Kind.REPORT}
    assert remarks == (
        "no segmentation: a segmentation cannot cover several multi-frame instances",
    )
