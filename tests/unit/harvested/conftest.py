"""One study with CT, and where its data set is to be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from plugin.volume import read
from tests.harvested_cases import chest

if TYPE_CHECKING:
    from pathlib import Path

    from plugin.volume import Volume


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CT of one study, full of names."""
    folder = tmp_path_factory.mktemp("chest")
    chest(folder)
    return folder


@pytest.fixture(scope="module")
def source(images: Path) -> Volume:
    return read(images.iterdir())


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "set"
