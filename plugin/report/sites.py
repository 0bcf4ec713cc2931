"""Where a lesion lies, as other writers say it -> lesion type."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from plugin.bookmark import LesionType
from plugin.report import codes, tree

if TYPE_CHECKING:
    from pydicom import Dataset


def of_group(group: Dataset, where: str) -> LesionType:
    """By the code of the site, or by what it is called; soft tissue when it is not told.

    Raises InvalidReport for a site without a value.
    """
    for item in tree.find(group, codes.FINDING_SITE):
        site = tree.coded(item, f"{where}: Finding Site")
        for lesion_type, code in codes.SITES.items():
            if tree.same(site, code) or str(site.get("CodeMeaning", "")).lower() == lesion_type:
                return lesion_type
    return LesionType.SOFT_TISSUE


def of_words(words: str) -> LesionType:
    """By the first type that a label names as a word; soft tissue when it names none."""
    pattern = "|".join(re.escape(each) for each in LesionType)
    named = re.search(rf"(?<![a-z])({pattern})(?![a-z])", words.lower())
    return LesionType(named.group()) if named else LesionType.SOFT_TISSUE
