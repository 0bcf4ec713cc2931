"""What is seen: from the instances of one series to bookmarks, and from bookmarks to DICOM objects.

This module is the seam between the two halves of the program. A node knows a plugin only by
the names defined here; a plugin opens no socket and reads no clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from plugin.bookmark import Bookmark
from plugin.errors import UnsuitableSeries, WrongSetting

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from pydicom import Dataset

__all__ = [
    "Analysis",
    "Bookmark",
    "Earlier",
    "Kind",
    "Plugin",
    "Product",
    "Series",
    "UnsuitableSeries",
    "WrongSetting",
    "load",
]


@dataclass(frozen=True)
class Series:
    """The instances of one series as they lie on disk."""

    #: Series Instance UID (0020,000E).
    series_instance_uid: str
    #: DICOM files (PS3.10), one an instance, in any order.
    instances: tuple[Path, ...]


@dataclass(frozen=True)
class Earlier:
    """What this plugin reported before on an earlier state of the same series."""

    #: The report that the new one replaces, in each SOP Class in which it was made, in the
    #: order of Analysis.objects; named in the Predecessor Documents.
    reports: tuple[Path, ...]
    #: The bookmarks of that report; lesions found again keep their tracking UID.
    bookmarks: tuple[Bookmark, ...]


class Kind(StrEnum):
    """What an object is for; a destination says which kinds it wants."""

    #: The structured report.
    REPORT = "report"
    #: Pictures of the key slices with everything drawn in, for viewers that draw nothing.
    KEY_IMAGES = "key-images"
    #: Lines and text to be laid over the images by the viewer.
    PRESENTATION_STATE = "presentation-state"
    #: A list of the key slices.
    KEY_OBJECTS = "key-objects"
    #: The lesions voxel by voxel.
    SEGMENTATION = "segmentation"


@dataclass(frozen=True)
class Product:
    """One object to send."""

    #: What it is for.
    kind: Kind
    #: The object, complete with file meta information.
    dataset: Dataset


@dataclass(frozen=True)
class Analysis:
    """What one series gave."""

    #: The lesions, best score first.
    bookmarks: tuple[Bookmark, ...]
    #: Objects to send. Those of kind REPORT come first and are one report in several SOP
    #: Classes, the best first: a destination gets the first of them that it accepts.
    objects: tuple[Product, ...]
    #: One sentence for each instance that was left out of the volume, and why.
    remarks: tuple[str, ...] = ()


class Plugin(Protocol):
    """One kind of analysis. A second plugin is a second implementation."""

    @property
    def version(self) -> str:
        """Name and version of the model; part of every UID that is derived."""
        ...

    @property
    def sop_classes(self) -> frozenset[str]:
        """SOP Class UIDs of the instances that can be part of a series to analyse."""
        ...

    def accepts(self, series: Series) -> bool:
        """Whether this plugin is meant for the series; reads headers only."""
        ...

    def warm_up(self) -> None:
        """Do beforehand what would make the first series slower than the second.

        A node calls it once, when it starts.
        """
        ...

    def analyse(self, series: Series, earlier: Earlier | None, now: datetime) -> Analysis:
        """Find and measure the lesions of a series and report them.

        `now` becomes the content date and time of the objects.
        Raises UnsuitableSeries when the series can never be analysed, with the reason.
        """
        ...


def load(settings: Mapping[str, Any]) -> Plugin:
    """Build the plugin that `settings["module"]` names ("plugin.analysis" for CT).

    `settings["objects"]` holds the kinds of object that somebody wants. Raises WrongSetting
    for a key the plugin does not have, ImportError for a module that is not there.

    The module is imported only here, so that commands without pixels start fast.
    """
    build = import_module(settings["module"]).build
    plugin: Plugin = build(settings)
    return plugin


def sop_classes(settings: Mapping[str, Any]) -> frozenset[str]:
    """The `sop_classes` of the plugin, without building it: its module's `SOP_CLASSES`.

    A process that only receives needs no model. Raises ImportError.
    """
    found: frozenset[str] = import_module(settings["module"]).SOP_CLASSES
    return found
