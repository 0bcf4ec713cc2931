"""Which objects of a revision each destination has acknowledged, so that a retry skips them.

<root>/<Series Instance UID>/<digest>/<destination>.acknowledged    file names, one a line
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_node.durable import write_durably

if TYPE_CHECKING:
    from pathlib import Path


class Receipts:
    """Kept beside the objects; written by one try to deliver at a time."""

    def __init__(self, root: Path) -> None:
        """`root` is the folder of revisions."""
        self._root = root

    def of(self, series_uid: str, digest: str, destination: str) -> list[Path]:
        """The objects that a destination has acknowledged, in the order of sending."""
        path = self._path(series_uid, digest, destination)
        names = path.read_text(encoding="ascii").split() if path.exists() else []
        return [path.with_name(name) for name in names]

    def add(self, series_uid: str, digest: str, destination: str, sent: Path) -> None:
        """The destination has acknowledged an object; on return that survives a power cut."""
        names = [path.name for path in self.of(series_uid, digest, destination)]
        text = "".join(f"{name}\n" for name in [*names, sent.name])
        write_durably(self._path(series_uid, digest, destination), text.encode("ascii"))

    def clear(self, series_uid: str, digest: str, destination: str) -> None:
        """The destination does not hold what it acknowledged: everything is to be sent again."""
        self._path(series_uid, digest, destination).unlink(missing_ok=True)

    def _path(self, series_uid: str, digest: str, destination: str) -> Path:
        return self._root / series_uid / digest / f"{destination}.acknowledged"
