"""Nodule patches written as a folder of them holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jpeg_ls
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from plugin.datasets.nodules import Patch


def write_patches(folder: Path, patches: Sequence[Patch]) -> None:
    """Table, masks and images."""
    lines, masks = ["name,depth,rows,columns,diameter_mm"], {}
    for patch in patches:
        stored = (patch.hu.reshape(-1, patch.hu.shape[2]) + 1024).astype(np.uint16)
        (folder / f"{patch.name}.jls").write_bytes(jpeg_ls.encode(stored).tobytes())
        masks[patch.name] = np.packbits(patch.mask)
        lines.append(f"{patch.name},{','.join(map(str, patch.hu.shape))},6")
    np.savez(folder / "masks.npz", **masks)
    (folder / "nodules.csv").write_text("\n".join(lines) + "\n")
