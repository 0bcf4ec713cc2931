"""Who made the report: observer, equipment and file meta information."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom import Dataset

from plugin.report import codes
from plugin.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, derive

if TYPE_CHECKING:
    from datetime import datetime

    from pydicom.uid import UID

#: Manufacturer, and name of the device that observes.
DEVICE_NAME = "lesionmark"
#: Most characters of a value of VR LO (PS3.5 6.2).
LO_LENGTH = 64


@dataclass(frozen=True)
class Model:
    """The detector as a report names it."""

    #: Algorithm Name (111001 DCM).
    name: str
    #: Algorithm Version (111003 DCM).
    version: str

    @property
    def device_uid(self) -> UID:
        """Names this model as observer (121012 DCM) and as equipment (0018,1002)."""
        return derive("device", self.name, self.version)


def model_of(name_and_version: str) -> Model:
    """Split "name version" at its last space; without a space both are the whole text."""
    name, _, version = name_and_version.rpartition(" ")
    return Model(name=name or version, version=version)


def describe(document: Dataset, model: Model, now: datetime) -> None:
    """Fill the equipment modules and the file meta information of `document`."""
    document.update(_equipment(model))
    document.ContributingEquipmentSequence = [_contribution(model, now)]
    document.file_meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    document.file_meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME


def _equipment(model: Model) -> Dataset:
    """Enhanced General Equipment (PS3.3 C.7.5.2), where every attribute needs a value."""
    item = Dataset()
    item.Manufacturer = DEVICE_NAME
    item.ManufacturerModelName = model.name[:LO_LENGTH]
    item.DeviceSerialNumber = model.version[:LO_LENGTH]
    item.SoftwareVersions = model.version[:LO_LENGTH]
    return item


def _contribution(model: Model, now: datetime) -> Dataset:
    """Contributing Equipment (PS3.3 C.12.1.1.5)."""
    item = _equipment(model)
    item.PurposeOfReferenceCodeSequence = [codes.item(codes.PROCESSING_EQUIPMENT)]
    item.DeviceUID = model.device_uid
    item.ContributionDateTime = now.strftime("%Y%m%d%H%M%S.%f")
    item.ContributionDescription = "Detection and measurement of lesions"
    return item
