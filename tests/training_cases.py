"""One lesion of known place and size, in every layout that training reads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from plugin.datasets.box_lists import write_coco, write_tensorbox
from plugin.datasets.boxes import BoxedImage, LabelledBox
from plugin.datasets.ct_image import Identity, ct_images
from plugin.datasets.deeplesion import Split
from plugin.datasets.deeplesion_table import write_table
from plugin.datasets.luna16 import Sphere, write_luna16
from plugin.datasets.voc import write_voc
from plugin.training.config import Source
from tests.deeplesion_cases import row, write_slices

if TYPE_CHECKING:
    from pathlib import Path

    from plugin.bookmark import Box

#: Of the volume (slice, row, column), mm.
SHAPE, SPACING = (20, 80, 84), (2.5, 0.9, 0.9)
#: Origin, mm in LPS (x, y, z).
ORIGIN = (-30.0, -40.0, 50.0)
#: Middle of the lesion in voxels (slice, row, column), and its diameter in every direction, mm.
CENTRE, DIAMETER_MM = (9, 42, 38), 18.0
#: What is inside and outside of it, HU.
LESION_HU, LUNG_HU = 40.0, -850.0
#: A patient, and a series, that hashes do not hold out.
PATIENT = "P3"


@dataclass(frozen=True)
class Written:
    """A data set on disk."""

    #: As a configuration would describe it.
    source: Source
    #: The same in TOML.
    toml: str


def volume() -> np.ndarray[Any, np.dtype[np.float32]]:
    """HU [slice, row, column], a sphere in noisy lung."""
    noise = np.random.default_rng(1).normal(0.0, 15.0, SHAPE)
    return np.asarray(np.where(inside(), LESION_HU, LUNG_HU) + noise, np.float32)


def inside() -> np.ndarray[Any, np.dtype[np.bool_]]:
    away = (np.indices(SHAPE).T - np.array(CENTRE)) * SPACING
    return np.asarray(np.linalg.norm(away, axis=-1).T <= DIAMETER_MM / 2)


def affine() -> np.ndarray[Any, np.dtype[np.float64]]:
    matrix = np.zeros((4, 4))
    matrix[[2, 1, 0], [0, 1, 2]] = SPACING
    matrix[:, 3] = (*ORIGIN, 1.0)
    return matrix


def write_series(folder: Path, seed: str = "training 1") -> tuple[str, list[str]]:
    """The volume as DICOM; its Series Instance UID and the SOP Instance UIDs by slice."""
    folder.mkdir(parents=True)
    identity = Identity("PHANTOM^TRAINING", PATIENT, seed, "Training")
    instances = list(ct_images(volume(), affine(), identity))
    for number, instance in enumerate(instances):
        instance.save_as(folder / f"{number:03d}.dcm", enforce_file_format=True)
    return str(instances[0].SeriesInstanceUID), [str(each.SOPInstanceUID) for each in instances]


def box_on(index: int) -> Box | None:
    """Outermost pixels of the lesion on a slice."""
    rows, columns = np.nonzero(inside()[index])
    if not len(rows):
        return None
    return float(columns.min()), float(rows.min()), float(columns.max()), float(rows.max())


def deeplesion(folder: Path, split: Split = Split.TRAIN) -> Written:
    """As NIH gives it and the node's harvest writes it: the long axis along x."""
    _, y, x = CENTRE
    half = DIAMETER_MM / SPACING[1] / 2
    first = x + 1.0, y + 1.0
    points = (
        first[0] - half, first[1], first[0] + half, first[1],
        first[0], first[1] - half, first[0], first[1] + half,
    )  # fmt: skip
    described = row(
        points,
        size=(SHAPE[2], SHAPE[1]),
        slice_range=(1, SHAPE[0]),
        key_slice=SHAPE[0] - CENTRE[0],
        spacing=(SPACING[2], SPACING[1], SPACING[0]),
        split=split,
    )
    write_slices(folder, described, volume()[::-1].astype(np.int16))
    write_table(folder / "DL_info.csv", [described])
    return Written(
        Source("deeplesion", folder), f'kind = "deeplesion"\nfolder = "{folder}"\nunmarked = 0.5\n'
    )


def series(folder: Path) -> Written:
    """`lesions.json` with box, axes and outlines."""
    write_series(folder / "series" / "one")
    z, y, x = CENTRE
    half = DIAMETER_MM / SPACING[1] / 2
    mark = {
        "key_slice": z,
        "key_bbox_px": box_on(z),
        "label": "nodule",
        "recist": {
            "long_mm": DIAMETER_MM,
            "short_mm": DIAMETER_MM,
            "long_px": [x - half, y, x + half, y],
        },
        "contours": [contour(index) for index in range(SHAPE[0]) if inside()[index].any()],
    }
    entry = {"series_dir": "series/one", "patient": PATIENT, "lesions": [mark]}
    (folder / "lesions.json").write_text(json.dumps([entry]))
    return Written(
        Source("series", folder, types={"nodule": "lung"}),
        f'kind = "series"\nfolder = "{folder}"\ncomplete = true\ntypes = {{ nodule = "lung" }}\n',
    )


def contour(index: int) -> dict[str, Any]:
    """The circle in which the lesion meets a slice."""
    away = (index - CENTRE[0]) * SPACING[0]
    radius = np.sqrt(max((DIAMETER_MM / 2) ** 2 - away**2, 0.01)) / SPACING[1]
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    points = [[CENTRE[2] + radius * np.cos(a), CENTRE[1] + radius * np.sin(a)] for a in angles]
    return {"slice": index, "points_px": points}


def lidc(folder: Path, readers: int = 2) -> Written:
    """Every reader outlines the lesion: pixels that lie just outside of it."""
    uid, instances = write_series(folder / "series" / "one")
    rois = "".join(
        _roi(index, instances[index]) for index in range(SHAPE[0]) if inside()[index].any()
    )
    nodule = f"<unblindedReadNodule><noduleID>1</noduleID>{_RATINGS}{rois}</unblindedReadNodule>"
    session = f"<readingSession>{nodule}</readingSession>"
    (folder / "lidc").mkdir()
    (folder / "lidc" / "1.xml").write_text(
        '<?xml version="1.0"?><LidcReadMessage xmlns="http://www.nih.gov"><ResponseHeader>'
        f"<SeriesInstanceUid>{uid}</SeriesInstanceUid></ResponseHeader>{session * readers}"
        "</LidcReadMessage>"
    )
    text = f'kind = "lidc"\nfolder = "{folder / "lidc"}"\nseries = "{folder / "series"}"\n'
    return Written(Source("lidc", folder / "lidc", series=folder / "series"), text)


_RATINGS = "<characteristics>" + "".join(
    f"<{name}>3</{name}>"
    for name in (
        "subtlety", "internalStructure", "calcification", "sphericity", "margin",
        "lobulation", "spiculation", "texture", "malignancy",
    )
) + "</characteristics>"  # fmt: skip


def _roi(index: int, uid: str) -> str:
    around = np.zeros(SHAPE[1:], bool)
    for shift in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        around |= np.roll(inside()[index], shift, (0, 1))
    pixels = np.argwhere(around & ~inside()[index])
    ordered = pixels[np.argsort(np.arctan2(*(pixels - np.array(CENTRE[1:])).T))]
    points = "".join(
        f"<edgeMap><xCoord>{x}</xCoord><yCoord>{y}</yCoord></edgeMap>" for y, x in ordered
    )
    z_mm = ORIGIN[2] + index * SPACING[0]
    return (
        f"<roi><imageZposition>{z_mm}</imageZposition><imageSOP_UID>{uid}</imageSOP_UID>"
        f"<inclusion>TRUE</inclusion>{points}</roi>"
    )


def luna16(folder: Path) -> Written:
    """`annotations.csv` beside `series/`."""
    uid, _ = write_series(folder / "series" / "one")
    x, y, z = (affine() @ [*CENTRE, 1.0])[:3].tolist()
    write_luna16(folder / "annotations.csv", [Sphere(uid, (x, y, z), DIAMETER_MM)])
    return Written(Source("luna16", folder), f'kind = "luna16"\nfolder = "{folder}"\n')


def coco(folder: Path) -> Written:
    return _listed(folder, "coco")


def tensorbox(folder: Path) -> Written:
    return _listed(folder, "tensorbox")


def voc(folder: Path) -> Written:
    return _listed(folder, "voc")


def _listed(folder: Path, kind: str) -> Written:
    """A box on every slice of the lesion; images are named for their instances."""
    _, instances = write_series(folder / "series" / "one")
    boxes = ((uid, box_on(index)) for index, uid in enumerate(instances))
    images = [
        BoxedImage(uid, (SHAPE[2], SHAPE[1]), (LabelledBox("nodule", box),))
        for uid, box in boxes
        if box is not None
    ]
    path = folder / f"boxes-{kind}"
    {"coco": write_coco, "tensorbox": write_tensorbox, "voc": write_voc}[kind](path, images)
    text = f'kind = "{kind}"\nfolder = "{path}"\nseries = "{folder / "series"}"\n'
    text += 'types = { nodule = "lung" }\n'
    return Written(Source(kind, path, series=folder / "series", types={"nodule": "lung"}), text)


#: Every layout.
LAYOUTS = (deeplesion, series, lidc, luna16, coco, tensorbox, voc)
