"""When to try again what has failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dicom_node.config_tables import Delivery


def next_try_s(settings: Delivery, tried_s: float, *, slowly: bool = False) -> float | None:
    """Seconds until the next try; None when it has been tried for long enough.

    Waits about as long as it has been tried already (`tried_s`, seconds), so the waits
    double. `slowly` waits the longest at once: only a person can make it work.
    """
    if tried_s > settings.give_up_after_h * 3600:
        return None
    if slowly:
        return settings.longest_retry_s
    return min(max(settings.first_retry_s, tried_s), settings.longest_retry_s)
