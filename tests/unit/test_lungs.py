from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plugin.detector.lungs import closed, lungs

if TYPE_CHECKING:
    from numpy.typing import NDArray


def chest(*, mass: bool) -> NDArray[np.float32]:
    """Two lungs of 90 x 60 x 60 mm on cubes of 3 mm; a mass of 24 mm may lie on a wall."""
    z, y, x = np.indices((40, 40, 60)) * 3.0
    hu = np.full(z.shape, -1000.0, np.float32)
    hu[((x - 90) / 85) ** 2 + ((y - 60) / 55) ** 2 < 1] = 40
    for middle in (50, 130):
        lung = ((x - middle) / 30) ** 2 + ((y - 60) / 40) ** 2 + ((z - 60) / 55) ** 2 < 1
        hu[lung] = -850
    if mass:
        hu[(x - 28) ** 2 + (y - 60) ** 2 + (z - 60) ** 2 < 12**2] = 40
    return hu


def test_lungs_are_found_and_the_air_around_the_body_is_not() -> None:
    hu = chest(mass=False)

    found = lungs(hu, 3.0)

    assert np.array_equal(found, hu == -850)


def test_a_mass_on_the_chest_wall_lies_in_the_closed_lung_and_the_mediastinum_does_not() -> None:
    lung = lungs(chest(mass=True), 3.0)

    inside = closed(lung, 3.0)

    # Voxels (z, y, x): in the mass, between the lungs, in the wall.
    assert not lung[20, 20, 10]
    assert inside[20, 20, 10]
    assert not inside[20, 20, 30]
    assert not inside[20, 20, 3]
    assert inside[lung].all()
