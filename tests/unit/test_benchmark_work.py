"""The counts that the benchmark of the detector compares its time with."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from benchmarks.chest import chest, resliced
from benchmarks.work import Count, Speed, Work, speed
from plugin.volume import Slice, Volume

CPU = torch.device("cpu")


def _work_of(shape: str) -> Work:
    with Count(CPU, Speed(flops=1e9, bytes=1e9)) as count, torch.inference_mode():
        match shape:
            case "product":
                torch.mm(torch.ones(100, 200), torch.ones(200, 300))
            case "convolution":
                filters = torch.ones(8, 4, 3, 3, 3)
                functional.conv3d(torch.ones(1, 4, 6, 6, 6), filters, padding=1)
            case "chain":
                x = torch.ones(1000)
                for _ in range(3):
                    x = x.view(10, 100) + 1
    return count.work


def test_multiplications_and_additions_are_counted() -> None:
    assert _work_of("product").flops == 2 * 100 * 200 * 300
    assert _work_of("convolution").flops == 2 * 6**3 * 8 * 4 * 27


def test_traffic_is_what_is_read_and_written() -> None:
    # ones write; each sum reads and writes; views do neither.
    assert _work_of("chain").bytes == 4000 * (1 + 3 * 2)


def test_tensors_count_for_as_long_as_they_live() -> None:
    assert _work_of("chain").peak == 2 * 4000
    assert _work_of("product").peak == 4 * (100 * 200 + 200 * 300 + 100 * 300)


def test_the_floor_is_arithmetic_or_traffic_whichever_takes_longer() -> None:
    product = _work_of("product")
    written = 4 * (100 * 200 + 200 * 300)
    assert product.floor_s == pytest.approx((written + product.flops) / 1e9)
    assert _work_of("chain").floor_s == pytest.approx(28000 / 1e9)


def test_a_device_has_a_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.work.EDGE", 64)
    monkeypatch.setattr("benchmarks.work.COPIED", 2**16)
    found = speed(CPU)
    assert min(found.flops, found.bytes) > 1e6


def test_a_short_series_goes_on_as_its_mirror_image() -> None:
    hu = np.arange(5, dtype=np.float32)[:, None, None] * np.ones((1, 3, 3), np.float32)
    affine = np.eye(4)[[2, 1, 0, 3]] * (2.0, 1, 1, 1)
    short = Volume(hu, affine, tuple(Slice(str(k), None) for k in range(5)), ())
    long = resliced(short, 14, 1.0)
    assert long.hu[:, 1, 2].tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 3.5, 3, 2.5, 2, 1.5]
    assert long.spacing == pytest.approx((1.0, 1.0, 1.0))
    assert len(long.slices) == 14


def test_without_real_series_there_is_the_phantom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LESIONMARK_DATA", "/nowhere")
    monkeypatch.setattr("benchmarks.chest.SIZE", 32)
    volume, name = chest(6, 5.0)
    assert (name, volume.hu.shape) == ("phantom", (6, 32, 32))
    assert volume.spacing == pytest.approx((5.0, 0.7, 0.7))
