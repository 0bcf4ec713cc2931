"""Receivers in processes of their own: this node as it is shipped, and its peers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy.processes import LOOPBACK, LocalProcess, find_dcmtk, free_port, listens
from deploy.toml_text import assignments

if TYPE_CHECKING:
    from collections.abc import Mapping

#: AE title of whoever sends.
SENDER = "SENDER"
AE_TITLE = "LESIONMARK"
#: DCMTK waits 40 ms an instance without it, on either side.
NO_DELAY = {"TCP_NODELAY": "1"}


class Node:
    """`lesionmark serve`, with the idle plugin."""

    def __init__(
        self,
        folder: Path,
        destination: tuple[str, int],
        *,
        role: str = "all",
        tables: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """`destination` is an AE title and a port; `tables` add to the configuration."""
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.config = folder / "config.toml"
        self.log = folder / "node.log"
        self.config.write_text(self._configuration(folder, destination, tables or {}))
        program = [sys.executable, "-m", "dicom_node.cli", "--config", str(self.config)]
        self.process = LocalProcess(
            "lesionmark",
            [*program, "serve", "--role", role],
            log=self.log,
            answers=lambda: "LM001 ready" in self.log.read_text(),
        )

    def _configuration(
        self,
        folder: Path,
        destination: tuple[str, int],
        tables: Mapping[str, Mapping[str, Any]],
    ) -> str:
        keys: dict[str, dict[str, Any]] = {
            "node": {"state_dir": str(folder / "state")},
            "listener": {
                "port": self.port,
                "ae_title": AE_TITLE,
                "sender": [{"ae_title": SENDER}, {"ae_title": "ORTHANC"}],
                "disk_reserve_mb": 0,
            },
            "plugin": {"module": "benchmarks.idle_plugin"},
            "web": {"port": 0},
        }
        for name, table in tables.items():
            keys[name] = keys.get(name, {}) | dict(table)
        ae_title, port = destination
        peer = {"name": "pacs", "host": LOOPBACK, "port": port, "ae_title": ae_title}
        parts = [f"[{name}]\n{assignments(table)}" for name, table in keys.items()]
        return "\n".join([*parts, f"[[destination]]\n{assignments(peer)}"])


def storescp(folder: Path, port: int) -> LocalProcess:
    """DCMTK's Storage SCP, which writes without fsync."""
    folder.mkdir(parents=True)
    program = find_dcmtk("storescp") or "storescp"
    return LocalProcess(
        "storescp",
        [program, "--fork", "+B", "+xa", "-od", str(folder), "-aet", AE_TITLE, str(port)],
        log=folder.with_suffix(".log"),
        answers=lambda: listens(port),
        environment=NO_DELAY,
    )


def pynetdicom_storescp(folder: Path, port: int) -> LocalProcess:
    """The Storage SCP that comes with pynetdicom, which writes without fsync."""
    folder.mkdir(parents=True)
    return LocalProcess(
        "pynetdicom storescp",
        [sys.executable, "-m", "pynetdicom", "storescp", str(port), "-q", "-od", str(folder)],
        log=folder.with_suffix(".log"),
        answers=lambda: listens(port),
    )


def resident_mib(pid: int) -> float:
    """What a process keeps in memory, MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(pid)
