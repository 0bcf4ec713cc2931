from __future__ import annotations

import pytest

from dicom_node.statuses import is_kept, is_permanent

KEPT, PERMANENT, MAY_PASS = "kept", "permanent", "may pass"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (0x0000, KEPT),
        (0x0111, KEPT),
        (0xB000, KEPT),
        (0xB006, KEPT),
        (0xB007, KEPT),
        (0xA700, MAY_PASS),
        (0xA7FF, MAY_PASS),
        (0x0110, MAY_PASS),
        (0x0213, MAY_PASS),
        (0xA900, PERMANENT),
        (0xA9FF, PERMANENT),
        (0xC000, PERMANENT),
        (0xC211, PERMANENT),
        (0x0117, PERMANENT),
        (0x0122, PERMANENT),
        (0x0124, PERMANENT),
    ],
)
def test_what_a_status_means_for_another_try(status: int, expected: str) -> None:
    meaning = KEPT if is_kept(status) else PERMANENT if is_permanent(status) else MAY_PASS
    assert meaning == expected
