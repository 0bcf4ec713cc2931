"""Random close-ups of marked lesions, as the detector would ask for them, to learn outlines from.

The detector's expectation of a lesion is never exact: its place and its axes are drawn around the
marked ones as widely as the detector errs on scans it has not seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import IterableDataset, get_worker_info

from plugin.detector.closeup import SHAPE, View, spot
from plugin.measure import diameters, largest_region
from plugin.training.appearance import fade, vary
from plugin.training.shape import Outline, ellipsoid
from plugin.training.tiles import Tile, draw_variation, thick_slices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from plugin.training.samples import Sample

#: How far off a lesion's centre is expected, standard deviation: of its long axis, and mm.
_OFF, _OFF_MM = 0.06, 0.4
#: Mean of the logarithm of an expected axis by the marked one, and its standard deviation.
_LONG_BIAS, _SHORT_BIAS, _ERROR = -0.05, 0.02, 0.19
#: What is added to the mean for long axes: readers followed tails of masses that the detector does
#: not expect. Nothing up to the first length, all of it from the second one on, mm.
_MASS_BIAS, _MASS_MM = -0.2, (20.0, 35.0)
#: Standard deviation of the logarithm of the scale of a close-up: wide as nodules have them, narrow
#: as masses have them.
_SCALES = 0.12
#: The middle of a close-up, voxels (z, y, x).
_MIDDLE = ((SHAPE[0] - 1) / 2, (SHAPE[1] - 1) / 2, (SHAPE[2] - 1) / 2)
#: How often what lies outside of the sample is lung or tissue instead of what its border is, and
#: their attenuation, HU.
_FILLED, _FILL_HU = 0.5, (-1000.0, -850.0, 40.0)
#: How much of its contrast a faded lesion keeps.
_FADED = (0.25, 0.7)
#: Long axis from which on lesions are drawn no more often, mm, and what a lesion of no length would
#: have beside it.
_LARGE_MM, _SMALL_MM = 40.0, 10.0


@dataclass(frozen=True)
class Subject:
    """A lesion whose outline is known, on every slice or on its key slice."""

    #: Gives it and what is around it.
    read: Callable[[], Sample]
    #: Its axes in the slice with the longest one, mm.
    axes_mm: tuple[float, float]

    @property
    def frequency(self) -> float:
        """How often it is drawn; long lesions are rare and are measured worst."""
        return _SMALL_MM + min(self.axes_mm[0], _LARGE_MM)


def held(sample: Sample) -> Callable[[], Sample]:
    """Gives a sample that is in memory."""
    return lambda: sample


def subjects(readers: Iterable[Callable[[], Sample]]) -> list[Subject]:
    """The lesions, of samples that are read one at a time, of which an outline is known."""
    samples = ((read, read()) for read in readers)
    return [Subject(read, measured(sample)) for read, sample in samples if is_outlined(sample)]


def is_outlined(sample: Sample) -> bool:
    """Whether outlines can be learned from a sample."""
    return sample.lesion.told.outline is not Outline.NOWHERE


def measured(sample: Sample) -> tuple[float, float]:
    """Long and short axis in the slice with the longest one, mm, as the mask or a reader has it."""
    if sample.mask is None:
        return sample.lesion.long_mm, sample.lesion.short_mm
    _, row_mm, column_mm = sample.spacing
    regions = (largest_region(each) for each in sample.mask if each.any())
    found = [diameters(each, row_mm, column_mm) for each in regions]
    longest = max(found, key=lambda each: each.long_axis_mm)
    return longest.long_axis_mm, longest.short_axis_mm


class CloseUps(IterableDataset[tuple[Tensor, ...]]):
    """Batches, the same for the same seed.

    HU, spots, masks (0 to 1) and how much of each is known (0 or 1), all [b, z, y, x].
    """

    def __init__(
        self, subjects: Sequence[Subject], batch: int, faded: float, seed: tuple[int, ...]
    ) -> None:
        self._subjects, self._batch, self._faded, self._seed = subjects, batch, faded, seed
        odds = np.array([each.frequency for each in subjects])
        self._odds = odds / odds.sum()

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        worker = get_worker_info()
        rng = np.random.default_rng((*self._seed, worker.id if worker else 0))
        while True:
            chosen = rng.choice(len(self._subjects), self._batch, p=self._odds)
            made = [closeup(self._subjects[int(each)], self._faded, rng) for each in chosen]
            yield tuple(torch.stack(parts) for parts in zip(*made, strict=True))


def closeup(subject: Subject, faded: float, rng: np.random.Generator) -> tuple[Tensor, ...]:
    """One random close-up: HU, spot, mask and its weight, all [z, y, x]."""
    sample = subject.read()
    view = expectation(sample, subject.axes_mm, rng)
    scale = float(np.exp(rng.normal(0.0, _SCALES)))
    z, y, x = (mm * scale for mm in view.spacing)
    where = _positions(sample, view, (z, y, x), rng)
    hu, mask = _sampled(_scanned(sample, faded, rng), _mask(sample), where)
    seen = (where.abs() <= 1.0).all(dim=-1)[0]
    if rng.random() < _FILLED:
        hu[~seen] = float(rng.choice(_FILL_HU))
    hu = torch.from_numpy(vary(hu.numpy(), rng))
    known = seen & _outlined(sample, where, z)
    return hu, spot(view, (z, y, x), _MIDDLE), mask, known.float()


def expectation(sample: Sample, axes_mm: tuple[float, float], rng: np.random.Generator) -> View:
    """Where and how large a detector might say a lesion is; mm (z, y, x) from the first voxel."""
    long_mm, short_mm = axes_mm
    bias = _LONG_BIAS + float(np.interp(long_mm, _MASS_MM, (0.0, _MASS_BIAS)))
    centre = np.array(sample.lesion.centre) * sample.spacing
    off = _OFF * long_mm + _OFF_MM
    long_mm *= float(np.exp(rng.normal(bias, _ERROR)))
    short_mm *= float(np.exp(rng.normal(_SHORT_BIAS, _ERROR)))
    z, y, x = (centre + rng.normal(0.0, off, 3)).tolist()
    return View((z, y, x), (long_mm, min(short_mm, long_mm)))


def _scanned(sample: Sample, faded: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """HU of a sample as another scanner, and sometimes a fainter lesion, would give it."""
    hu = sample.hu
    if faded and rng.random() < faded and sample.mask is not None:
        hu = fade(Tile(hu, sample.mask, sample.lesion), rng.uniform(*_FADED)).hu
    return thick_slices(hu.astype(np.float32), sample.spacing[0], draw_variation(rng, 1.0))


def _positions(
    sample: Sample, view: View, spacing: tuple[float, float, float], rng: np.random.Generator
) -> Tensor:
    """Where a close-up's voxels lie in its sample, turned in plane and mirrored at random.

    [1, z, y, x, (x, y, z)], from -1 to 1 between the centres of the sample's first and last voxels.
    """
    angle, mirrored = rng.uniform(0.0, 2 * np.pi), rng.choice((-1.0, 1.0), 3)
    cosine, sine = np.cos(angle), np.sin(angle)
    turned = np.array([[1.0, 0.0, 0.0], [0.0, cosine, -sine], [0.0, sine, cosine]])
    steps = turned @ np.diag(np.array(spacing) * mirrored) / np.array(sample.spacing)[:, None]
    start = np.array(view.centre) / sample.spacing - steps @ np.array(_MIDDLE)
    half = _half(sample)
    theta = np.column_stack([steps / half[:, None], start / half - 1])[::-1][:, [2, 1, 0, 3]]
    grid = [torch.arange(count, dtype=torch.float32) for count in SHAPE]
    z, y, x = torch.meshgrid(*grid, indexing="ij")
    matrix = torch.from_numpy(theta.copy()).float()
    return (torch.stack((x, y, z, torch.ones_like(x)), dim=-1) @ matrix.T)[None]


def _mask(sample: Sample) -> NDArray[np.bool_]:
    """Its mask, or the ellipsoid over the axes where only these were drawn."""
    if sample.mask is not None:
        return sample.mask
    return ellipsoid(sample.hu.shape, sample.lesion, sample.spacing)


def _outlined(sample: Sample, where: Tensor, slice_mm: float) -> Tensor:
    """Where the outline is known, [z, y, x], in a close-up whose slices lie so far apart.

    Of a key slice that is on the close-up's slices next to it.
    """
    if sample.lesion.told.outline is Outline.EVERYWHERE:
        return torch.ones(SHAPE, dtype=torch.bool)
    away = (where[0, ..., 2] + 1.0) * _half(sample)[0] - sample.lesion.centre[0]
    near: Tensor = (away * sample.spacing[0]).abs() <= max(slice_mm, sample.spacing[0]) / 2
    return near


def _half(sample: Sample) -> NDArray[np.float64]:
    """Half the distance of its first and last voxels, or of the sides of one, voxels (z, y, x)."""
    return np.maximum((np.array(sample.hu.shape) - 1) / 2, 0.5)


def _sampled(
    hu: NDArray[np.float32], mask: NDArray[np.bool_], where: Tensor
) -> tuple[Tensor, Tensor]:
    """HU and mask [z, y, x] at positions, interpolated linearly; outside what the border is."""
    both = torch.from_numpy(np.stack([hu, mask.astype(np.float32)]))[None]
    values = functional.grid_sample(
        both, where, mode="bilinear", padding_mode="border", align_corners=True
    )
    return values[0, 0], values[0, 1]
