"""Every way in which a sender may encode the pixels of a CT image, by independent encoders."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydicom import dcmread, uid
from pydicom.encaps import encapsulate

from tests.conftest import missing

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

#: An image of 32 x 40 in HTJ2K, which nothing here can write: `htj2k_image`, encoded with
#: OpenJPH through imagecodecs.
_HTJ2K = Path(__file__).with_name("wave.htj2k")


@dataclass(frozen=True)
class Encoding:
    """One transfer syntax, and how to get there."""

    #: Transfer Syntax UID.
    syntax: uid.UID
    #: Writes a native instance (first path) in this syntax (second path).
    write: Callable[[Path, Path], None]
    #: How far a decoded value may be from the native one, HU.
    tolerance: float = 0.0


def dcmtk(program: str, *options: str) -> Callable[[Path, Path], None]:
    """Encode with a tool of DCMTK."""

    def write(native: Path, encoded: Path) -> None:
        if shutil.which(program) is None:
            missing(f"DCMTK ({program})")
        subprocess.run([program, *options, str(native), str(encoded)], check=True)

    return write


def compress(syntax: uid.UID, **options: list[float]) -> Callable[[Path, Path], None]:
    """Encode with pydicom."""

    def write(native: Path, encoded: Path) -> None:
        ct = dcmread(native)
        ct.compress(syntax, generate_instance_uid=False, **options)
        ct.save_as(encoded)

    return write


def replace_pixels(syntax: uid.UID, codestream: bytes) -> Callable[[Path, Path], None]:
    """Put an encoded image in the place of the native one."""

    def write(native: Path, encoded: Path) -> None:
        ct = dcmread(native)
        ct.PixelData = encapsulate([codestream])
        ct["PixelData"].is_undefined_length = True
        ct.file_meta.TransferSyntaxUID = syntax
        ct.save_as(encoded)

    return write


def replace_bytes(old: bytes, new: bytes) -> Callable[[Path, Path], None]:
    """Write what pydicom would not."""

    def write(native: Path, encoded: Path) -> None:
        encoded.write_bytes(native.read_bytes().replace(old, new))

    return write


def htj2k_image() -> NDArray[np.uint16]:
    """What the HTJ2K codestream shows: stored values, [row, column]."""
    row, column = np.mgrid[:32, :40]
    image = np.rint(1000 + 600 * np.sin(column / 6) * np.cos(row / 5))
    return np.asarray(image, np.uint16)


ENCODINGS = (
    Encoding(uid.ImplicitVRLittleEndian, dcmtk("dcmconv", "+ti")),
    Encoding(uid.ExplicitVRLittleEndian, dcmtk("dcmconv", "+te")),
    Encoding(uid.ExplicitVRBigEndian, dcmtk("dcmconv", "+tb")),
    Encoding(uid.DeflatedExplicitVRLittleEndian, dcmtk("dcmconv", "+td")),
    Encoding(uid.RLELossless, dcmtk("dcmcrle")),
    Encoding(uid.JPEGLossless, dcmtk("dcmcjpeg", "+el", "+un")),
    Encoding(uid.JPEGLosslessSV1, dcmtk("dcmcjpeg", "+e1", "+un")),
    Encoding(uid.JPEGExtended12Bit, dcmtk("dcmcjpeg", "+ee", "+un"), 30.0),
    Encoding(uid.JPEGLSLossless, dcmtk("dcmcjpls", "+el", "+un")),
    Encoding(uid.JPEGLSNearLossless, dcmtk("dcmcjpls", "+en", "+md", "2", "+un"), 2.0),
    Encoding(uid.JPEG2000Lossless, compress(uid.JPEG2000Lossless)),
    Encoding(uid.JPEG2000, compress(uid.JPEG2000, j2k_psnr=[65.0]), 30.0),
)
#: The same for any image, so all slices are alike.
HTJ2K = Encoding(uid.HTJ2KLossless, replace_pixels(uid.HTJ2KLossless, _HTJ2K.read_bytes()))
#: Accepted and kept, but no installed library can decode it.
UNDECODABLE = Encoding(
    uid.JPEG2000MCLossless, replace_pixels(uid.JPEG2000MCLossless, b"\xff\x4f" * 50)
)
#: A Specific Character Set that the standard does not know.
UNKNOWN_SET = Encoding(uid.ExplicitVRLittleEndian, replace_bytes(b"ISO_IR 100", b"ISO_IR 999"))
