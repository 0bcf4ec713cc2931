"""A node in several processes: listeners and workers, on one spool and one database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deploy.processes import LocalProcess
from tests.node import Node

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_READY = "LM001 ready"


class Member(Node):
    """One process of it. Its statuses are those of the whole node."""

    def __init__(
        self,
        folder: Path,
        destinations: Iterable[tuple[str, str, int]],
        database: str,
        *,
        role: str,
        name: str,
        **tables: dict[str, Any],
    ) -> None:
        """`folder` is shared by all; `database` is what its configuration says."""
        own = {"state_dir": str(folder / "state"), "name": name, "database": database}
        super().__init__(folder / name, destinations, node=own, **tables)
        self.folder = folder
        self.role = role
        self._log = folder / name / "node.log"
        self._seen = 0
        self.process = LocalProcess(
            f"lesionmark {name}",
            self.command("serve", "--role", role),
            log=self._log,
            answers=self._is_ready,
        )

    def restart(self) -> None:
        """Start it again after a kill."""
        self._seen = self.log.count(_READY)
        self.process.start()

    @property
    def log(self) -> str:
        """All that it has said."""
        return self._log.read_text() if self._log.exists() else ""

    def _is_ready(self) -> bool:
        return self.log.count(_READY) > self._seen
