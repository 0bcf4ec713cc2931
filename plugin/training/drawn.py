"""Lesions drawn into lesion-free CT: for the sites of the body of which there are no real ones.

What surrounds a place says what a lesion there looks like: in bone it takes calcium away or adds
it, in an organ it takes up less contrast agent than the organ or more, in fat it is a node. Which
organ it is cannot be told from attenuation, so a drawn lesion has no type.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from plugin.detector.network import INPUT_SPACING
from plugin.training.shape import shape_of
from plugin.training.tiles import Tile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Drawing = NDArray[np.float32]

#: Longest and shortest long axis of what is drawn, mm.
_LONGEST_MM, _SHORTEST_MM = 40.0, 6.0
#: Places that are looked at before giving up.
_TRIES = 30
#: How uneven a surface is, as a share of the radius, and over how many voxels in plane.
_BUMPS, _BUMP_WIDTH = 0.25, 3.0
#: Standard deviation of a lesion's edge, mm.
_EDGE_MM = 0.8
#: Texture of a lesion, HU, and over how many voxels in plane.
_TEXTURE, _GRAIN = 12.0, 1.5


@dataclass(frozen=True)
class Site:
    """A kind of surroundings, and what lesions do in it."""

    #: Mean attenuation of the surroundings, from and below, HU.
    tissue: tuple[float, float]
    #: Ranges of attenuation that a lesion adds, HU.
    changes: tuple[tuple[float, float], ...]


#: Fat (nodes, implants), organs and muscle (metastases, cysts), bone (lytic, sclerotic).
SITES = (
    Site((-140.0, -60.0), ((110.0, 160.0),)),
    Site((20.0, 180.0), ((-70.0, -20.0), (25.0, 80.0))),
    Site((180.0, 900.0), ((-350.0, -120.0), (150.0, 400.0))),
)


def draw_lesion(
    hu: NDArray[np.int16], rng: np.random.Generator, sites: tuple[Site, ...] = SITES
) -> Tile | None:
    """The CT [z, y, x] with one lesion drawn somewhere, as a tile of its own size.

    None where no place of it is like one of the sites.
    """
    smooth = ndimage.uniform_filter(hu.astype(np.float32), (3, 5, 5))
    for _ in range(_TRIES):
        place = np.array([int(rng.integers(n)) for n in hu.shape])
        site = site_of(float(smooth[tuple(place)]), sites)
        if site is None:
            continue
        inside = solid(hu.shape, place, rng) & _alike(smooth, site)
        labelled, _ = ndimage.label(inside)
        inside = labelled == labelled[tuple(place)] if labelled[tuple(place)] else inside & False
        if inside.any() and shape_of(inside, INPUT_SPACING).short_mm >= _SHORTEST_MM / 2:
            low, high = site.changes[int(rng.integers(len(site.changes)))]
            return blended(hu, inside, float(rng.uniform(low, high)), rng)
    return None


def site_of(value: float, sites: tuple[Site, ...] = SITES) -> Site | None:
    """The site with that mean attenuation in HU; None for air, lung and water."""
    return next((each for each in sites if each.tissue[0] <= value < each.tissue[1]), None)


def solid(
    shape: tuple[int, ...], place: NDArray[np.int_], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Voxels [z, y, x] of an uneven ellipsoid around a place, turned at random in plane."""
    long_mm = float(np.exp(rng.uniform(np.log(_SHORTEST_MM), np.log(_LONGEST_MM))))
    halves = long_mm / 2 * rng.uniform(0.6, 1.0, 3)
    grid = np.indices(shape).astype(np.float32) - place[:, None, None, None]
    z, y, x = grid * np.array(INPUT_SPACING, np.float32)[:, None, None, None]
    angle = rng.uniform(0, np.pi)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    radius = np.sqrt((z / halves[0]) ** 2 + (along / halves[1]) ** 2 + (across / halves[2]) ** 2)
    return np.asarray(radius <= 1.0 + _BUMPS * _grains(shape, _BUMP_WIDTH, rng).clip(-1.5, 1.5))


def blended(
    hu: NDArray[np.int16], inside: NDArray[np.bool_], change: float, rng: np.random.Generator
) -> Tile:
    """The CT with a lesion of a texture of its own, whose edge is as soft as a scanner's."""
    sigma = [_EDGE_MM / mm for mm in INPUT_SPACING]
    share = ndimage.gaussian_filter(inside.astype(np.float32), sigma)
    added = change + _TEXTURE * _grains(hu.shape, _GRAIN, rng)
    drawn = np.round(hu + share * added).astype(np.int16)
    lesion = shape_of(inside, INPUT_SPACING)
    return Tile(drawn, inside, replace(lesion, told=replace(lesion.told, lesion_type=None)))


def _alike(smooth: Drawing, site: Site) -> NDArray[np.bool_]:
    """Voxels that belong to the same tissue: a lesion is drawn no farther."""
    return np.asarray((smooth >= site.tissue[0]) & (smooth < site.tissue[1]))


def _grains(shape: tuple[int, ...], width: float, rng: np.random.Generator) -> Drawing:
    """Correlated noise of unit variance, [z, y, x]."""
    noise = rng.standard_normal(shape, np.float32)
    noise = ndimage.gaussian_filter(noise, (width / 2, width, width))
    return np.asarray(noise / max(float(noise.std()), 1e-6))
