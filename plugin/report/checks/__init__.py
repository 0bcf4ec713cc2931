"""Our own checks of every object before it is sent: what no validator catches.

Each module has a `check(objects, findings)` for what its namesake encodes; it raises
InvalidReport naming the item that is missing or not true.
"""

from __future__ import annotations

from plugin.report.checks import (
    document,
    key_objects,
    presentation_state,
    secondary_capture,
    segmentation,
)

__all__ = ["document", "key_objects", "presentation_state", "secondary_capture", "segmentation"]
