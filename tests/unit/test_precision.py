"""Devices and precisions agree: what one finds, the others find, and measure alike."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
import torch

from plugin.datasets import phantom
from plugin.detector import Detection, closeup, device, load, response
from plugin.measure import measure
from plugin.volume import Slice, Volume

#: How far two devices or precisions may lie apart: place and axes in mm, score.
PLACE_MM, AXIS_MM, SCORE = 0.5, 1.0, 0.02
#: Detections with a lower score may be missed by one of the two.
CERTAIN = 0.3
#: Part of the phantom with three of its lesions: first and last slice, row and column.
PART = ((12, 46), (80, 184), (170, 250))


class Seen(NamedTuple):
    """A detection in numbers."""

    #: Its middle, mm in LPS.
    place: np.ndarray
    #: Long and short axis, mm.
    axes: tuple[float, float]
    #: Certainty.
    score: float


@cache
def volume() -> Volume:
    spec = phantom.Spec()
    low = np.array([first for first, _ in PART])
    part = tuple(slice(*ends) for ends in PART)
    affine = phantom.affine(spec)
    affine[:3, 3] += affine[:3, :3] @ low
    hu = np.ascontiguousarray(phantom.attenuation(spec)[part])
    return Volume(hu, affine, tuple(Slice(str(k), None) for k in range(len(hu))), ())


def _seen(found: Detection) -> Seen:
    middle = np.argwhere(found.mask).mean(axis=0) + found.offset
    axes = measure(found.mask, found.offset, volume()).diameters
    return Seen(volume().to_patient(middle), (axes.long_axis_mm, axes.short_axis_mm), found.score)


def _found(kind: str) -> list[Seen]:
    return [_seen(found) for found in load(kind).detect(volume())]


def _check(some: list[Seen], others: list[Seen]) -> None:
    """Every certain detection of `some` is among the others."""
    certain = [each for each in some if each.score >= CERTAIN]
    assert len(certain) >= 3
    for each in certain:
        other = min(others, key=lambda other: float(np.linalg.norm(other.place - each.place)))
        assert other.place == pytest.approx(each.place, abs=PLACE_MM)
        assert other.axes == pytest.approx(each.axes, abs=AXIS_MM)
        assert other.score == pytest.approx(each.score, abs=SCORE)


@cache
def _single() -> list[Seen]:
    """What the processor finds in single precision."""
    with pytest.MonkeyPatch.context() as patch:
        _compute(patch, nullcontext())
        return _found("cpu")


def _compute(patch: pytest.MonkeyPatch, precision: AbstractContextManager[object]) -> None:
    """Let both networks be computed so."""
    for module in (response, closeup):
        patch.setattr(module, "precision", lambda _: precision)


def test_half_precision_finds_what_single_precision_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    _compute(monkeypatch, torch.autocast("cpu", torch.bfloat16))
    found = _found("cpu")
    _check(_single(), found)
    _check(found, _single())
    assert [each.score for each in found] != [each.score for each in _single()]


@pytest.mark.gpu
def test_a_gpu_finds_what_the_processor_finds() -> None:
    kind = device.available()[0]
    if kind == "cpu":
        pytest.skip("no CUDA or MPS device")
    found = _found(kind)
    _check(_single(), found)
    _check(found, _single())
