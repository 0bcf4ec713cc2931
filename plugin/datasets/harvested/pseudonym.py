"""Keyed names: without the secret nobody can tell or test whose data these are.

HMAC (RFC 2104) with SHA-256. The same secret gives the same names in every run.
"""

from __future__ import annotations

import hmac
import uuid

from pydicom.uid import UID

from plugin.datasets.deeplesion import Split

#: Upper ends of the shares of training and validation; the rest is for the test.
SHARES = ((0.70, Split.TRAIN), (0.85, Split.VALIDATION))
#: Shortest secret, bytes; a shorter one can be guessed.
SHORTEST_SECRET = 16


def digest(secret: bytes, *parts: str) -> bytes:
    """32 bytes that only the holder of the secret can compute from the parts."""
    return hmac.digest(secret, chr(0).join(parts).encode(), "sha256")


def uid(secret: bytes, original: str) -> UID:
    """A UID in place of another, of the form 2.25.<decimal UUID> (PS3.5 B.2)."""
    return UID(f"2.25.{uuid.UUID(bytes=digest(secret, 'uid', original)[:16], version=4).int}")


def split(secret: bytes, patient: str) -> Split:
    """The part of the data set that a patient belongs to, however the data set grows."""
    share = int.from_bytes(digest(secret, "split", patient)[:8]) / 2**64
    return next((part for end, part in SHARES if share < end), Split.TEST)
