"""A second machine with a real systemd: this one's files under an overlay, in a container."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from deploy.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROJECT = Path(__file__).parents[1]
#: Where the service finds its Python and its code: the hardened unit sees no home and no /tmp.
_HOME = Path("/opt/lesionmark")
_LIBRARIES, _CODE = Path("/opt/lesionmark-libraries"), Path("/opt/lesionmark-code")
_PYTHON = Path("/opt/lesionmark-python")
_COMMAND = f"""#!{_HOME}/bin/python
import sys
from dicom_node.cli import main
sys.exit(main())
"""


class Machine:
    """A booted container; commands run in it as root."""

    def __init__(self, leader: int, root: Path) -> None:
        self._leader = leader
        self.root = root

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the container."""
        enter = ["nsenter", "--target", str(self._leader), "--all", *command]
        return subprocess.run(enter, check=False, capture_output=True, text=True, timeout=120)

    def says(self, *command: str) -> str:
        """What a command prints that has to succeed."""
        done = self.run(*command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()


@contextmanager
def boot(folder: Path) -> Iterator[Machine]:
    """Boot this machine's files to basic.target. Raises OSError where that may not be done."""
    root = folder / "root"
    with _overlay(folder, root), _container(root, f"lesionmark-{uuid4().hex[:8]}") as leader:
        machine = Machine(leader, root)
        wait_until(lambda: _is_up(machine), "systemd in the container", limit_s=60)
        yield machine


@contextmanager
def _overlay(folder: Path, root: Path) -> Iterator[None]:
    upper, work = folder / "upper", folder / "work"
    for path in (root, upper, work):
        path.mkdir()
    options = f"lowerdir=/,upperdir={upper},workdir={work}"
    _may(["mount", "-t", "overlay", "overlay", "-o", options, str(root)])
    try:
        (root / "etc/machine-id").write_text(uuid4().hex + "\n")
        _make_installation(root)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(root)], check=False)


def _make_installation(root: Path) -> None:
    """An environment that the service can see, with the libraries and the code of this one."""
    home = root / _HOME.relative_to("/")
    (home / "bin").mkdir(parents=True)
    python = _PYTHON / Path(sys.executable).resolve().relative_to(sys.base_prefix)
    (home / "bin/python").symlink_to(python)
    (home / "pyvenv.cfg").write_text(f"home = {python.parent}\n")
    site = home / f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    site.mkdir(parents=True)
    (site / "lesionmark.pth").write_text(f"{_CODE}\n{_LIBRARIES}\n")
    command = home / "bin/lesionmark"
    command.write_text(_COMMAND)
    command.chmod(0o755)
    # A Python that is moved away from its place has to be told where its own library is.
    drop_in = root / "etc/systemd/system/lesionmark.service.d/library.conf"
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text(f"[Service]\nEnvironment=LD_LIBRARY_PATH={_PYTHON}/lib\n")


@contextmanager
def _container(root: Path, name: str) -> Iterator[int]:
    libraries = sysconfig.get_path("purelib")
    command = [
        "systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", "--console=pipe",
        f"--directory={root}", f"--machine={name}",
        f"--bind-ro={libraries}:{_LIBRARIES}", f"--bind-ro={_PROJECT}:{_CODE}",
        f"--bind-ro={sys.base_prefix}:{_PYTHON}",
        "systemd.unit=basic.target",
    ]  # fmt: skip
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as container:
        try:
            yield wait_until(lambda: _leader(container), "the container's process 1", limit_s=30)
        finally:
            container.terminate()
            try:
                container.wait(30)
            except subprocess.TimeoutExpired:
                container.kill()


def _leader(container: subprocess.Popen[bytes]) -> int:
    """The container's own process 1 as this machine numbers it, 0 before there is one."""
    if container.poll() is not None:
        raise OSError(container.stdout.read().decode() if container.stdout else "it ended")
    children = Path(f"/proc/{container.pid}/task/{container.pid}/children").read_text().split()
    booted = [pid for pid in children if Path(f"/proc/{pid}/comm").read_text() == "systemd\n"]
    return int(booted[0]) if booted else 0


def _is_up(machine: Machine) -> bool:
    state = machine.run("systemctl", "is-system-running").stdout.strip()
    return state in ("running", "degraded")


def _may(command: list[str]) -> None:
    """Run what needs rights; OSError says which this machine does not give."""
    if os.geteuid() != 0:
        raise PermissionError(f"{command[0]}: only root may do that")
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise OSError(done.stderr.strip())
