"""The three ways to judge a detector: which data, what is a hit, where false positives count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from plugin.datasets import deeplesion_folder, luna16, marked
from plugin.datasets.errors import InvalidDataset
from plugin.evaluation import cases, deeplesion_cases, lidc_cases, luna16_cases
from plugin.evaluation.froc import DEEPLESION_POINTS, LUNA16_POINTS
from plugin.evaluation.judge import by_deeplesion, by_luna16

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from plugin.evaluation.cases import Asked, Case
    from plugin.evaluation.froc import Scan
    from plugin.evaluation.judge import Rule

    Scans = list[Scan]


@dataclass(frozen=True)
class Protocol:
    """One way to judge."""

    #: Name on the command line.
    name: str
    #: What a finding must do to be a hit.
    rule: Rule
    #: False positives a scan at which the sensitivity is read.
    points: tuple[float, ...]
    #: Those of them whose mean sums the curve up.
    mean_points: tuple[float, ...]
    #: Whether a folder holds data for it.
    suits: Callable[[Path], bool]
    #: Its cases in a folder.
    cases: Callable[[Path, Asked], list[Case]]
    #: Where false positives are counted, given scans with lesions and lesion-free ones.
    counted: Callable[[Scans, Scans], tuple[Scans, str]]
    #: Whether the rank of a lesion among the findings of its case says something.
    ranks: bool = True


def chosen(folder: Path, name: str | None) -> list[Protocol]:
    """The protocol of a name, or all that a folder holds data for.

    Raises InvalidDataset where the folder has no data for it, or for any.
    """
    cases.check_filled(folder)
    suiting = [protocol for protocol in PROTOCOLS if protocol.suits(folder)]
    asked = [protocol for protocol in suiting if name in (None, protocol.name)]
    if not asked:
        what = f"the protocol {name}" if name else "any protocol"
        others = ", ".join(protocol.name for protocol in suiting)
        hint = f" (there is for: {others})" if others else f" ({LAYOUT})"
        raise InvalidDataset(f"{folder}: there is no data for {what}{hint}")
    return asked


def _whole_series(folder: Path) -> list[Case]:
    """Of `lesions.json` where there is one, else of LUNA16's tables, else of LIDC's readers."""
    if (folder / marked.TABLE).is_file():
        return cases.marked_series(folder)
    if (folder / luna16.TABLE).is_file():
        return luna16_cases.annotated_series(folder)
    return lidc_cases.read_by_all(folder)


def _all_scans(with_lesions: Scans, free: Scans) -> tuple[Scans, str]:
    return with_lesions + free, "scan"


def _free_scans(with_lesions: Scans, free: Scans) -> tuple[Scans, str]:
    return (free, "scan") if free else (with_lesions, "patch")


def _key_slices(with_lesions: Scans, _: Scans) -> tuple[Scans, str]:
    return with_lesions, "image"


#: What says where the lesions of whole series are.
_WHOLE_SERIES = (marked.TABLE, luna16.TABLE, lidc_cases.READINGS)
#: Said where a folder holds nothing.
LAYOUT = (
    "nodules/ with nodules.csv, series with lesions.json, annotations.csv or lidc/, or Images_png"
)

PROTOCOLS = (
    Protocol(
        name="patches",
        rule=by_luna16,
        points=LUNA16_POINTS,
        mean_points=LUNA16_POINTS,
        suits=lambda folder: (folder / "nodules").is_dir(),
        cases=lambda folder, asked: cases.patches(folder / "nodules", asked),
        counted=_free_scans,
        ranks=False,
    ),
    Protocol(
        name="luna16",
        rule=by_luna16,
        points=LUNA16_POINTS,
        mean_points=LUNA16_POINTS,
        suits=lambda folder: any((folder / name).exists() for name in _WHOLE_SERIES),
        cases=lambda folder, _: _whole_series(folder),
        counted=_all_scans,
    ),
    Protocol(
        name="deeplesion",
        rule=by_deeplesion,
        points=DEEPLESION_POINTS,
        mean_points=DEEPLESION_POINTS[:4],
        suits=lambda folder: deeplesion_folder.find_images(folder) is not None,
        cases=lambda folder, asked: deeplesion_cases.key_slices(
            folder, everything=asked.everything
        ),
        counted=_key_slices,
    ),
)
