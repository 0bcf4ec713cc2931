"""The states of a series and of a delivery: each a named fact, never a mere flag."""

from enum import StrEnum


class SeriesState(StrEnum):
    """Where one series stands in its walk through the node."""

    #: Instances are arriving, or the quiet period after the last one is running.
    RECEIVING = "receiving"
    #: The series is whole; its analysis waits for its turn.
    QUEUED = "queued"
    #: The plugin is at work.
    ANALYSING = "analysing"
    #: The report is on disk; at least one destination does not have it yet.
    DELIVERING = "delivering"
    #: Every destination has acknowledged the report; proof may still be wanted of some.
    DELIVERED = "delivered"
    #: Delivered, and every destination of which proof is wanted has proved that it keeps it.
    KEPT = "kept"
    #: The series is not for the plugin, or can never be analysed; the reason says why.
    REFUSED = "refused"
    #: Something went wrong; the reason says what. `lesionmark retry` goes on from there.
    FAILED = "failed"


class DeliveryState(StrEnum):
    """Where one report stands on its way to one destination."""

    #: Not tried yet, or being sent right now.
    WAITING = "waiting"
    #: The last try failed in a way that may pass; the next one is scheduled.
    RETRYING = "retrying"
    #: The destination acknowledged every object; proof may still be wanted.
    DELIVERED = "delivered"
    #: The destination has proved that it keeps every object.
    KEPT = "kept"
    #: The destination refused for good, does not keep what it acknowledged, or the time for
    #: trying is over.
    FAILED = "failed"
