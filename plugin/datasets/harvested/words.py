"""The coarse type that a bookmark states: by the code of its site, or by the words of its label.

The words are looked at, and only the type is kept: no text of a bookmark enters a data set.
English, German and French. Two types in one text say nothing: "liver metastasis of lung cancer".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from plugin.bookmark import LesionType
from plugin.report import codes, tree

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydicom import Dataset

#: SNOMED CT body structures of each type, and the SRT codes of the same, beyond `codes.SITES`.
SITES: Final = {
    LesionType.BONE: (
        "272673000 51282000 113197003 421060004 56873002 71341001 54735007 89546000 122495006 "
        "122496007 122494005 T-D016E T-11510 T-11300 T-D04FF T-11210 T-12710 T-11AD0 T-11100"
    ),
    LesionType.ABDOMEN: (
        "818981001 78961009 15776009 23451007 69695003 28231008 82849001 27398004 71854001 "
        "T-D4000 T-C3000 T-65000 T-B3000 T-57000 T-63000 T-D4900 T-D4600 T-59300"
    ),
    LesionType.MEDIASTINUM: "72410000 32849002 80891009 T-D3300 T-56000 T-32000",
    LesionType.LIVER: "10200004 T-62000",
    LesionType.LUNG: (
        "39607008 3120008 31094006 90572001 45653009 40020002 72481006 44714003 T-28000 T-29000"
    ),
    LesionType.KIDNEY: "64033007 T-71000",
    LesionType.SOFT_TISSUE: (
        "87784001 71616004 39937001 76752008 71966008 91470000 45048000 69748006 "
        "T-1A000 T-13001 T-01000 T-04000 T-03000 T-D8104 T-D1600 T-B6000"
    ),
    LesionType.PELVIS: (
        "816092008 89837001 41216001 35039007 15497006 34402009 "
        "T-D6000 T-74000 T-92000 T-83000 T-87000 T-59600"
    ),
}
#: Whole words, in small letters, as regular expressions.
WORDS: Final = {
    LesionType.BONE: (
        r"bones?|osseous|vertebrae?l?|ribs?|sternum|sacrum|femur|humerus|clavicle|scapula|"
        r"knochen\w*|wirbel\w*|rippen?|os|osseuse?s?|vert[eè]bres?|c[oô]tes?"
    ),
    LesionType.ABDOMEN: (
        r"abdom\w*|spleen|splenic|pancrea\w*|adrenals?|mesenter\w*|retroperiton\w*|omental|"
        r"omentum|gastric|stomach|gallbladder|milz|nebennieren?|magen|gekr[oö]se|"
        r"surr[eé]nales?|estomac"
    ),
    LesionType.MEDIASTINUM: (
        r"m[eé]diastin\w*|hilar|paratracheal|subcarinal|o?esopha\w*|hil[aä]re?r?|speiser[oö]hre"
    ),
    LesionType.LIVER: r"liver|hepatic|leber\w*|foie|h[eé]patiques?",
    LesionType.LUNG: (
        r"lungs?|pulmonary|lingula|pleural?|r[uml]l|l[ul]l|lungen\w*|pulmonale?r?|poumons?|"
        r"pulmonaires?|pl[eè]vre"
    ),
    LesionType.KIDNEY: r"kidneys?|renal|niere\w*|r[eé]nale?s?",
    LesionType.SOFT_TISSUE: (
        r"soft[ -]tissues?|subcutaneous|muscles?|muscular|skin|breasts?|axill\w*|inguinal|"
        r"weichteil\w*|haut|brust|muskel\w*|leisten?\w*|tissus? mous?|peau"
    ),
    LesionType.PELVIS: (
        r"pelvis|pelvic|bladder|prostate|uterus|uterine|ovar\w*|rectum|rectal|iliac|"
        r"becken\w*|harnblase|prostata|rektum|bassin|pelvienn?e?s?|vessie"
    ),
}
_CODES = {code: lesion_type for lesion_type, all_ in SITES.items() for code in all_.split()}
_WORDS = {each: re.compile(rf"\b(?:{words})\b") for each, words in WORDS.items()}


@dataclass(frozen=True)
class Stated:
    """A type that a bookmark states."""

    #: The type.
    lesion_type: LesionType
    #: "finding site" or "label".
    by: str


def of_group(group: Dataset) -> Stated | None:
    """The type that a Measurement Group of a report states; None where it states none."""
    sites = [
        value
        for item in tree.find(group, codes.FINDING_SITE)
        for value in item.get("ConceptCodeSequence") or []
    ]
    found = _only(_CODES.get(str(site.get("CodeValue", ""))) for site in sites)
    found = found or of_text(" ".join(str(site.get("CodeMeaning", "")) for site in sites))
    if found is not None:
        return Stated(found, "finding site")
    return of_label(" ".join(_texts(group)))


def of_label(text: str) -> Stated | None:
    """The type that a label in words states."""
    found = of_text(text)
    return None if found is None else Stated(found, "label")


def of_text(text: str) -> LesionType | None:
    """The one type whose words are in a text; None for none, and for several."""
    return _only(each for each, words in _WORDS.items() if words.search(text.lower()))


def _only(found: Iterable[LesionType | None]) -> LesionType | None:
    types = set(found) - {None}
    return types.pop() if len(types) == 1 else None


def _texts(group: Dataset) -> list[str]:
    labels = (codes.TRACKING_IDENTIFIER, codes.COMMENT)
    texts = [str(item.get("TextValue", "")) for code in labels for item in tree.find(group, code)]
    findings = [
        str(value.get("CodeMeaning", ""))
        for item in tree.find(group, codes.FINDING)
        for value in item.get("ConceptCodeSequence") or []
    ]
    return texts + findings
