"""The node of a demo: its configuration, its process, and what it says of the series it got."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from deploy.processes import LOOPBACK, LocalProcess, NotInTime, free_port, listens, tail, wait_until
from dicom_node import config, database
from dicom_node.ledger import Ledger
from dicom_node.states import SeriesState

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from deploy.demo_series import SentSeries
    from deploy.local_pacs import LocalPacs
    from dicom_node.standing import SeriesStatus

#: AE titles of the node and of the scanner that the demo plays.
NODE_AE_TITLE, SCANNER_AE_TITLE = "LESIONMARK", "SCANNER"
#: How long one series may take on a slow machine, seconds.
LIMIT_S = 600.0
#: States that a series does not leave by itself.
_SETTLED = (SeriesState.DELIVERED, SeriesState.REFUSED, SeriesState.FAILED)


class Unreported(Exception):
    """A series did not end in a delivered report."""


class DemoNode:
    """`lesionmark serve` with a configuration, a state folder and a log of its own."""

    def __init__(self, folder: Path, pacs: LocalPacs) -> None:
        self.port, self.web_port = free_port(), free_port()
        self.config = folder / "config.toml"
        folder.mkdir(parents=True)
        self.config.write_text(_configuration(folder / "state", (self.port, self.web_port), pacs))
        self.process = LocalProcess(
            "the node",
            [*self._command, "serve"],
            log=folder / "node.log",
            answers=self._answers,
        )

    @property
    def page(self) -> str:
        """Address of its status page."""
        return f"http://{LOOPBACK}:{self.web_port}/"

    @property
    def _command(self) -> tuple[str | Path, ...]:
        return sys.executable, "-m", "dicom_node.cli", "--config", self.config

    def _answers(self) -> bool:
        # The port is asked first because a process for each C-ECHO is dear.
        return listens(self.port) and self._echo().returncode == 0

    def _echo(self) -> subprocess.CompletedProcess[bytes]:
        peer = _peer(NODE_AE_TITLE, self.port)
        return subprocess.run([*self._command, "echo", *peer], capture_output=True, check=False)

    def send(self, folder: Path, called: str, port: int) -> bool:
        """Send a folder to a peer; returns whether the peer took all of it."""
        # What the command says, and its progress, go to the person who watches.
        sent = subprocess.run([*self._command, "send", folder, *_peer(called, port)], check=False)
        return sent.returncode == 0

    def wait_for(self, series: list[SentSeries], say: Callable[[str], None]) -> list[SentSeries]:
        """Wait until every series is settled; returns those whose report was delivered.

        Raises Unreported when there is none, with the end of the node's log.
        """
        with database.open_client(config.load(self.config)) as client:
            watch = Watch(Ledger(client), [one.series_instance_uid for one in series], say)
            settled = self._wait_for(watch, LIMIT_S * len(series))
        delivered = [one for one in series if one.series_instance_uid in settled]
        if not delivered:
            raise Unreported(f"no report was delivered.\n{tail(self.process.log)}")
        return delivered

    def _wait_for(self, watch: Watch, limit_s: float) -> set[str]:
        def look() -> bool:
            self.process.require_running()
            return watch.look()

        try:
            wait_until(look, "reports of all series", limit_s=limit_s, interval_s=0.5)
        except NotInTime as error:
            raise Unreported(f"{error}\n{tail(self.process.log)}") from error
        return watch.delivered


class Watch:
    """Looks at where series stand, and says what has changed."""

    def __init__(self, ledger: Ledger, uids: list[str], say: Callable[[str], None]) -> None:
        """`uids` are the Series Instance UIDs to look at."""
        self._ledger = ledger
        self._states: dict[str, SeriesState | None] = dict.fromkeys(uids)
        self._say = say

    @property
    def delivered(self) -> set[str]:
        """Series Instance UIDs whose report has been delivered."""
        return {uid for uid, state in self._states.items() if state is SeriesState.DELIVERED}

    def look(self) -> bool:
        """Look once; returns whether every series has come to an end."""
        for uid in self._states:
            for status in self._ledger.of(uid)[-1:]:
                self._note(status)
        return all(state in _SETTLED for state in self._states.values())

    def _note(self, status: SeriesStatus) -> None:
        if self._states[status.series_uid] is not status.state:
            self._states[status.series_uid] = status.state
            reason = f" ({status.reason})" if status.reason else ""
            self._say(f"  series {status.series_uid}: {status.state}{reason}")


def _peer(called: str, port: int) -> list[str]:
    """Options of `lesionmark echo` and `lesionmark send` for a peer on loopback."""
    peer = ["--host", LOOPBACK, "--port", str(port)]
    return [*peer, "--called", called, "--calling", SCANNER_AE_TITLE]


def _configuration(state: Path, ports: tuple[int, int], pacs: LocalPacs) -> str:
    """Text of config.toml for a node that knows one scanner and one PACS.

    `ports` are those for DICOM and for the status page.
    """
    port, web_port = ports
    return f"""\
[node]
state_dir = {json.dumps(str(state))}

[listener]
host = "{LOOPBACK}"
port = {port}
ae_title = "{NODE_AE_TITLE}"
disk_reserve_mb = 100

[[listener.sender]]
ae_title = "{SCANNER_AE_TITLE}"

[[listener.sender]]
ae_title = "{pacs.ae_title}"

[completion]
quiet_period_s = 2.0

[web]
port = {web_port}

[[destination]]
name = "pacs"
host = "{LOOPBACK}"
port = {pacs.dicom_port}
ae_title = "{pacs.ae_title}"
"""
