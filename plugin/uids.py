"""UIDs derived from what they name, so that a repeated step names the same thing."""

from __future__ import annotations

from uuid import UUID, uuid5

from pydicom.uid import UID

#: Name space of all UIDs that lesionmark derives; must never change.
NAMESPACE = UUID("6b8c5a0e-3f0d-4f57-9d0b-2c1d9a7e41f3")


def derive(*parts: str) -> UID:
    """A UID of the form 2.25.<decimal UUID> (PS3.5 B.2), the same for the same parts.

    Parts are joined with a character no UID or name contains, so ("a", "bc") and
    ("ab", "c") differ.
    """
    return UID(f"2.25.{uuid5(NAMESPACE, chr(0).join(parts)).int}")


#: Names this implementation in associations and in file meta information (PS3.7 D.3.3.2).
IMPLEMENTATION_CLASS_UID = derive("implementation")
#: The same in words, at most 16 characters.
IMPLEMENTATION_VERSION_NAME = "LESIONMARK"
