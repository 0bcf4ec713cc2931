"""DCMTK's archive as a process: Storage and Query/Retrieve SCP, no storage commitment."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from deploy.processes import LOOPBACK, LocalProcess, free_port, listens

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

AE_TITLE = "DCMQRSCP"
_CONFIGURATION = """\
NetworkTCPPort  = {port}
MaxPDUSize      = 131072
MaxAssociations = 16
HostTable BEGIN
{hosts}
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
{ae_title}  {storage}  RW  (100, 64mb)  ANY
AETable END
"""


class Dcmqrscp:
    """One archive in a folder of its own; for a `with` statement."""

    def __init__(self, folder: Path, move_to: Mapping[str, int] | None = None) -> None:
        """`move_to` are ports on loopback by AE title, to which it may send by C-MOVE.

        Raises FileNotFoundError where DCMTK is not installed.
        """
        program = shutil.which("dcmqrscp")
        if program is None:
            raise FileNotFoundError("dcmqrscp is not installed (Debian package dcmtk)")
        self.ae_title = AE_TITLE
        self.port = free_port()
        self.storage = folder / "storage"
        self.storage.mkdir(parents=True)
        configuration = folder / "dcmqrscp.cfg"
        configuration.write_text(
            _CONFIGURATION.format(
                port=self.port,
                ae_title=AE_TITLE,
                storage=self.storage,
                hosts="\n".join(
                    f"{title.lower()} = ({title}, {LOOPBACK}, {port})"
                    for title, port in (move_to or {}).items()
                ),
            )
        )
        self.process = LocalProcess(
            "dcmqrscp",
            [program, "-c", configuration],
            log=folder / "dcmqrscp.log",
            answers=lambda: listens(self.port),
            environment={"TCP_NODELAY": "1"},
        )

    def __enter__(self) -> Dcmqrscp:
        self.process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
