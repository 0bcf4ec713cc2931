from __future__ import annotations

import pytest

from dicom_node.config_tables import Delivery
from dicom_node.patience import next_try_s

SETTINGS = Delivery(first_retry_s=10.0, longest_retry_s=900.0, give_up_after_h=72.0)
LIMIT_S = 72 * 3600.0


@pytest.mark.parametrize(
    ("tried_s", "slowly", "expected"),
    [
        (0.0, False, 10.0),
        (10.0, False, 10.0),
        (20.0, False, 20.0),
        (640.0, False, 640.0),
        (5000.0, False, 900.0),
        (0.0, True, 900.0),
        (LIMIT_S, False, 900.0),
        (LIMIT_S + 1, False, None),
        (LIMIT_S + 1, True, None),
    ],
)
def test_the_waits_double_up_to_a_limit(
    tried_s: float, slowly: bool, expected: float | None
) -> None:
    assert next_try_s(SETTINGS, tried_s, slowly=slowly) == expected
