"""What is seen: from the instances of one series to bookmarks, and from bookmarks to DICOM objects.

This module is the seam between the two halves of the program. A node knows a plugin only by
the names defined here; a plugin opens no socket and reads no clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from plugin.bookmark import Bookmark
from plugin.errors import PluginError, UnsuitableSeries, WrongSetting

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from pydicom import Dataset

__all__ = [
    "Analysis",
    "Bookmark",
    "Earlier",
    "Facts",
    "Judgement",
    "Kind",
    "Picture",
    "Plugin",
    "PluginError",
    "Product",
    "Series",
    "Trial",
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
class Picture:
    """A bookmark's key slice for people, with the diameters drawn."""

    #: The picture (PNG).
    png: bytes
    #: What is to be seen, for those who do not see it.
    text: str


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
    #: One for each bookmark, in the same order, or none at all.
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class Facts:
    """What runs, and where: for whoever watches a node or installs one."""

    #: Name and version of the model, such as "lesionmark-lung 3.1".
    model: str
    #: SHA-256 of its weights, 64 hexadecimal digits, compared with what was shipped when they
    #: were read; of several files it is that of their SHA-256s, written one after the other. Empty
    #: without weights.
    weights_sha256: str
    #: Where it runs: "cuda", "mps" or "cpu".
    device: str
    #: What the device is called by its maker or by the system.
    device_name: str
    #: Memory of a device of its own, bytes; None where it uses that of the machine.
    memory_bytes: int | None = None
    #: How much of that is in use, by whomever, bytes.
    memory_used_bytes: int | None = None


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

    def facts(self) -> Facts:
        """What runs, and where, at this moment; quick, at any time, from any thread."""
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


@dataclass(frozen=True)
class Judgement:
    """What a report on a series of known truth says."""

    #: What is there and what is reported, for a person.
    seen: str
    #: One sentence for each thing that is wrong; empty for a report that is right.
    faults: tuple[str, ...]


class Trial(Protocol):
    """How a plugin is tried where it is installed, without a patient."""

    @property
    def patient_id(self) -> str:
        """Patient ID of all that a trial makes; says that it is a test."""
        ...

    def decodable(self) -> frozenset[str]:
        """Transfer Syntax UIDs that an installation can decode which is whole."""
        ...

    def undecodable(self) -> Mapping[str, str]:
        """Those that this one cannot, each with the reason; found out by decoding."""
        ...

    def write(self, folder: Path, now: datetime) -> Series:
        """Write a series of known truth into a folder, under UIDs that are new at `now`."""
        ...

    def judge(self, document: Dataset) -> Judgement:
        """Compare a report on that series with the truth."""
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


def trial(settings: Mapping[str, Any]) -> Trial | None:
    """The trial of the plugin, without building it: its module's `trial`, if it has one.

    Raises ImportError.
    """
    make = getattr(import_module(settings["module"]), "trial", None)
    return None if make is None else cast("Trial", make())


def produced(settings: Mapping[str, Any]) -> Mapping[Kind, tuple[str, ...]]:
    """SOP Class UIDs of the objects of each kind: its module's `PRODUCED`, if it has that.

    Those of a report are forms of it, the best first. Raises ImportError.
    """
    found: Mapping[Kind, tuple[str, ...]]
    found = getattr(import_module(settings["module"]), "PRODUCED", {})
    return found


def specimen(settings: Mapping[str, Any]) -> tuple[Product, ...]:
    """One object of each kind that the plugin makes: its module's `specimen`, if it has one.

    Raises ImportError.
    """
    make = getattr(import_module(settings["module"]), "specimen", tuple)
    return cast("tuple[Product, ...]", make())


def sop_classes(settings: Mapping[str, Any]) -> frozenset[str]:
    """The `sop_classes` of the plugin, without building it: its module's `SOP_CLASSES`.

    A process that only receives needs no model. Raises ImportError.
    """
    found: frozenset[str] = import_module(settings["module"]).SOP_CLASSES
    return found
