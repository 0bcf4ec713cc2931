"""Validators that nobody here wrote, each as a function from a file to what it complains of."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.conftest import missing

if TYPE_CHECKING:
    from plugin.volume import Volume

HERE = Path(__file__).parent
PIXELMED_JAR = Path("/usr/share/java/pixelmed.jar")
#: Java's XPath limits are too low for PixelMed's rules (JDK 17 and newer).
JAXP_LIMITS = ("xpathExprGrpLimit", "xpathExprOpLimit", "xpathTotalOpLimit")
#: Each run is one short life of a virtual machine.
QUICK_START = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
#: Older releases of Node.js lack what dcmjs uses.
OLDEST_NODE = 20


def tool(name: str) -> str:
    """Path of a program, of this environment first; the test is skipped when there is none."""
    beside_python = shutil.which(name, path=str(Path(sys.executable).parent))
    found = beside_python or shutil.which(name)
    if found is None:
        missing(name)
    return str(found)


def dciodvfy(path: Path) -> list[str]:
    """The Error lines of dciodvfy (dicom3tools) on any DICOM object."""
    return [line for line in run(tool("dciodvfy"), str(path))[1] if line.startswith("Error")]


def dsrdump(path: Path) -> list[str]:
    """What dsrdump (DCMTK) says about an SR that it cannot read."""
    status, lines = run(tool("dsrdump"), "-q", str(path))
    return (lines or ["exit status other than 0"]) if status else []


def dcmpschk(path: Path) -> list[str]:
    """The errors of dcmpschk (DCMTK) on a presentation state."""
    _, lines = run(tool("dcmpschk"), str(path))
    return [line for line in lines if line.startswith("E:")]


def pixelmed(path: Path, template: int = 1500) -> list[str]:
    """What PixelMed's DicomSRValidator finds wrong with an SR of a template, by that template."""
    java = tool("java")
    if not PIXELMED_JAR.exists():
        missing("PixelMed (pixelmed-apps)")
    options = [*QUICK_START, *(f"-Djdk.xml.{limit}=0" for limit in JAXP_LIMITS)]
    validator = "com.pixelmed.validate.DicomSRValidator"
    _, lines = run(java, *options, "-cp", str(PIXELMED_JAR), validator, str(path))
    expected = (f"Found Root Template TID_{template}", "IOD validation complete")
    silent = [f"did not say: {words}" for words in expected if words not in "\n".join(lines)]
    return [line for line in lines if line.startswith("Error")] + silent


def hydrated(path: Path, volume: Volume, folder: Path) -> list[dict[str, Any]]:
    """The measurements that a Cornerstone3D viewer would draw from an SR, in LPS mm."""
    install_node_packages()
    planes = folder / "planes.json"
    planes.write_text(json.dumps(_planes(volume)))
    status, lines = run(tool("node"), str(HERE / "hydrate.mjs"), str(path), str(planes))
    assert status == 0, "\n".join(lines)
    found: list[dict[str, Any]] = next(json.loads(line) for line in lines if line.startswith("["))
    return found


def _planes(volume: Volume) -> dict[str, dict[str, Any]]:
    """For each slice by "instance:frame" what a viewer knows: where it lies in the patient."""
    _, down, across = volume.spacing
    orientation = [*(volume.affine[:3, 2] / across), *(volume.affine[:3, 1] / down)]
    common = {
        "frameOfReferenceUID": str(volume.headers[0].get("FrameOfReferenceUID", "")),
        "rows": volume.hu.shape[1],
        "columns": volume.hu.shape[2],
        "imageOrientationPatient": orientation,
        "rowCosines": orientation[:3],
        "columnCosines": orientation[3:],
        "rowPixelSpacing": down,
        "columnPixelSpacing": across,
    }
    return {
        f"{place.sop_instance_uid}:{place.frame_number or 1}": common
        | {"imagePositionPatient": (volume.affine @ [index, 0, 0, 1])[:3].tolist()}
        for index, place in enumerate(volume.slices)
    }


def install_node_packages() -> None:
    """Install the pinned packages, on first use and when the pins change."""
    # Several test processes want them at once; npm begins by deleting what is there.
    with (HERE / ".packages.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _install_node_packages()


def _install_node_packages() -> None:
    npm, node = tool("npm"), tool("node")
    version = re.search(r"\d+", run(node, "--version")[1][0])
    if version is None or int(version.group()) < OLDEST_NODE:
        missing(f"Node.js {OLDEST_NODE} or newer")
    pins, installed = HERE / "package-lock.json", HERE / "node_modules" / ".installed-pins.json"
    if installed.exists() and installed.read_bytes() == pins.read_bytes():
        return
    install = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(HERE))
    status, lines = run(npm, *install)
    if status:
        missing(f"packages of Node.js ({lines[-1] if lines else 'npm ci failed'})")
    shutil.copyfile(pins, installed)


def run(*command: str, **environment: str) -> tuple[int, list[str]]:
    """Exit status and the lines of both outputs; `environment` adds to that of the tests."""
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=280,
        check=False,
        env=os.environ | environment,
    )
    return done.returncode, done.stdout.splitlines()
