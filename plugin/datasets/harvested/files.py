"""Files that are whole or not there, whenever the process is killed."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from plugin.datasets.deeplesion_images import OFFSET
from plugin.datasets.harvested.errors import Unwritable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

#: Folder of the files that a process is writing; its process number follows.
PARTIAL = "partial-"


class Files:
    """Writes files into a data set by way of the private folder beside it."""

    def __init__(self, private: Path) -> None:
        self._partial = private / f"{PARTIAL}{os.getpid()}"
        for left in private.glob(f"{PARTIAL}*"):
            if not _runs(left.name.removeprefix(PARTIAL)):
                shutil.rmtree(left)
        self._partial.mkdir(exist_ok=True)

    def write(self, path: Path, write: Callable[[Path], object]) -> None:
        """Let `write` fill a new file, and put it in its place when it is on the disk.

        Raises Unwritable: nothing is wrong with what was to enter, and it must come again.
        """
        partial = self._partial / path.name
        try:
            write(partial)
            sync(partial)
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.replace(path)
            sync(path.parent)
        except OSError as error:
            raise Unwritable(f"{path}: {error.strerror or type(error).__name__}") from error

    def close(self) -> None:
        """Remove what is left of half-written files."""
        shutil.rmtree(self._partial, ignore_errors=True)


def write_png(hu: NDArray[np.float32], path: Path) -> None:
    """A slice [row, column], HU, as DeepLesion stores it: 16 bits, HU + 32768."""
    stored = np.clip(np.rint(hu) + OFFSET, 0, 65535).astype(np.uint16)
    Image.fromarray(stored).save(path, format="PNG")


def sync(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _runs(process: str) -> bool:
    """Whether a process of this number is there."""
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True
