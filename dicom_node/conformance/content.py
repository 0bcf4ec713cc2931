"""The objects that are made, read from one specimen of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydicom.datadict import keyword_for_tag

from dicom_node.conformance.markdown import section, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydicom import Dataset

    from dicom_node.conformance.subject import Subject

_Row = tuple[str, str, str]


def content(subject: Subject) -> str:
    """The chapters on objects, codes and character sets."""
    datasets = [product.dataset for product in subject.specimen]
    if not datasets:
        return section(2, "8 Objects", "The plugin of this configuration describes none.")
    return "\n\n".join(
        (
            section(2, "8 Objects that are made", _objects(subject)),
            section(3, "8.1 Attributes", *_attributes(datasets)),
            section(3, "8.2 Structured report", *_report(datasets[0])),
            section(3, "8.3 Codes", *_codes(datasets)),
            section(3, "8.4 Private attributes", _private(datasets)),
            section(2, "9 Character sets", _character_sets(datasets)),
        )
    )


def _objects(subject: Subject) -> str:
    rows = {
        (
            product.kind.value,
            product.dataset.SOPClassUID.name,
            product.dataset.file_meta.TransferSyntaxUID.name,
            "Standard",
        )
        for product in subject.specimen
    }
    head = ("Kind", "SOP Class", "Transfer syntax", "Conformance level")
    return table(head, sorted(rows)) + (
        "\n\nPatient and study attributes are those of the images; a value that its VR does not "
        "allow is left out. SOP Instance UIDs (2.25, PS3.5 B.2) are derived from the instances and "
        "the model, so the same series gives the same objects. Dates and times of creation are "
        "local."
    )


def _attributes(datasets: Iterable[Dataset]) -> Iterator[str]:
    """For each SOP Class the attributes at its top, by their keywords in PS3.6."""
    by_class: dict[str, dict[str, bool]] = {}
    for dataset in datasets:
        known = by_class.setdefault(dataset.SOPClassUID.name, {})
        for element in dataset:
            keyword = keyword_for_tag(element.tag) or str(element.tag)
            known[keyword] = known.get(keyword, False) or not element.is_empty
    common = set.intersection(*(set(known) for known in by_class.values()))
    first = next(iter(by_class.values()))
    yield f"In all of them: {_keywords({key: first[key] for key in first if key in common})}."
    rows = (
        (name, _keywords({key: full for key, full in known.items() if key not in common}))
        for name, known in by_class.items()
    )
    yield table(("SOP Class", "Further attributes"), rows)
    yield "Those in brackets are empty where the images say nothing."


def _keywords(known: dict[str, bool]) -> str:
    return ", ".join(key if full else f"({key})" for key, full in sorted(known.items()))


def _report(document: Dataset) -> Iterator[str]:
    yield "Templates: " + ", ".join(f"TID {name}" for name in sorted(_templates(document))) + "."
    yield (
        "The content tree of a report with one lesion; each further lesion is another "
        "Measurement Group. Relationships are those of the item to its parent."
    )
    yield table(("Item", "Value type", "Relationship"), dict.fromkeys(_tree(document, 0)))


def _templates(item: Dataset) -> set[str]:
    own = {str(each.TemplateIdentifier) for each in item.get("ContentTemplateSequence") or ()}
    children = item.get("ContentSequence") or ()
    return own.union(*(_templates(child) for child in children))


def _tree(item: Dataset, depth: int) -> Iterator[_Row]:
    """The items of a tree in order; of several that are alike below one parent only the first."""
    names = item.get("ConceptNameCodeSequence") or ()
    name = f"{names[0].CodeMeaning} ({names[0].CodeValue} {_scheme(names[0])})" if names else "-"
    value = item.get("ConceptCodeSequence") or ()
    chosen = f" = {value[0].CodeMeaning}" if value else ""
    unit = _unit(item)
    yield (
        f"{'. ' * depth}{name}{chosen}{unit}",
        item.ValueType,
        item.get("RelationshipType", "root"),
    )
    seen = set()
    for child in item.get("ContentSequence") or ():
        key = _kind(child)
        if key not in seen:
            seen.add(key)
            yield from _tree(child, depth + 1)


def _kind(item: Dataset) -> tuple[str, str]:
    names = item.get("ConceptNameCodeSequence") or ()
    return str(item.ValueType), str(names[0].CodeValue) if names else ""


def _unit(item: Dataset) -> str:
    for measured in item.get("MeasuredValueSequence") or ():
        return f", in {measured.MeasurementUnitsCodeSequence[0].CodeValue}"
    return f", {item.GraphicType}" if "GraphicType" in item else ""


def _codes(datasets: Iterable[Dataset]) -> Iterator[str]:
    found = sorted({code for dataset in datasets for code in _coded(dataset)})
    yield table(("Scheme", "Value", "Meaning"), found)
    private = [code for code in found if code[0].startswith("99")]
    yield "Private codes: " + (", ".join(" ".join(code) for code in private) or "none") + "."


def _coded(dataset: Dataset) -> Iterator[_Row]:
    """Every code in a data set, at any depth."""
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from _coded(item)
    if "CodeMeaning" in dataset:
        yield _scheme(dataset), str(dataset.get("CodeValue", "")), str(dataset.CodeMeaning)


def _scheme(code: Dataset) -> str:
    return str(code.get("CodingSchemeDesignator", ""))


def _private(datasets: Iterable[Dataset]) -> str:
    tags = {str(e.tag) for dataset in datasets for e in dataset.iterall() if e.tag.is_private}
    return ", ".join(sorted(tags)) or "None."


def _character_sets(datasets: Iterable[Dataset]) -> str:
    own = {str(dataset.get("SpecificCharacterSet", "ISO_IR 6")) for dataset in datasets}
    return (
        "Instances are taken in any Specific Character Set and kept as they are encoded. An object "
        "that is made has the character set of its images, so that the patient is named in it as "
        f"in them; of the specimen that is {', '.join(sorted(own))}."
    )
