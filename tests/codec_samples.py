"""How plugin/samples was made: `python -m tests.codec_samples`, with encoders that are not ours."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from pydicom import Dataset, uid

from plugin.codecs import EIGHT_BITS, wave
from tests.encodings import ENCODINGS, HTJ2K, Encoding, dcmtk, replace_pixels
from tests.instances import instance

#: One codestream serves all forms of HTJ2K.
_HTJ2K_STREAM = Path(__file__).with_name("wave.htj2k").read_bytes()
ALL = (
    *ENCODINGS,
    Encoding(uid.JPEGBaseline8Bit, dcmtk("dcmcjpeg", "+eb", "+un")),
    HTJ2K,
    *(
        Encoding(syntax, replace_pixels(syntax, _HTJ2K_STREAM))
        for syntax in (uid.HTJ2KLosslessRPCL, uid.HTJ2K)
    ),
)


def native(*, eight_bits: bool) -> Dataset:
    """The image of plugin.codecs as a native instance of nobody."""
    image = (wave() >> 3).astype(np.uint8) if eight_bits else wave()
    ct = instance("2.25.1", "2.25.2", 0)
    ct.PatientID, ct.PatientName = "LESIONMARK-TEST", "TEST^LESIONMARK"
    ct.Rows, ct.Columns = image.shape
    bits = image.dtype.itemsize * 8
    ct.BitsAllocated, ct.BitsStored, ct.HighBit, ct.PixelRepresentation = bits, bits, bits - 1, 0
    if not eight_bits:
        ct.BitsStored, ct.HighBit = 12, 11
    ct.PixelData = image.tobytes()
    ct["PixelData"].VR = "OB" if eight_bits else "OW"
    return ct


def main() -> None:
    """Write every sample."""
    folder = Path(__file__).parents[1] / "plugin" / "samples"
    with TemporaryDirectory() as scratch:
        for encoding in ALL:
            path = Path(scratch) / "native.dcm"
            eight_bits = encoding.syntax in EIGHT_BITS
            native(eight_bits=eight_bits).save_as(path, enforce_file_format=True)
            encoding.write(path, folder / f"{encoding.syntax}.dcm")


if __name__ == "__main__":
    main()
