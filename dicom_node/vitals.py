"""Whether the parts of a running node do what they are there for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Vitals:
    """Checks by the names of the parts; each says what is wrong, or None."""

    def __init__(self) -> None:
        self._checks: dict[str, Callable[[], str | None]] = {}

    def watch(self, part: str, check: Callable[[], str | None]) -> None:
        """Add a check: what it finds does not pass by itself, and calls for a restart."""
        self._checks[part] = check

    def faults(self) -> dict[str, str | None]:
        """What is wrong with each part; for the log, not for strangers."""
        return {part: check() for part, check in self._checks.items()}

    def stuck(self) -> str | None:
        """What is wrong with one of them, if anything is."""
        return next(filter(None, self.faults().values()), None)
