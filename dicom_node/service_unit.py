"""Makes a systemd service of this installation, and unmakes it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from dicom_node.errors import NodeError

_SERVICE: Final = "lesionmark"
#: Folders that the hardened service does not see (ProtectHome, PrivateTmp).
_HIDDEN: Final = (Path("/home"), Path("/root"), Path("/run/user"), Path("/tmp"), Path("/var/tmp"))


@dataclass(frozen=True)
class Places:
    """Where the parts of the service lie, below `root`."""

    #: "/" for this machine, or the root of an image that is being built.
    root: Path = Path("/")

    @property
    def unit(self) -> Path:
        """The unit file (systemd.unit(5))."""
        return self.root / f"etc/systemd/system/{_SERVICE}.service"

    @property
    def sysusers(self) -> Path:
        """The service's user (sysusers.d(5))."""
        return self.root / f"etc/sysusers.d/{_SERVICE}.conf"

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.root / f"etc/{_SERVICE}/config.toml"

    @property
    def secrets(self) -> Path:
        """Keys and tokens, readable by root alone (LoadCredential in systemd.exec(5))."""
        return self.root / f"etc/{_SERVICE}/secrets"

    @property
    def is_this_machine(self) -> bool:
        """Whether a service manager can be told of what is written."""
        return self.root == Path("/")


def install(places: Places) -> list[str]:
    """Write the unit, its user and, where there is none, a configuration; says what it did.

    A configuration that is there stays as it is. Raises NodeError when it may not write,
    when the command lies where the service cannot see it, or when systemd refuses.
    """
    command = _command()
    try:
        done = _write(places, command)
    except OSError as error:
        raise NodeError(f"install: {error.filename}: {error.strerror}; run it as root") from error
    if places.is_this_machine:
        _run("systemd-sysusers", str(places.sysusers))
        shutil.chown(places.config, group=_SERVICE)
        _run("systemctl", "daemon-reload")
        _run("systemctl", "enable", "--quiet", f"{_SERVICE}.service")
    return done


def uninstall(places: Places) -> list[str]:
    """Stop the service and remove what `install` wrote; data and configuration stay."""
    if places.is_this_machine and places.unit.exists():
        _run("systemctl", "disable", "--quiet", "--now", f"{_SERVICE}.service")
    gone = [path for path in (places.unit, places.sysusers) if path.exists()]
    try:
        for path in gone:
            path.unlink()
    except OSError as error:
        raise NodeError(f"uninstall: {error.filename}: {error.strerror}; run it as root") from error
    if places.is_this_machine:
        _run("systemctl", "daemon-reload")
    return [f"removed {path}" for path in gone]


def _write(places: Places, command: Path) -> list[str]:
    inside = Places()
    unit = _template("lesionmark.service").format(
        command=command, config=inside.config, secrets=inside.secrets
    )
    places.secrets.mkdir(parents=True, exist_ok=True)
    places.secrets.chmod(0o700)
    done = [_put(places.unit, unit), _put(places.sysusers, _template("sysusers.conf"))]
    if places.config.exists():
        return [*done, f"kept {places.config}"]
    done.append(_put(places.config, _template("config.toml")))
    places.config.chmod(0o640)
    return done


def _put(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return f"wrote {path}"


def _template(name: str) -> str:
    return (files("dicom_node") / "templates" / name).read_text(encoding="utf-8")


def _command() -> Path:
    """The installed command; the service has to be able to see it and its Python."""
    command = Path(sysconfig.get_path("scripts")) / _SERVICE
    if not os.access(command, os.X_OK):
        raise NodeError(f"install: {command}: there is no such command; install the package first")
    for path in (command, Path(sys.base_prefix)):
        for folder in _HIDDEN:
            if path.is_relative_to(folder):
                raise NodeError(
                    f"install: {path}: the service cannot see {folder}; install into a virtual "
                    "environment elsewhere, such as /opt/lesionmark, made by the system's Python"
                )
    return command


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise NodeError(f"install: {command[0]} is missing; this machine has no systemd") from error
    except subprocess.CalledProcessError as error:
        raise NodeError(f"install: {' '.join(command)}: {error.stderr.strip()}") from error
