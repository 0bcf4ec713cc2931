"""Leaves work pending in every way there is, kills the node, and packs what is on disk.

    git worktree add ../before VERSION && cp -r tests/upgrade ../before/tests/
    cd ../before && python -m tests.upgrade.make VERSION

The archive is then committed to tests/upgrade of the new version, beside those before it.
"""

from __future__ import annotations

import json
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from pydicom.uid import MRImageStorage

from dicom_node import delivery
from tests.committing_pacs import CommittingPacs, Way
from tests.instances import WrittenSeries, instance, write_series
from tests.node import Node, eventually
from tests.pacs import ScriptedPacs

#: Where nobody listens: the discard service.
NOWHERE = 9


def main() -> None:
    """Make the archive of the version that the command line names."""
    with TemporaryDirectory() as folder:
        series = leave_pending(Path(folder))
        manifest = Path(folder) / "series.json"
        manifest.write_text(json.dumps(series, indent=1))
        target = Path(__file__).with_name(f"pending-{sys.argv[1]}.tar.xz")
        with tarfile.open(target, "w:xz", preset=9) as archive:
            archive.add(manifest, "series.json")
            archive.add(Path(folder) / "node" / "state", "state")
    print(f"{target}: {target.stat().st_size} bytes")


def leave_pending(folder: Path) -> dict[str, str]:
    """Fill the state folder; Series Instance UIDs by where each series stands."""
    pacs, archive = ScriptedPacs(), CommittingPacs(node_port=0, way=Way.NEVER)
    destinations = [
        ("pacs", pacs.ae_title, pacs.port),
        ("archive", *archive.destination[1:]),
        ("down", "DOWN", NOWHERE),
    ]
    wishes = {"archive": {"proof": "storage-commitment"}}
    node = Node(folder / "node", destinations, wishes=wishes)
    pacs.start()
    archive.start()
    try:
        node.process.start()
        return _series(node, archive, folder)
    finally:
        node.process.kill()
        pacs.stop()
        archive.stop()


def _series(node: Node, archive: CommittingPacs, folder: Path) -> dict[str, str]:
    found = {name: write_series(folder / name, count) for name, count in (
        ("delivering", 3), ("refused", 2), ("failed", 13), ("analysing", 3), ("receiving", 3),
    )}  # fmt: skip
    found["aside"] = _set_aside(folder / "aside")
    for name in ("delivering", "refused", "failed"):
        _send(node, found[name])
        node.wait_for(found[name], name)
    eventually(lambda: archive.requests, "a request for storage commitment")
    eventually(lambda: "down: " in node.process.log.read_text(), "a try that failed")
    node.gate.touch()
    _send(node, found["analysing"])
    node.wait_for(found["analysing"], "analysing")
    _send(node, found["aside"])
    _send(node, found["receiving"])
    node.process.kill()
    if node.states(found["receiving"]) != ["receiving"]:
        raise RuntimeError("too slow: the last series does not arrive any more; try again")
    return {name: series.series_uid for name, series in found.items()}


def _set_aside(folder: Path) -> WrittenSeries:
    """A series that is not for the plugin."""
    folder.mkdir()
    other = instance("1.2.826.0.1.7", "1.2.826.0.1.6", 0)
    other.SOPClassUID = other.file_meta.MediaStorageSOPClassUID = MRImageStorage
    other.save_as(folder / "mr.dcm", enforce_file_format=True)
    return WrittenSeries("1.2.826.0.1.6", "1.2.826.0.1.7", (folder / "mr.dcm",))


def _send(node: Node, series: WrittenSeries) -> None:
    sent = node.send(series.paths)
    if sent.outcome is not delivery.Outcome.ACKNOWLEDGED:
        raise RuntimeError(sent.reason)


if __name__ == "__main__":
    main()
