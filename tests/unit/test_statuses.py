from __future__ import annotations

import pytest

from dicom_node.statuses import is_acknowledged, is_by_setting, is_permanent

ACKNOWLEDGED, PERMANENT, SETTING, MAY_PASS = "acknowledged", "permanent", "setting", "may pass"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (0x0000, ACKNOWLEDGED),
        (0x0111, ACKNOWLEDGED),
        (0xB000, ACKNOWLEDGED),
        (0xB006, ACKNOWLEDGED),
        (0xB007, ACKNOWLEDGED),
        (0xA700, MAY_PASS),
        (0xA7FF, MAY_PASS),
        (0x0110, MAY_PASS),
        (0x0213, MAY_PASS),
        (0xA900, PERMANENT),
        (0xA9FF, PERMANENT),
        (0xC000, PERMANENT),
        (0xC211, PERMANENT),
        (0x0117, PERMANENT),
        (0x0118, SETTING),
        (0x0122, SETTING),
        (0x0124, SETTING),
    ],
)
def test_what_a_status_means_for_another_try(status: int, expected: str) -> None:
    meanings = [
        name
        for name, fits in (
            (ACKNOWLEDGED, is_acknowledged),
            (PERMANENT, is_permanent),
            (SETTING, is_by_setting),
        )
        if fits(status)
    ]
    assert (meanings or [MAY_PASS]) == [expected]
