"""The learned detector: one network finds at full, half and quarter size, another one outlines."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import ndimage

from plugin.bookmark import LesionType
from plugin.detector import Detection, checkpoint
from plugin.detector.closeup import SHAPE, View, infer, look
from plugin.detector.device import Room, choose, facts, keep_memory, return_memory
from plugin.detector.lattice import Lattice, lattice, sample, source
from plugin.detector.lungs import closed, lungs
from plugin.detector.network import INPUT_SPACING
from plugin.detector.nms import suppress
from plugin.detector.outline import outline
from plugin.detector.response import Candidate, respond

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from plugin import Facts
    from plugin.detector.closeup import CloseUpNetwork
    from plugin.detector.network import Network
    from plugin.volume import Volume

#: Most lesions of one series.
MOST = 50
#: Candidates nearer to each other than this are one lesion, however small they seem, mm.
NEAREST_MM = 4.0
#: How much coarser the grids of the passes for masses are than that for nodules. A pass at half
#: size costs an eighth of the first one.
COARSER = (2.0, 4.0)
#: A coarser pass has a say on lesions of at least this long axis times its coarseness, mm.
SEEN_MM = 5.0
#: From here on it is believed where a finer pass sees nothing: forks of vessels seem shorter, mm.
ALONE_MM = 6.0
#: From this long axis times its coarseness on it knows the lesion better than a finer pass, mm.
MASS_MM = 11.0
#: A mass takes the place of the pieces inside it when its score is this share of their best.
MASS_SHARE = 0.5
#: Close-ups were learned of lesions up to about here, mm: of those of 35 mm and more they expect
#: that the detector finds them too short, by `plugin.training.closeups`. A mass is found in its
#: full length, and so is shown as if it were this share of it.
LONGEST_SEEN_MM, MASS_EXPECTED = (40.0, 50.0), 0.8
#: Edge of the cubes on which the lungs are found, mm.
LUNG_MM = 4.0
#: Candidates may lie this far outside the closed lungs, mm.
MARGIN_MM = 6.0
#: The network sees this much around the places where lesions may lie, mm.
SURROUNDINGS_MM = 24.0
#: In a narrower field of view lung cannot be told from the air around a patient, mm.
NARROW_MM = 200.0
#: Voxels of the first pass, before there is any series (z, y, x).
_WARM_UP = (16, 64, 64)


@dataclass(frozen=True)
class Found:
    """A candidate in the patient."""

    #: Peak, size and score.
    candidate: Candidate
    #: Centre in mm, LPS (z, y, x).
    centre: NDArray[np.float64]

    @property
    def view(self) -> View:
        """Where to look at it closely."""
        z, y, x = self.centre.tolist()
        long_mm, short_mm, _ = self.candidate.size_mm
        share = float(np.interp(long_mm, LONGEST_SEEN_MM, (1.0, MASS_EXPECTED)))
        return View((z, y, x), (long_mm * share, short_mm * share))


@dataclass(frozen=True)
class Lungs:
    """Where lesions may lie."""

    #: Cubes along the patient's axes.
    grid: Lattice
    #: Distance of each cube from the closed lungs, mm, [z, y, x].
    outside: NDArray[np.float64]

    def away(self, centre: NDArray[np.float64]) -> float:
        """Distance of a place, mm in LPS (z, y, x), from the lungs."""
        index = np.round(self.grid.from_mm(centre)).astype(int)
        z, y, x = index.clip(0, np.array(self.grid.shape) - 1)
        return float(self.outside[z, y, x])

    def bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Corners of the part that the network has to see, mm in LPS (z, y, x)."""
        cubes = np.argwhere(self.outside <= MARGIN_MM).astype(np.float64)
        low, high = self.grid.to_mm(cubes.min(axis=0)), self.grid.to_mm(cubes.max(axis=0))
        return low - SURROUNDINGS_MM, high + SURROUNDINGS_MM


@dataclass(frozen=True)
class LearnedDetector:
    """Finds nodules and masses of the lung; with a network that tells types, of the whole body."""

    #: Finds lesions; in evaluation mode, on its device.
    network: Network
    #: Outlines what was found; the same.
    outliner: CloseUpNetwork
    #: Where they run.
    device: torch.device
    #: Name and version of the weights.
    version: str
    #: What the network says where the score is to be 0.5, 0 to 1.
    midpoint: float = 0.5
    #: SHA-256 of the weights, as `plugin.Facts` has it.
    weights_sha256: str = ""
    #: What the device had memory for; it changes when the device runs out of it.
    room: Room = field(default_factory=Room)

    def facts(self) -> Facts:
        """What runs, and where, at this moment."""
        return facts(self.device, self.version, self.weights_sha256)

    def warm_up(self) -> None:
        """One small pass: libraries are loaded and kernels chosen before they are needed."""
        grid = Lattice((0, 0, 0), INPUT_SPACING, _WARM_UP, np.eye(3, 4))
        hu = torch.full((1, 1, *_WARM_UP), -1000.0, device=self.device)
        respond(self.network, hu, grid)
        nothing = torch.zeros(1, *SHAPE, device=self.device)
        infer(self.outliner, nothing - 1000.0, nothing)

    def detect(self, volume: Volume, lowest: float = 0.0) -> list[Detection]:
        """Lesions of a volume with a score of at least `lowest`, best first."""
        hu = source(volume, self.device)
        certain = (each for each in self._find(hu, volume) if self._score(each) >= lowest)
        detections = [self._detection(each, hu, volume) for each in certain]
        return_memory()
        return [each for each in detections if each is not None]

    def _find(self, hu: Tensor, volume: Volume) -> list[Found]:
        """One candidate for each lesion of a volume, best score first."""
        everywhere = bool(self.network.architecture.types)
        place = whole_body(volume) if everywhere else look_for_lungs(hu, volume)
        if place is None:
            return []
        found = self._pass(volume, hu, place, 1.0)
        for coarser in COARSER:
            found = merge(found, self._pass(volume, hu, place, coarser), coarser)
        return best([each for each in found if place.away(each.centre) <= MARGIN_MM])

    def _pass(self, volume: Volume, hu: Tensor, place: Lungs, coarser: float) -> list[Found]:
        grid = lattice(volume, spacing(coarser), place.bounds())
        candidates = respond(self.network, hu, grid, self.room)
        return [Found(each, grid.to_mm(np.array(each.centre))) for each in candidates]

    def _detection(self, found: Found, hu: Tensor, volume: Volume) -> Detection | None:
        piece = outline(found.view, look(self.outliner, hu, volume, found.view), volume)
        if piece is None:
            return None
        return Detection(
            mask=piece.mask,
            offset=piece.offset,
            score=self._score(found),
            lesion_type=_lesion_type(found.candidate),
        )

    def _score(self, found: Found) -> float:
        return calibrated(found.candidate.score, self.midpoint)


def shipped(kind: str = "auto") -> LearnedDetector:
    """The detector with the weights of this installation, on a kind of device.

    Raises DamagedWeights, and WrongSetting where there is no such device.
    """
    return trained(checkpoint.shipped(), checkpoint.NAME, kind)


def trained(folder: Path, name: str, kind: str = "auto") -> LearnedDetector:
    """The detector with the weights `name` of a folder, which outlines as that folder says.

    Without a network that outlines there it is the shipped one. Raises as `shipped` does, and
    OSError.
    """
    device = choose(kind)
    keep_memory()
    weights = checkpoint.read(folder, name)
    outlines = checkpoint.read_outline(folder)
    return LearnedDetector(
        network=weights.network.to(device),
        outliner=outlines.network.to(device),
        device=device,
        version=f"{weights.version}.{outlines.version}",
        midpoint=weights.midpoint,
        weights_sha256=sha256(f"{weights.sha256}{outlines.sha256}".encode()).hexdigest(),
    )


def spacing(coarser: float) -> tuple[float, float, float]:
    """Voxels of a pass, mm (z, y, x)."""
    z, y, x = INPUT_SPACING
    return z * coarser, y * coarser, x * coarser


def _lesion_type(candidate: Candidate) -> LesionType:
    """What the network says; one that tells no types was made for the lungs."""
    place = candidate.lesion_type
    return LesionType.LUNG if place is None else tuple(LesionType)[place]


def merge(finer: Sequence[Found], coarse: Sequence[Found], coarser: float) -> list[Found]:
    """What a finer and a coarser pass found, as one list.

    A mass, which the coarser pass knows better, takes the place and best score of its pieces,
    unless a piece is much more certain. What else it sees lends its score to the best piece there;
    where the finer pass sees nothing it is taken as it is, unless it is small.
    """
    merged = list(finer)
    for whole in sorted(coarse, key=lambda each: -each.candidate.score):
        seen_mm = whole.candidate.size_mm[0] / coarser
        if seen_mm >= SEEN_MM:
            merged = _merge_one(merged, whole, seen_mm)
    return merged


def _merge_one(finer: list[Found], whole: Found, seen_mm: float) -> list[Found]:
    """`seen_mm` is how long the lesion seems at the size of the coarser pass."""
    inside = [each for each in finer if _contains(whole, each)]
    rest = [each for each in finer if not _contains(whole, each)]
    if not inside:
        return [*rest, whole] if seen_mm >= ALONE_MM else rest
    best_piece = max(inside, key=_score)
    score = max(_score(whole), _score(best_piece))
    if seen_mm >= MASS_MM and _score(whole) >= MASS_SHARE * score:
        return [*rest, _with_score(whole, score)]
    pieces = [_with_score(each, score) if each is best_piece else each for each in inside]
    return rest + pieces


def _score(found: Found) -> float:
    return found.candidate.score


def _with_score(found: Found, score: float) -> Found:
    return replace(found, candidate=replace(found.candidate, score=score))


def _contains(mass: Found, piece: Found) -> bool:
    away = float(np.linalg.norm(piece.centre - mass.centre))
    return away <= mass.candidate.size_mm[0] / 2


def look_for_lungs(hu: Tensor, volume: Volume) -> Lungs | None:
    """The lungs of a volume, or everything where they cannot be told from the air around.

    None where there is no lung.
    """
    grid = lattice(volume, (LUNG_MM, LUNG_MM, LUNG_MM))
    lung = lungs(sample(hu, grid)[0].cpu().numpy(), LUNG_MM)
    if lung.any():
        outside = ndimage.distance_transform_edt(~closed(lung, LUNG_MM)) * LUNG_MM
        return Lungs(grid, outside)
    narrow = min(grid.shape[1:]) * LUNG_MM < NARROW_MM
    return whole_body(volume) if narrow else None


def whole_body(volume: Volume) -> Lungs:
    """Every place of a volume, for a network that looks for lesions outside the lungs too."""
    grid = lattice(volume, (LUNG_MM, LUNG_MM, LUNG_MM))
    return Lungs(grid, np.zeros(grid.shape))


def best(found: Sequence[Found]) -> list[Found]:
    """One of each group of candidates that mean the same lesion, best score first."""
    if not found:
        return []
    sizes = np.array([f.candidate.size_mm[0] for f in found])
    kept = suppress(
        np.array([f.centre for f in found]),
        np.maximum(sizes / 2, NEAREST_MM),
        np.array([f.candidate.score for f in found]),
    )
    return [found[index] for index in kept[:MOST]]


def calibrated(value: float, midpoint: float) -> float:
    """A probability moved in log odds, so that `midpoint` becomes 0.5."""
    yes, no = value * (1.0 - midpoint), midpoint * (1.0 - value)
    return yes / (yes + no)
