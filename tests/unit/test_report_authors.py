from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydicom import Dataset

from plugin import Kind
from plugin.report import Author, AuthorKind, authors, codes, read, tree
from tests.report_authors import without_program
from tests.report_cases import bookmark, encoded, made, volume

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydicom.sr.coding import Code

PERSON, DEVICE, UNKNOWN = AuthorKind.PERSON, AuthorKind.DEVICE, AuthorKind.UNKNOWN


def foreign(*observers: Dataset) -> Dataset:
    """Our report as if a viewer had written it: no algorithm, and other observers."""
    source = volume()
    document = without_program(encoded(source, [bookmark(source)]))
    document.ContentSequence.extend(observers)
    return document


def content(name: Code, **values: Any) -> Dataset:
    item = Dataset()
    item.ConceptNameCodeSequence = [codes.item(name)]
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def observer_type(code: Code) -> Dataset:
    return content(codes.OBSERVER_TYPE, ConceptCodeSequence=[codes.item(code)])


def person(name: str) -> Dataset:
    return content(codes.PERSON_OBSERVER_NAME, PersonName=name)


def device(name: str) -> Dataset:
    return content(codes.DEVICE_OBSERVER_NAME, TextValue=name)


def author_of(document: Dataset) -> Author:
    (author,) = read(document).authors
    return author


@pytest.mark.parametrize(
    ("observers", "kind", "name"),
    [
        ([observer_type(codes.PERSON), person("Reader^One")], PERSON, "Reader^One"),
        ([person("Reader^One")], PERSON, "Reader^One"),
        ([observer_type(codes.DEVICE), device("Finder")], DEVICE, "Finder"),
        ([device("Workstation"), person("Reader^One")], PERSON, "Reader^One"),
        ([], UNKNOWN, ""),
    ],
    ids=["person", "a missing type is a person", "device", "person with a device", "nobody"],
)
def test_the_observers_of_the_document_are_the_authors(
    observers: list[Dataset], kind: AuthorKind, name: str
) -> None:
    assert author_of(foreign(*observers)) == Author(kind, name, "A vendor A viewer")


def test_an_observer_of_the_group_comes_before_that_of_the_document() -> None:
    document = foreign(device("Finder"))
    tree.lesion_groups(document)[0].ContentSequence.append(person("Reader^One"))
    assert author_of(document).kind is PERSON


def test_an_algorithm_made_a_lesion_whoever_else_observed() -> None:
    document = foreign(person("Reader^One"))
    group = tree.lesion_groups(document)[0]
    axis = tree.one(group, codes.LONG_AXIS, "lesion")
    axis.ContentSequence.append(content(codes.ALGORITHM, TextValue="Finder"))
    assert author_of(document) == Author(DEVICE, "Finder", "A vendor A viewer")


def test_an_algorithm_named_for_all_groups_made_each_of_them() -> None:
    document = foreign(person("Reader^One"))
    (container,) = tree.find(document, codes.IMAGING_MEASUREMENTS)
    container.ContentSequence.append(content(codes.ALGORITHM, TextValue="Finder"))
    assert author_of(document).kind is DEVICE


def test_our_own_is_a_programs_even_without_its_algorithm() -> None:
    document = foreign(person("Reader^One"))
    document.Manufacturer = "lesionmark"
    assert author_of(document).kind is DEVICE


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ({"AuthorObserverSequence": {"ObserverType": "DEV"}}, DEVICE),
        ({"AuthorObserverSequence": {"ObserverType": "PSN", "PersonName": "A^B"}}, PERSON),
        ({"VerifyingObserverSequence": {"VerifyingObserverName": "A^B"}}, PERSON),
    ],
    ids=["a device's", "a person's", "verified"],
)
def test_without_observers_author_and_verifier_count(
    attributes: dict[str, dict[str, str]], kind: AuthorKind
) -> None:
    document = foreign()
    for keyword, values in attributes.items():
        item = Dataset()
        for name, value in values.items():
            setattr(item, name, value)
        setattr(document, keyword, [item])
    assert author_of(document).kind is kind


def test_a_reading_gives_the_bookmarks_of_people() -> None:
    found = read(foreign(person("Reader^One")))
    assert found.by(PERSON) == found.bookmarks
    assert found.by(DEVICE, UNKNOWN) == ()


def graphics(**attributes: str) -> Dataset:
    source = volume()
    (state,) = made(source, [bookmark(source)], Kind.PRESENTATION_STATE)
    for keyword, value in attributes.items():
        setattr(state, keyword, value)
    return state


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (graphics(), DEVICE),
        (graphics(Manufacturer="A vendor", ContentCreatorName="Reader^One"), PERSON),
        (graphics(Manufacturer="A vendor"), UNKNOWN),
    ],
    ids=["ours", "a person's", "not said"],
)
def test_a_content_creator_is_the_author_of_graphics(state: Dataset, kind: AuthorKind) -> None:
    assert authors.of_presentation_state(state).kind is kind


def roi(algorithm: str) -> Dataset:
    item = Dataset()
    item.ROIGenerationAlgorithm = algorithm
    return item


def interpreted(item: Dataset) -> None:
    item.ReviewerName = "Reader^One"


@pytest.mark.parametrize(
    ("algorithm", "change", "kind"),
    [
        ("MANUAL", None, PERSON),
        ("SEMIAUTOMATIC", None, PERSON),
        ("AUTOMATIC", interpreted, DEVICE),
        ("", interpreted, PERSON),
        ("", None, UNKNOWN),
    ],
)
def test_how_a_region_was_made_tells_its_author(
    algorithm: str, change: Callable[[Dataset], None] | None, kind: AuthorKind
) -> None:
    structures = Dataset()
    if change:
        change(structures)
    assert authors.of_roi(structures, roi(algorithm), None).kind is kind
