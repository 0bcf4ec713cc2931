from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pydicom.uid import ExplicitVRLittleEndian

from plugin.errors import InvalidReport
from plugin.report import codes, tree
from tests.report_cases import NOW, bookmark, encoded, enhanced, made, volume, written

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom import Dataset


def only_group(document: Dataset) -> Dataset:
    (group,) = tree.lesion_groups(document)
    return group


def numbers(group: Dataset) -> list[tuple[str, float]]:
    return [
        (
            item.ConceptNameCodeSequence[0].CodeMeaning,
            float(item.MeasuredValueSequence[0].NumericValue),
        )
        for item in group.ContentSequence
        if item.ValueType == "NUM"
    ]


def test_a_group_holds_the_measurements_in_the_order_viewers_need() -> None:
    source = volume()
    group = only_group(encoded(source, [bookmark(source)]))
    assert numbers(group) == [
        ("Long Axis", 7.0),
        ("Short Axis", 4.2),
        ("Certainty of Finding", 41.37),
        ("Attenuation Coefficient", -21.4),
        ("Volume", 283.0),
    ]


def test_points_are_column_first_and_half_a_pixel_from_the_corner() -> None:
    source = volume()
    group = only_group(encoded(source, [bookmark(source)]))
    long_axis = tree.one(group, codes.LONG_AXIS, "lesion").ContentSequence[0]
    certainty = tree.one(group, codes.CERTAINTY, "lesion").ContentSequence[0]
    assert list(long_axis.GraphicData) == [10.5, 20.5, 20.5, 20.5]
    assert list(certainty.GraphicData) == [
        10.5,
        17.5,
        20.5,
        17.5,
        20.5,
        23.5,
        10.5,
        23.5,
        10.5,
        17.5,
    ]
    assert long_axis.RelationshipType == "INFERRED FROM"
    assert long_axis.ContentSequence[0].RelationshipType == "SELECTED FROM"


def test_the_label_is_what_viewers_show() -> None:
    source = volume()
    group = only_group(encoded(source, [bookmark(source)]))
    label = tree.one(group, codes.COMMENT, "lesion").TextValue
    assert label == "Lesion 1: lung 7.0 x 4.2 mm, score 0.41"
    tracking = tree.one(group, codes.TRACKING_IDENTIFIER, "lesion").TextValue
    assert tracking == "Cornerstone3DTools@^0.1.0:Bidirectional:Lesion 1"


def test_the_evidence_and_the_library_list_every_analysed_instance() -> None:
    source = volume()
    document = encoded(source, [])
    (study,) = document.CurrentRequestedProcedureEvidenceSequence
    (series,) = study.ReferencedSeriesSequence
    analysed = [header.SOPInstanceUID for header in source.headers]
    assert [item.ReferencedSOPInstanceUID for item in series.ReferencedSOPSequence] == analysed
    (group,) = tree.content(tree.one(document, codes.IMAGE_LIBRARY, "report"))
    listed = [tree.reference(item, "entry")[0] for item in tree.find(group, codes.SOURCE)]
    assert listed == analysed


def test_without_lesions_the_report_says_so() -> None:
    document = encoded(volume(), [])
    evaluations = tree.one(document, codes.QUALITATIVE_EVALUATIONS, "report")
    outcome = tree.coded(tree.one(evaluations, codes.FINDINGS_SUMMARY, "report"), "outcome")
    narrative = tree.one(evaluations, codes.NARRATIVE_SUMMARY, "report").TextValue
    assert outcome.CodeMeaning == "All algorithms succeeded; without findings"
    assert narrative.startswith("CT, series 3: No lesion above the threshold of the detector.")
    assert "ContentSequence" not in tree.one(document, codes.IMAGING_MEASUREMENTS, "report")


def test_the_report_is_complete_preliminary_unverified_and_for_research() -> None:
    document = encoded(volume(), [])
    flags = (document.CompletionFlag, document.PreliminaryFlag, document.VerificationFlag)
    assert flags == ("COMPLETE", "PRELIMINARY", "UNVERIFIED")
    assert document.ContentQualification == "RESEARCH"
    assert "Research use only, not for clinical decisions" in document.SeriesDescription
    assert list(document.PerformedProcedureCodeSequence) == []
    assert list(document.ReferencedPerformedProcedureStepSequence) == []


def test_dates_come_from_the_caller() -> None:
    document = encoded(volume(), [])
    assert (document.ContentDate, document.ContentTime) == ("20260304", "050607.890000")
    assert document.InstanceCreationTime == "050607.890000"
    (equipment,) = document.ContributingEquipmentSequence
    assert equipment.ContributionDateTime == "20260304050607.890000"


def test_equipment_and_algorithm_name_the_model() -> None:
    source = volume()
    document = encoded(source, [bookmark(source)])
    (equipment,) = document.ContributingEquipmentSequence
    assert equipment.DeviceUID == tree.one(document, codes.DEVICE_OBSERVER_UID, "report").UID
    assert equipment.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
    texts = [item.TextValue for item in only_group(document).ContentSequence if "TextValue" in item]
    assert texts[1:3] == ["test-detector", "1.2.3"]


def test_the_same_input_gives_the_same_instance() -> None:
    source = volume()
    shuffled = replace(source, headers=source.headers[::-1])
    first = encoded(source, [bookmark(source)])
    second = encoded(shuffled, [bookmark(source)], now=NOW + timedelta(days=1))
    assert first.SOPInstanceUID == second.SOPInstanceUID
    assert first.file_meta.MediaStorageSOPInstanceUID == first.SOPInstanceUID
    assert first.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian


def test_uids_stay_the_same_from_process_to_process_and_release_to_release() -> None:
    document = encoded(volume(), [])
    assert document.SOPInstanceUID == "2.25.106581771933865982824804470824081289577"
    assert document.SeriesInstanceUID == "2.25.209545941838662946932658702534220300288"


@pytest.mark.parametrize(
    ("changes", "fewer_slices"),
    [({"model": "test-detector 2"}, False), ({}, True)],
    ids=["another model", "another set of instances"],
)
def test_other_input_gives_another_instance(changes: dict[str, Any], fewer_slices: bool) -> None:
    source = volume()
    other = replace(source, slices=source.slices[1:], headers=source.headers[1:])
    first = encoded(source, [])
    second = encoded(other if fewer_slices else source, [], **changes)
    assert first.SOPInstanceUID != second.SOPInstanceUID


def test_a_revision_replaces_its_predecessor(tmp_path: Path) -> None:
    whole = volume()
    part = replace(whole, hu=whole.hu[:4], slices=whole.slices[:4], headers=whole.headers[:4])
    before = made(part, [])
    revision = encoded(whole, [], earlier_reports=written(tmp_path, before))
    (study,), earlier = revision.PredecessorDocumentsSequence, before[0]
    (predecessor,) = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert predecessor.ReferencedSOPInstanceUID == earlier.SOPInstanceUID
    assert predecessor.PurposeOfReferenceCodeSequence[0].CodeMeaning == "Replaced report"
    assert revision.SeriesInstanceUID == earlier.SeriesInstanceUID
    assert (earlier.InstanceNumber, revision.InstanceNumber) == (1, 2)
    assert revision.SOPInstanceUID != earlier.SOPInstanceUID


def test_a_report_does_not_replace_itself(tmp_path: Path) -> None:
    source = volume()
    same = made(source, [])
    with pytest.raises(InvalidReport, match="itself in its Predecessor Documents"):
        encoded(source, [], earlier_reports=written(tmp_path, same))


def test_frames_of_a_multi_frame_instance_are_named() -> None:
    source = enhanced()
    group = only_group(encoded(source, [bookmark(source)]))
    shown = tree.one(group, codes.SHORT_AXIS, "lesion").ContentSequence[0]
    assert tree.reference(shown, "axis") == (source.slices[2].sop_instance_uid, 3)
    reached = [
        tree.reference(item, "slice")[1] for item in tree.find(group, codes.SOURCE_OF_MEASUREMENT)
    ]
    assert reached == [4, 3, 2]


def test_a_bookmark_in_a_foreign_instance_is_refused() -> None:
    source = volume()
    with pytest.raises(InvalidReport, match=r"instance 1\.2\.3 is not among those analysed"):
        encoded(source, [bookmark(source, sop_instance_uid="1.2.3")])
