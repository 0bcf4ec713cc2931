"""PostgreSQL on this machine for the tests and benchmarks: a server of its own, on loopback."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.processes import LOOPBACK, LocalProcess, free_port

if TYPE_CHECKING:
    from collections.abc import Sequence

_USER = "lesionmark"
#: The server refuses to run as root; then it runs as nobody.
_UNPRIVILEGED = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
#: Of the startup packet: an SSLRequest, to which every server has an answer of one byte.
_SSL_REQUEST = bytes.fromhex("00000008 04d2162f")


def find_postgres() -> Path | None:
    """The folder of the newest server; Debian keeps it where no PATH reaches."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=_version)
    if found:
        return found[-1].parent
    program = shutil.which("postgres")
    return Path(program).resolve().parent if program else None


def _version(program: Path) -> int:
    return int(program.parent.parent.name)


class LocalPostgres:
    """A database in a folder that ends with it."""

    def __init__(self) -> None:
        """Raises FileNotFoundError where PostgreSQL is not installed."""
        programs = find_postgres()
        if programs is None:
            raise FileNotFoundError("PostgreSQL is not installed (Debian package postgresql)")
        self._programs = programs
        self._password = secrets.token_hex(16)
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self.process = LocalProcess(
            "PostgreSQL",
            self._command(
                "postgres",
                *("-D", str(self._data), "-p", str(self.port), "-h", LOOPBACK, "-k", ""),
            ),
            log=self.folder / "postgres.log",
            answers=self._answers,
        )

    @property
    def url(self) -> str:
        """With the password in it."""
        return f"postgresql://{_USER}:{self._password}@{LOOPBACK}:{self.port}/lesionmark"

    @property
    def password(self) -> str:
        """What must not show in any log."""
        return self._password

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def __enter__(self) -> LocalPostgres:
        """Make the database and start it, for a `with` statement."""
        self._data.mkdir()
        password = self.folder / "password"
        password.write_text(self._password)
        if os.geteuid() == 0:
            for path in (self.folder, self._data, password):
                shutil.chown(path, "nobody", "nogroup")
        options = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
        subprocess.run(
            self._command(
                "initdb", "-D", str(self._data), "-U", _USER, f"--pwfile={password}", *options
            ),
            check=True,
            capture_output=True,
            cwd="/",
        )
        self.process.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it at once, and delete what it holds."""
        self.process.kill()
        shutil.rmtree(self.folder)

    def _command(self, program: str, *arguments: str) -> Sequence[str]:
        prefix = _UNPRIVILEGED if os.geteuid() == 0 else []
        return [*prefix, str(self._programs / program), *arguments]

    def _answers(self) -> bool:
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=2) as connection:
                connection.sendall(_SSL_REQUEST)
                return connection.recv(1) in (b"S", b"N")
        except OSError:
            return False
