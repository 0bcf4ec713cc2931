"""At the seam: the fake plugin with a trial of its own, which takes no time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydicom.uid import ExplicitVRLittleEndian

from plugin import Judgement, Series
from tests import fake_plugin
from tests.instances import write_series

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from pydicom import Dataset

SOP_CLASSES, PRODUCED = fake_plugin.SOP_CLASSES, fake_plugin.PRODUCED
INSTANCES = 4


@dataclass(frozen=True)
class TinyTrial:
    """Counts the slices."""

    patient_id: str = "TEST-7"

    def decodable(self) -> frozenset[str]:
        return frozenset({ExplicitVRLittleEndian})

    def undecodable(self) -> Mapping[str, str]:
        return {}

    def write(self, folder: Path, now: datetime) -> Series:
        del now
        written = write_series(folder, INSTANCES)
        return Series(written.series_uid, tuple(written.paths))

    def judge(self, document: Dataset) -> Judgement:
        expected = f"{INSTANCES} instances"
        faults = () if document.StudyDescription == expected else ("they are miscounted",)
        return Judgement(f"{expected}: {document.StudyDescription}", faults)


def build(settings: Mapping[str, Any]) -> fake_plugin.FakePlugin:
    return fake_plugin.build(settings)


def trial() -> TinyTrial:
    return TinyTrial()
