"""A small CT series of known numbers, and what may be wrong with a series."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from plugin.datasets.ct_image import Identity, ct_images

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pydicom import Dataset

    Edit = Callable[[list[Dataset]], list[Dataset]]

SHAPE = (8, 32, 40)
SPACING = (2.5, 0.7, 0.8)
ORIGIN = (-100.0, -50.0, 30.0)
HU = np.random.default_rng(5).integers(-1000, 1500, SHAPE).astype(np.float32)
IDENTITY = Identity("PHANTOM^TEST", "TEST", "volume", "Test")


def axial_affine() -> np.ndarray[Any, np.dtype[np.float64]]:
    affine = np.eye(4)
    affine[:3, :3] = np.stack([[0, 0, 2.5], [0, 0.7, 0], [0.8, 0, 0]], axis=1)
    affine[:3, 3] = ORIGIN
    return affine


def images() -> list[Dataset]:
    return list(ct_images(HU, axial_affine(), IDENTITY))


def written(folder: Path, datasets: list[Dataset]) -> list[Path]:
    """The datasets as files whose names say nothing about their order."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{(7 * i) % 97:02d}.dcm" for i in range(len(datasets))]
    for path, dataset in zip(paths, datasets, strict=True):
        dataset.save_as(path, enforce_file_format=True)
    return paths


def edited(index: int, **attributes: object) -> Edit:
    def edit(datasets: list[Dataset]) -> list[Dataset]:
        for keyword, value in attributes.items():
            setattr(datasets[index], keyword, value)
        return datasets

    return edit


def without(*indices: int) -> Edit:
    return lambda datasets: [d for i, d in enumerate(datasets) if i not in indices]


def all_of(**attributes: object) -> Edit:
    def edit(datasets: list[Dataset]) -> list[Dataset]:
        for i in range(len(datasets)):
            edited(i, **attributes)(datasets)
        return datasets

    return edit
