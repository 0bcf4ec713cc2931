"""How fast a harvest looks through folders, and what memory it needs for that.

python -m benchmarks.scan [COUNT]
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydicom import dcmread
from pydicom.uid import BasicTextSRStorage, CTImageStorage

from benchmarks.node import resident_mib
from benchmarks.results import Result
from dicom_node.harvest.index import Index, Scanned
from plugin.datasets import phantom

#: Instances of a study, of which the last one is a structured report.
_STUDY: Final = 200
_HOW = """\
{count} instances of a chest phantom in {studies} studies, each with one SR, are read from a \
folder into the index of `lesionmark harvest`: seven elements of each. The files are in the cache \
of the system; time is that of one processor core."""


@dataclass
class _Marks:
    """Processor time and memory while a scan goes on."""

    #: Seconds of one core since the process began, by number of files.
    seconds: dict[int, float]
    #: Resident memory by number of files, MiB.
    resident: dict[int, float]

    def note(self, files: int) -> None:
        """So many files have been looked at."""
        self.seconds[files] = time.process_time()
        self.resident[files] = resident_mib(os.getpid())


def measure(folder: Path, count: int = 20_000) -> Result:
    """Write the files, and scan them."""
    _write(folder / "files", count)
    marks = _Marks({}, {})
    index = Index(folder / "index.sqlite")
    marks.note(0)
    scanned = index.scan([folder / "files"], marks.note)
    took_s = time.process_time() - marks.seconds[0]
    index.close()
    return _result(scanned, took_s, marks)


def _write(folder: Path, count: int) -> None:
    """Instances that differ in their UIDs, of which only the digits change."""
    phantom.make(folder / "first", phantom.Spec(shape=(1, 128, 128)))
    [first] = (folder / "first").iterdir()
    template = dcmread(first)
    uids = "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"
    for number, keyword in enumerate(uids):
        setattr(template, keyword, f"1.2.{number}.1000000")
    template.file_meta.MediaStorageSOPInstanceUID = template.SOPInstanceUID
    template.save_as(first)
    encoded = {CTImageStorage: first.read_bytes()}
    template.SOPClassUID = template.file_meta.MediaStorageSOPClassUID = BasicTextSRStorage
    template.save_as(first)
    encoded[BasicTextSRStorage] = first.read_bytes()
    first.unlink()
    for number in range(count):
        study, place = divmod(number, _STUDY)
        data = encoded[BasicTextSRStorage if place == _STUDY - 1 else CTImageStorage]
        for level, value in ((0, study), (1, study), (2, number)):
            old, new = (f"1.2.{level}.{1_000_000 + each}".encode() for each in (0, value))
            data = data.replace(old, new)
        (folder / f"{study:05}").mkdir(exist_ok=True)
        (folder / f"{study:05}" / f"{place:05}.dcm").write_bytes(data)


def _result(scanned: Scanned, took_s: float, marks: _Marks) -> Result:
    rate = scanned.files / took_s
    first, *_, last = (marks.resident[files] for files in sorted(marks.resident) if files)
    rows = (
        ("instances a second", f"{rate:,.0f}"),
        ("microseconds an instance", f"{took_s / scanned.files * 1e6:.0f}"),
        ("resident memory after the first thousand", f"{first:.1f} MiB"),
        ("resident memory at the end", f"{last:.1f} MiB"),
    )
    return Result(
        "Looking through folders for a harvest",
        _HOW.format(count=scanned.files, studies=scanned.objects),
        ("what", "found"),
        rows,
        (f"{rate:,.0f} instances a second; memory grew by {last - first:.1f} MiB.",),
        {"scan_per_s": rate, "scan_growth_mib": last - first},
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
        print(measure(Path(scratch) / "scan", count).as_markdown())
