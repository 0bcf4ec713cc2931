"""What hospital senders send, case by case, and what has to become of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from highdicom.legacy import LegacyConvertedEnhancedCTImage
from pydicom.uid import (
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
    XRayRadiationDoseSRStorage,
)

from plugin.datasets.ct_image import Identity, ct_images
from plugin.uids import derive
from plugin.volume import LOWEST_HU
from tests.encodings import (
    ENCODINGS,
    HTJ2K,
    UNDECODABLE,
    UNKNOWN_SET,
    Encoding,
    htj2k_image,
)
from tests.volume_cases import SHAPE, all_of, axial_affine, edited, without

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom import Dataset

    from tests.volume_cases import Edit

    HU = NDArray[np.float32]

_SLICE, _ROW, _COLUMN = np.mgrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
_WAVES = 300 * np.sin(_COLUMN / 6 + _SLICE / 3) * np.cos(_ROW / 5) - 200
_NOISE = np.random.default_rng(3).normal(0, 20, SHAPE)
#: A smooth body with noise, so that lossy codecs behave as they do on CT; whole numbers.
ATTENUATION: HU = np.rint(_WAVES + _NOISE).astype(np.float32)
#: Japanese, Korean, Chinese, Russian, German, Latin, and one that nobody knows.
_CHARACTER_SETS = {
    "ISO 2022 IR 87": "Yamada^Tarou=山田^太郎",
    "ISO 2022 IR 149": "Hong^Gildong=洪^吉洞=홍^길동",
    "GB18030": "Wang^XiaoDong=王^小东",
    "ISO_IR 144": "Иванов^Пётр",
    "ISO_IR 192": "Äneas^Rüdiger",
    "ISO_IR 100": "Buc^Jérôme",
}


@dataclass(frozen=True)
class Case:
    """One series."""

    #: What is special about it.
    name: str
    #: What makes it so.
    edit: Edit = lambda images: images
    #: How its pixels are encoded; None as they are.
    encoding: Encoding | None = None
    #: What the node has to read, HU [slice, row, column]; None when it has to refuse.
    hu: HU | None = None
    #: What the node has to say about it.
    says: str = ""

    def images(self) -> list[Dataset]:
        """The instances, in a series of their own."""
        identity = Identity("Phantom^Test", "TEST", self.name, "Test")
        return self.edit(list(ct_images(ATTENUATION, axial_affine(), identity)))


def stored_as(
    dtype: str, bits: int, *, slope: float = 1.0, intercept: float = -1024.0, unused: int = 0
) -> Edit:
    """Other stored values for the same attenuation; `unused` is laid over the high bits."""

    def edit(images: list[Dataset]) -> list[Dataset]:
        for image, hu in zip(images, ATTENUATION, strict=True):
            stored = np.rint((hu - intercept) / slope).astype(dtype)
            image.PixelData = (stored | np.array(unused).astype(dtype)).tobytes()
            image.BitsAllocated = stored.itemsize * 8
            image.BitsStored, image.HighBit = bits, bits - 1
            image.PixelRepresentation = int(stored.dtype.kind == "i")
            image.RescaleSlope, image.RescaleIntercept = slope, intercept
        return images

    return edit


def few_signed(images: list[Dataset]) -> list[Dataset]:
    return stored_as("<i2", 16, intercept=0.0)(images)[:5]


def signed_without_sign(images: list[Dataset]) -> list[Dataset]:
    """Twelve signed bits whose sign does not go on into the unused ones."""
    for image in stored_as("<i2", 12, intercept=0.0)(images):
        stored = np.frombuffer(image.PixelData, "<u2") & 0x0FFF
        image.PixelData = stored.tobytes()
    return images


def padded(images: list[Dataset]) -> list[Dataset]:
    """The corner of each slice holds the padding value."""
    for image in stored_as("<i2", 16, intercept=0.0)(images):
        stored = np.frombuffer(image.PixelData, "<i2").reshape(SHAPE[1:]).copy()
        stored[:3, :3] = -2000
        image.PixelData = stored.tobytes()
        image.add_new("PixelPaddingValue", "SS", -2000)
    return images


def another_slope_for_each(images: list[Dataset]) -> list[Dataset]:
    for number, image in enumerate(images):
        hu = ATTENUATION[number] + 1024.0
        image.PixelData = (hu * (number + 1)).astype("<u2").tobytes()
        image.BitsStored, image.HighBit = 16, 15
        image.RescaleSlope = f"{1 / (number + 1):.14g}"
    return images


def without_rescale(images: list[Dataset]) -> list[Dataset]:
    del images[3].RescaleIntercept
    return images


def sparser(images: list[Dataset]) -> list[Dataset]:
    """Twice the distance in the second half."""
    for number, image in enumerate(images[4:], start=1):
        image.ImagePositionPatient[2] = 30.0 + 2.5 * 3 + 5.0 * number
    return images


def tilted(images: list[Dataset]) -> list[Dataset]:
    """A gantry that leans by 15 degrees while the table moves along z."""
    lean = np.radians(15.0)
    for image in images:
        image.ImageOrientationPatient = [
            1,
            0,
            0,
            0,
            round(np.cos(lean), 6),
            -round(np.sin(lean), 6),
        ]
    return images


def with_localizer(images: list[Dataset]) -> list[Dataset]:
    """The topogram comes in the series of the slices."""
    topogram = images.pop()
    topogram.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    topogram.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    return [topogram, *images]


def with_companions(images: list[Dataset]) -> list[Dataset]:
    """A secondary capture and a dose report come in the series of the slices."""
    capture, dose = images.pop(), images.pop()
    for image, sop_class in (
        (capture, SecondaryCaptureImageStorage),
        (dose, XRayRadiationDoseSRStorage),
    ):
        image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = sop_class
    del dose.PixelData
    return [dose, *images, capture]


def multi_frame(images: list[Dataset]) -> list[Dataset]:
    """The slices as frames of one instance, in no order, as Enhanced CT Image Storage."""
    shuffled = [images[n] for n in (4, 1, 7, 0, 3, 6, 2, 5)]
    enhanced = LegacyConvertedEnhancedCTImage(
        shuffled,
        series_instance_uid=derive("enhanced", images[0].SeriesInstanceUID),
        series_number=2,
        sop_instance_uid=derive("enhanced instance", images[0].SeriesInstanceUID),
        instance_number=1,
    )
    enhanced.SOPClassUID = EnhancedCTImageStorage
    enhanced.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    enhanced.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return [enhanced]


def named(character_set: str, name: str) -> Edit:
    """Patient's Name in a character set (PS3.3 C.12.1.1.2)."""
    terms = ["", character_set] if character_set.startswith("ISO 2022") else character_set
    return all_of(SpecificCharacterSet=terms, PatientName=name)


def _all_alike(images: list[Dataset]) -> list[Dataset]:
    for image in images:
        image.PixelData = htj2k_image().tobytes()
        image.BitsStored, image.HighBit = 16, 15
    return images


_HTJ2K_HU = np.broadcast_to(htj2k_image() - np.float32(1024), SHAPE)
_PADDED = ATTENUATION.copy()
_PADDED[:, :3, :3] = LOWEST_HU
_COARSE = (np.rint((ATTENUATION + 1000) / 8) * 8 - 1000).astype(np.float32)


def _encoded() -> list[Case]:
    """No more slices than needed: each is a call of an encoder."""
    unsigned = [Case(e.syntax.name, without(5, 6, 7), e, ATTENUATION[:5]) for e in ENCODINGS]
    signed = [
        Case(f"{e.syntax.name}, signed", few_signed, e, ATTENUATION[:5])
        for e in ENCODINGS
        if e.syntax.is_compressed and not e.tolerance
    ]
    return unsigned + signed


CASES = [
    *_encoded(),
    Case("HTJ2K", _all_alike, HTJ2K, _HTJ2K_HU),
    Case("no decoder", encoding=UNDECODABLE, says="cannot be decoded (JPEG 2000 Part 2"),
    Case("8 bits", stored_as("<u1", 8, slope=8, intercept=-1000), hu=_COARSE),
    Case("16 bits unsigned", stored_as("<u2", 16, intercept=-8192), hu=ATTENUATION),
    Case("16 bits signed", stored_as("<i2", 16, intercept=0), hu=ATTENUATION),
    Case("12 bits signed", stored_as("<i2", 12, intercept=0), hu=ATTENUATION),
    Case("12 bits signed, short sign", signed_without_sign, hu=ATTENUATION),
    Case("overlay in the unused bits", stored_as("<u2", 12, unused=0xA000), hu=ATTENUATION),
    Case(
        "overlay in the unused bits, JPEG-LS",
        stored_as("<u2", 12, unused=0xA000),
        next(e for e in ENCODINGS if e.syntax.name.startswith("JPEG-LS Lossless")),
        ATTENUATION,
    ),
    Case("half units", stored_as("<u2", 16, slope=0.5), hu=ATTENUATION),
    Case("another slope for each", another_slope_for_each, hu=ATTENUATION),
    Case("padding", padded, hu=_PADDED),
    Case("no intercept", without_rescale, says="Rescale Slope 1 and Intercept None"),
    Case("no HU", all_of(RescaleType="MGML"), says="MGML, not HU"),
    Case("a slice is missing", without(4), says="missing or unevenly spaced: 5.00 mm"),
    Case("mixed spacing", sparser, says="missing or unevenly spaced"),
    Case("gantry tilt", tilted, hu=ATTENUATION),
    Case("localizer inside", with_localizer, hu=ATTENUATION[:7], says="is a localizer"),
    Case("companions inside", with_companions, hu=ATTENUATION[:6]),
    Case("only localizers", all_of(ImageType=["A", "B", "LOCALIZER"]), says="not for this plugin"),
    Case("duplicate position", edited(0, ImagePositionPatient=[-100.0, -50.0, 32.5]),
         hu=ATTENUATION[[0, *range(2, 8)]], says="lies in the same position"),
    Case("multi-frame", multi_frame, hu=ATTENUATION),
    *(Case(f"named in {term}", named(term, name), hu=ATTENUATION)
      for term, name in _CHARACTER_SETS.items()),
    Case("named in a set that nobody knows", named("ISO_IR 100", "Buc^Jerome"), UNKNOWN_SET,
         hu=ATTENUATION),
]  # fmt: skip
