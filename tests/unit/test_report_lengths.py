from __future__ import annotations

from dataclasses import replace
from math import nan
from typing import TYPE_CHECKING, Any

import pytest
from pydicom import Dataset
from pydicom.sr.coding import Code

from plugin.bookmark import LesionType
from plugin.errors import InvalidReport
from plugin.report import AuthorKind, codes, read
from tests.report_cases import bookmark, volume

if TYPE_CHECKING:
    from plugin.volume import Volume

LENGTH = Code("G-D7FE", "SRT", "Length")
FINDINGS = Code("121070", "DCM", "Findings")
REPORT = Code("18782-3", "LN", "Radiology Report")
CENTIMETRE = Code("cm", "UCUM", "centimeter")
LONG, SHORT = [10.5, 20.5, 20.5, 20.5], [15.5, 17.5, 15.5, 23.5]


def item(kind: str, name: Code | None, *children: Dataset, **values: Any) -> Dataset:
    found = Dataset()
    found.ValueType = kind
    if name is not None:
        found.ConceptNameCodeSequence = [codes.item(name)]
    for keyword, value in values.items():
        setattr(found, keyword, value)
    if children:
        found.ContentSequence = list(children)
    return found


def selected(source: Volume, index: int = 2) -> Dataset:
    image = Dataset()
    image.ReferencedSOPClassUID = source.headers[0].SOPClassUID
    image.ReferencedSOPInstanceUID = source.slices[index].sop_instance_uid
    return item("IMAGE", None, ReferencedSOPSequence=[image])


def line(data: list[float], image: Dataset) -> Dataset:
    return item("SCOORD", None, image, GraphicType="POLYLINE", GraphicData=data)


def number(value: float, unit: Code) -> Dataset:
    measured = Dataset()
    measured.NumericValue = value
    measured.MeasurementUnitsCodeSequence = [codes.item(unit)]
    return measured


def length(
    value: float, drawn: Dataset, name: Code = LENGTH, unit: Code = codes.MILLIMETRE
) -> Dataset:
    return item("NUM", name, drawn, MeasuredValueSequence=[number(value, unit)])


def report(*content: Dataset) -> Dataset:
    document = item("CONTAINER", REPORT, *content)
    document.Modality = "SR"
    document.SOPInstanceUID = "1.2.3"
    return document


def group(*content: Dataset) -> Dataset:
    return item("CONTAINER", FINDINGS, *content)


def both(source: Volume, **changes: Any) -> tuple[Dataset, Dataset]:
    image = selected(source)
    return (
        length(7.0, line(LONG, image), **changes),
        length(4.2, line(SHORT, image), **changes),
    )


@pytest.mark.parametrize(
    "wrap",
    [
        lambda a, b: (group(a, b),),
        lambda a, b: (group(b), group(a)),
        lambda a, b: (group(group(group(a))), b),
    ],
    ids=["one group", "a group for each", "any depth"],
)
def test_two_crossing_lengths_are_the_axes_of_a_lesion(wrap: Any) -> None:
    source = volume()
    found = read(report(*wrap(*both(source))), headers=source.headers)
    (back,) = found.bookmarks
    mark = bookmark(source)
    expected = replace(
        mark,
        score=1.0,
        slice_range=(2, 2),
        lesion_type=LesionType.SOFT_TISSUE,
        tracking_uid=back.tracking_uid,
    )
    unmeasured: dict[str, Any] = {"mean_hu": 0.0, "volume_mm3": 0.0}
    assert replace(back, **unmeasured) == replace(expected, **unmeasured)
    assert found.remarks == ()


def test_the_value_is_as_written_in_cm_too() -> None:
    source = volume()
    image = selected(source)
    content = [
        length(0.71, line(LONG, image), unit=CENTIMETRE),
        length(0.43, line(SHORT, image), unit=CENTIMETRE),
    ]
    (back,) = read(report(group(*content)), headers=source.headers).bookmarks
    assert (back.long_axis_mm, back.short_axis_mm) == pytest.approx((7.1, 4.3))


def test_named_axes_belong_together_where_they_do_not_cross() -> None:
    source = volume()
    image = selected(source)
    content = [
        length(3.5, line([30.5, 5.5, 30.5, 10.5], image), codes.SHORT_AXIS_SRT),
        length(7.0, line(LONG, image), codes.LONG_AXIS_SRT),
    ]
    found = read(report(group(*content)), headers=source.headers)
    assert [(b.long_axis_mm, b.short_axis_mm) for b in found.bookmarks] == [(7.0, 3.5)]
    apart = read(report(*map(group, content)), headers=source.headers)
    assert apart.bookmarks == ()


def test_a_single_length_is_named() -> None:
    source = volume()
    single, _ = both(source)
    found = read(report(group(single)), headers=source.headers)
    uid = source.slices[2].sop_instance_uid
    assert found.bookmarks == ()
    assert found.remarks == (
        f"Length of 7 mm on instance {uid} crosses no other as a short axis does",
    )


def test_lengths_on_images_that_are_not_at_hand_are_named() -> None:
    source = volume()
    found = read(report(*both(source)), headers=source.headers[:1])
    assert found.bookmarks == ()
    assert [remark.rpartition(": ")[2] for remark in found.remarks] == [
        "the image is not at hand"
    ] * 2


def test_an_image_may_be_given_by_reference() -> None:
    source = volume()
    by_reference = Dataset()
    by_reference.RelationshipType = "SELECTED FROM"
    by_reference.ReferencedContentItemIdentifier = [1, 1, 2]
    lengths = [length(v, line(d, by_reference)) for v, d in ((7.0, LONG), (4.2, SHORT))]
    library = group(selected(source, 0), selected(source, 3))
    (back,) = read(report(library, *lengths), headers=source.headers).bookmarks
    assert back.sop_instance_uid == source.slices[3].sop_instance_uid
    by_reference.ReferencedContentItemIdentifier = [1, 1, 9]
    with pytest.raises(InvalidReport, match="no content item"):
        read(report(library, *lengths), headers=source.headers)


def test_site_author_and_tracking_uid_are_those_of_the_group() -> None:
    source = volume()
    site = item("CODE", codes.FINDING_SITE)
    site.ConceptCodeSequence = [codes.item(codes.SITES[LesionType.KIDNEY])]
    about = [
        site,
        item("UIDREF", codes.TRACKING_UID, UID="1.2.3.4"),
        item("PNAME", codes.PERSON_OBSERVER_NAME, PersonName="Reader^One"),
    ]
    found = read(report(group(*about, *both(source))), headers=source.headers)
    (back,) = found.bookmarks
    assert (back.lesion_type, back.tracking_uid) == (LesionType.KIDNEY, "1.2.3.4")
    assert [(author.kind, author.name) for author in found.authors] == [
        (AuthorKind.PERSON, "Reader^One")
    ]


def test_the_frame_of_a_single_one_may_have_a_number() -> None:
    source = volume()
    lines = both(source)
    for each in lines:
        image = each.ContentSequence[0].ContentSequence[0].ReferencedSOPSequence[0]
        image.ReferencedFrameNumber = 1
    (back,) = read(report(group(*lines)), headers=source.headers).bookmarks
    assert (back.sop_instance_uid, back.frame_number) == (source.slices[2].sop_instance_uid, None)


def test_a_length_by_an_algorithm_makes_the_lesion_a_programs() -> None:
    source = volume()
    by_hand, by_program = both(source)
    by_program.ContentSequence.append(item("TEXT", codes.ALGORITHM, TextValue="Finder"))
    person = item("PNAME", codes.PERSON_OBSERVER_NAME, PersonName="Reader^One")
    found = read(report(person, group(by_hand), group(by_program)), headers=source.headers)
    assert [author.kind for author in found.authors] == [AuthorKind.DEVICE]


def test_an_algorithm_beside_the_lengths_makes_the_lesion_a_programs() -> None:
    source = volume()
    person = item("PNAME", codes.PERSON_OBSERVER_NAME, PersonName="Reader^One")
    named = item("TEXT", codes.ALGORITHM, TextValue="Finder")
    found = read(report(person, group(named, *both(source))), headers=source.headers)
    (author,) = found.authors
    assert (author.kind, author.name) == (AuthorKind.DEVICE, "Finder")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda n: n.MeasuredValueSequence[0].__setattr__("NumericValue", -7.0), "is no length"),
        (
            lambda n: n.ContentSequence[0].__setattr__("GraphicData", [1.0, nan, 3.0, 4.0]),
            "is not drawn in numbers",
        ),
        (lambda n: n.ContentSequence[0].__setattr__("ContentSequence", []), "refers to no image"),
    ],
    ids=["negative", "not a number", "no image"],
)
def test_a_broken_length_is_refused_by_name(change: Any, message: str) -> None:
    source = volume()
    content = both(source)
    change(content[0])
    with pytest.raises(InvalidReport, match=f"Length.*{message}"):
        read(report(group(*content)), headers=source.headers)
