"""A PACS on this machine for the demo and the tests: Orthanc, or a folder that stands in for it."""

from __future__ import annotations

import json
import os
import shutil
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from deploy.processes import LOOPBACK, LocalProcess, free_port, listens, wait_until

#: Orthanc's configuration as an administrator gets it; what differs here is laid over it.
ORTHANC_CONFIGURATION = Path(__file__).parent / "orthanc" / "orthanc.json"
#: Where Debian and Ubuntu put Orthanc's plugins.
ORTHANC_PLUGINS = Path("/usr/share/orthanc/plugins")
#: The rule by which Orthanc forwards to the node, in both forms, by Orthanc's key for each.
FORWARDING: dict[str, dict[str, Any]] = {
    "Lua": {"LuaScripts": [str(ORTHANC_CONFIGURATION.with_name("forward.lua"))]},
    "Python": {"PythonScript": str(ORTHANC_CONFIGURATION.with_name("forward.py"))},
}


#: Seconds without a new instance after which a series is forwarded: nobody wants to wait in a demo.
_STABLE_AGE_S = 2


class LocalPacs(Protocol):
    """What the demo asks of a PACS."""

    #: For people: what kind of PACS this is and how to look into it.
    description: str
    #: Its application entity title; it listens on loopback.
    ae_title: str
    #: Port of its Storage SCP.
    dicom_port: int
    #: Its process, to be started and stopped.
    process: LocalProcess

    def forward_to(self, ae_title: str, port: int) -> bool:
        """Send every CT series on to a node on loopback; False where it has no such rule."""
        ...

    def reports(self, study_instance_uid: str) -> list[str]:
        """SOP Instance UIDs of the structured reports of a study."""
        ...

    def download(self, sop_instance_uid: str) -> bytes:
        """One instance as a DICOM file (PS3.10). Raises KeyError when it is not there."""
        ...


@dataclass(frozen=True)
class StoredSeries:
    """One series as Orthanc lists it."""

    #: Series Instance UID (0020,000E).
    series_instance_uid: str
    #: Modality (0008,0060).
    modality: str
    #: SOP Instance UIDs (0008,0018), in no order.
    sop_instance_uids: tuple[str, ...]


def find_orthanc() -> str | None:
    """Path of the Orthanc program; Debian keeps it where a user's PATH may not reach."""
    return shutil.which("Orthanc", path=f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin")


def find_plugins(*names: str) -> list[str]:
    """Paths of those of Orthanc's plugins that are installed."""
    paths = [ORTHANC_PLUGINS / f"libOrthanc{name}.so" for name in names]
    return [str(path) for path in paths if path.exists()]


def start_local_pacs(folder: Path) -> LocalPacs:
    """Orthanc where it is installed, else the folder that stands in; started and answering."""
    pacs: LocalPacs = _forwarding_orthanc(folder) if find_orthanc() else FolderPacs(folder)
    pacs.process.start()
    return pacs


def _forwarding_orthanc(folder: Path) -> OrthancPacs:
    return OrthancPacs(folder, **FORWARDING["Lua"], StableAge=_STABLE_AGE_S)


class OrthancPacs:
    """A real Orthanc with its storage, configuration and log in one folder."""

    def __init__(self, folder: Path, **overrides: Any) -> None:
        """Choose ports and write the configuration; `overrides` are keys of Orthanc's own.

        Raises FileNotFoundError where Orthanc is not installed.
        """
        program = find_orthanc()
        if program is None:
            raise FileNotFoundError("Orthanc is not installed (Debian package orthanc)")
        self.folder = folder
        self.ae_title = "ORTHANC"
        self.dicom_port = free_port()
        self.http_port = free_port()
        self.url = f"http://{LOOPBACK}:{self.http_port}"
        self.description = f"Orthanc, {self.url}/app/explorer.html"
        self.process = LocalProcess(
            "Orthanc",
            [program, self._write_configuration(overrides)],
            log=folder / "orthanc.log",
            answers=self._answers,
            # DCMTK, which Orthanc is built on, waits 40 ms an instance without this.
            environment={"TCP_NODELAY": "1"},
        )

    def _write_configuration(self, overrides: dict[str, Any]) -> Path:
        storage = self.folder / "storage"
        storage.mkdir(parents=True, exist_ok=True)
        has_script = "PythonScript" in overrides
        plugins = find_plugins("DicomWeb", "Python") if has_script else find_plugins("DicomWeb")
        settings = json.loads(ORTHANC_CONFIGURATION.read_text()) | {
            "DicomAet": self.ae_title,
            "DicomPort": self.dicom_port,
            "HttpPort": self.http_port,
            "StorageDirectory": str(storage),
            "IndexDirectory": str(storage),
            "Plugins": plugins,
            "LuaScripts": [],
        }
        path = self.folder / "orthanc.json"
        path.write_text(json.dumps(settings | overrides, indent=2))
        return path

    def _answers(self) -> bool:
        try:
            return bool(self.ask("GET", "/system"))
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def __enter__(self) -> OrthancPacs:
        """Start it, for a `with` statement."""
        self.process.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it at once: in good order it takes seconds, and nobody needs it any more."""
        self.process.kill()

    def request(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """One call of Orthanc's REST API. Raises urllib.error.HTTPError."""
        # A proxy from the environment knows nothing of loopback.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        call = urllib.request.Request(self.url + path, data=body, method=method)
        with opener.open(call, timeout=60) as answer:
            content: bytes = answer.read()
            return content

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """One call of Orthanc's REST API with JSON both ways."""
        content = None if body is None else json.dumps(body).encode()
        return json.loads(self.request(method, path, content))

    def series(self, study_instance_uid: str) -> list[StoredSeries]:
        """Every series that it holds of a study."""
        return [
            self._stored(entry)
            for study in self.lookup("Study", study_instance_uid)
            for entry in self.ask("GET", f"/studies/{study}/series")
        ]

    def _stored(self, entry: dict[str, Any]) -> StoredSeries:
        instances = self.ask("GET", f"/series/{entry['ID']}/instances")
        return StoredSeries(
            series_instance_uid=entry["MainDicomTags"]["SeriesInstanceUID"],
            modality=entry["MainDicomTags"]["Modality"],
            sop_instance_uids=tuple(i["MainDicomTags"]["SOPInstanceUID"] for i in instances),
        )

    def lookup(self, level: str, uid: str) -> list[str]:
        """Its own names of what has a UID, at a level: "Study", "Series" or "Instance"."""
        found = json.loads(self.request("POST", "/tools/lookup", uid.encode()))
        return [entry["ID"] for entry in found if entry["Type"] == level]

    def reports(self, study_instance_uid: str) -> list[str]:
        """SOP Instance UIDs of the structured reports of a study."""
        series = self.series(study_instance_uid)
        return [uid for one in series if one.modality == "SR" for uid in one.sop_instance_uids]

    def download(self, sop_instance_uid: str) -> bytes:
        """One instance as a DICOM file (PS3.10). Raises KeyError when it is not there."""
        for instance in self.lookup("Instance", sop_instance_uid):
            return self.request("GET", f"/instances/{instance}/file")
        raise KeyError(sop_instance_uid)

    def upload(self, instance: Path) -> None:
        """Put one DICOM file into the archive, past its network side."""
        self.request("POST", "/instances", instance.read_bytes())

    def forward_to(self, ae_title: str, port: int) -> bool:
        """Send every stable CT series on to a node on loopback, by the rule that we ship."""
        self.set_modality("lesionmark", ae_title, port)
        return True

    def set_modality(self, name: str, ae_title: str, port: int) -> None:
        """Tell it of a peer on loopback, to which `forward` can then send.

        One AE title wants one name: Orthanc reports on storage commitment to the first of several.
        """
        peer = {"AET": ae_title, "Host": LOOPBACK, "Port": port}
        self.request("PUT", f"/modalities/{name}", json.dumps(peer).encode())

    def ask_commitment(self, modality: str, series_instance_uid: str) -> str:
        """Have it ask a peer to commit to a series, and wait for the outcome in its words.

        Raises KeyError for an unknown series, NotInTime when the peer does not report.
        """
        found = self.lookup("Series", series_instance_uid)
        if not found:
            raise KeyError(series_instance_uid)
        request = {"Resources": found, "Synchronous": True}
        asked = self.ask("POST", f"/modalities/{modality}/storage-commitment", request)
        report = wait_until(
            lambda: self._commitment(asked["ID"]), "a report on storage commitment", limit_s=30
        )
        return str(report["Status"])

    def _commitment(self, transaction: str) -> dict[str, Any] | None:
        report: dict[str, Any] = self.ask("GET", f"/storage-commitment/{transaction}")
        return None if report["Status"] == "Pending" else report

    def forward(self, series_instance_uid: str, modality: str) -> None:
        """Have it send a series to a peer by C-STORE. Raises KeyError for an unknown series."""
        found = self.lookup("Series", series_instance_uid)
        if not found:
            raise KeyError(series_instance_uid)
        self.ask("POST", f"/modalities/{modality}/store", {"Resources": found})


class FolderPacs:
    """A Storage SCP that keeps what it gets in a folder: all of a PACS that a demo needs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ae_title = "PACS"
        self.dicom_port = free_port()
        self.description = f"no Orthanc here; a Storage SCP that fills {folder} stands in for it"
        self.process = LocalProcess(
            "the stand-in for a PACS",
            [
                sys.executable,
                Path(__file__).with_name("folder_scp.py"),
                *(folder, self.ae_title, str(self.dicom_port)),
            ],
            log=folder / "scp.log",
            answers=lambda: listens(self.dicom_port),
        )

    def forward_to(self, ae_title: str, port: int) -> bool:
        """A folder sends nothing on."""
        del ae_title, port
        return False

    def reports(self, study_instance_uid: str) -> list[str]:
        """SOP Instance UIDs of the structured reports of a study."""
        return [path.stem for path in self.folder.glob(f"{study_instance_uid}/SR/*.dcm")]

    def download(self, sop_instance_uid: str) -> bytes:
        """One instance as a DICOM file (PS3.10). Raises KeyError when it is not there."""
        for path in self.folder.glob(f"*/*/{sop_instance_uid}.dcm"):
            return path.read_bytes()
        raise KeyError(sop_instance_uid)
