"""A node as a process of its own, as a hospital runs it, for tests to send to and to kill."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE

from deploy.processes import LOOPBACK, LocalProcess, free_port, listens, wait_until
from deploy.toml_text import assignments
from dicom_node import config, database, delivery
from dicom_node.config_tables import Destination
from dicom_node.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from pynetdicom.association import Association

    from dicom_node.standing import SeriesStatus
    from tests.instances import WrittenSeries

#: AE title that tests send with.
SENDER = "SENDER"


class Node:
    """`lesionmark serve` with a configuration of its own in a folder of its own."""

    def __init__(
        self,
        folder: Path,
        destinations: Iterable[tuple[str, str, int]],
        *,
        module: str = "tests.fake_plugin",
        wishes: dict[str, dict[str, Any]] | None = None,
        **tables: dict[str, Any],
    ) -> None:
        """`destinations` are (name, AE title, port); `tables` change the configuration.

        `wishes` are more keys of a destination, by its name.
        """
        self.wishes = wishes or {}
        self.folder = folder
        self.gate = folder / "gate"
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "config.toml"
        self.config.write_text(self._configuration(destinations, module, tables))
        self.process = LocalProcess(
            "lesionmark", self.command("serve"), log=folder / "node.log", answers=self.answers
        )

    def _configuration(
        self,
        destinations: Iterable[tuple[str, str, int]],
        module: str,
        tables: dict[str, dict[str, Any]],
    ) -> str:
        keys: dict[str, dict[str, Any]] = {
            "node": {"state_dir": str(self.folder / "state"), "stop_within_s": 5.0},
            "listener": {
                "port": self.port,
                "sender": [{"ae_title": SENDER}, {"ae_title": "ORTHANC"}],
                "disk_reserve_mb": 0,
            },
            "completion": {"quiet_period_s": 1.0, "cap_s": 30.0},
            "plugin": {"module": module},
            "web": {"port": 0},
            "delivery": {"first_retry_s": 0.5, "longest_retry_s": 2.0, "timeout_s": 5.0},
        }
        if module.startswith("tests."):
            keys["plugin"]["gate"] = str(self.gate)
        for name, changes in tables.items():
            keys[name] = keys.get(name, {}) | changes
        text = [f"[{name}]\n" + assignments(table) for name, table in keys.items()]
        for name, ae_title, port in destinations:
            peer = {"name": name, "host": LOOPBACK, "port": port, "ae_title": ae_title}
            text.append("[[destination]]\n" + assignments(peer | self.wishes.get(name, {})))
        return "\n".join(text)

    def command(self, *arguments: str) -> list[str]:
        """A call of the program with this node's configuration."""
        program = [sys.executable, "-m", "dicom_node.cli", "--config", str(self.config)]
        return [*program, *arguments]

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a subcommand beside the node."""
        return subprocess.run(
            self.command(*arguments), capture_output=True, text=True, timeout=60, check=False
        )

    def answers(self) -> bool:
        """Whether the node answers C-ECHO."""
        # Asked first, because pynetdicom leaves a socket open when nobody listens.
        if not listens(self.port):
            return False
        return (
            delivery.echo(self.peer, SENDER, timeout_s=5).outcome is delivery.Outcome.ACKNOWLEDGED
        )

    def associate(self) -> Association:
        """An association for CT images with the node."""
        entity = AE(SENDER)
        entity.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
        return entity.associate(LOOPBACK, self.port, ae_title="LESIONMARK")

    def set_query(self, ae_title: str, port: int, timeout_s: float = 10.0) -> None:
        """Let the node ask a peer how many instances a series has."""
        peer = {"host": LOOPBACK, "port": port, "ae_title": ae_title, "timeout_s": timeout_s}
        with self.config.open("a") as file:
            file.write("[completion.query]\n" + assignments(peer))

    @property
    def peer(self) -> Destination:
        """The node as its senders see it."""
        return Destination(name="node", host=LOOPBACK, port=self.port, ae_title="LESIONMARK")

    def send(self, paths: Sequence[Path]) -> delivery.Sent:
        """Send instances over one association."""
        return delivery.send([(path,) for path in paths], self.peer, SENDER, timeout_s=30)

    def statuses(self, series_uid: str | None = None) -> list[SeriesStatus]:
        """Where every revision of one series, or of all, stands, oldest first."""
        with database.open_client(config.load(self.config)) as client:
            ledger = Ledger(client)
            return ledger.all() if series_uid is None else ledger.of(series_uid)

    def kinds_of_work(self) -> set[str]:
        """What the queue holds, done or not."""
        with database.open_client(config.load(self.config)) as client:
            return {work.name for work in client.list_workflows()}

    def retiring(self) -> set[tuple[str, str]]:
        """(shelf, Series Instance UID) of what will be deleted in its time."""
        with database.open_client(config.load(self.config)) as client:
            return Ledger(client).waiting_to_retire()

    def status(self, series: WrittenSeries) -> list[SeriesStatus]:
        """Where every revision of a series stands, oldest first."""
        return self.statuses(series.series_uid)

    def states(self, series: WrittenSeries) -> list[str]:
        """The states of all revisions of a series, oldest first."""
        return [found.state.value for found in self.status(series)]

    def wait_for(self, series: WrittenSeries, *states: str, limit_s: float = 60) -> None:
        """Wait until the revisions of a series stand exactly like this."""
        seen: list[list[str]] = [[]]

        def look() -> bool:
            seen[0] = self.states(series)
            return seen[0] == list(states)

        try:
            wait_until(look, f"states {states}", limit_s=limit_s)
        except TimeoutError as error:
            raise AssertionError(f"states are {seen[0]}, not {list(states)}") from error

    def __enter__(self) -> Node:
        self.process.start()
        return self

    def __exit__(self, *_: object) -> None:
        # Quicker than an orderly stop, which has a test of its own.
        self.process.kill()


def eventually(look: Callable[[], Any], what: str, limit_s: float = 60) -> Any:
    """What `look` gives as soon as it is true."""
    return wait_until(look, what, limit_s=limit_s)
