"""The transfer syntaxes in which this node takes instances (PS3.5 10)."""

from __future__ import annotations

from pydicom.uid import (
    UID,
    AllTransferSyntaxes,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

#: Those that every peer has for an instance that is not compressed.
NATIVE: list[str | UID] = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]

#: All without those that leave the pixels elsewhere (JPIP) or are no files (SMPTE 2110).
#: Explicit VR comes first: of several in one context pynetdicom accepts the first of ours.
TRANSFER_SYNTAXES = [
    ExplicitVRLittleEndian,
    *(
        syntax
        for syntax in AllTransferSyntaxes
        if syntax != ExplicitVRLittleEndian and not syntax.name.startswith(("JPIP", "SMPTE"))
    ),
]

#: Those of them in which archives hold single cross-sectional images, and no film.
FOR_IMAGES = [
    syntax
    for syntax in TRANSFER_SYNTAXES
    if not any(word in syntax.name for word in ("MPEG", "HEVC", "Multi-component"))
]
