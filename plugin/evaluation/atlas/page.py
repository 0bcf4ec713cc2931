"""A data set as pictures and one page."""

from __future__ import annotations

from collections import Counter
from io import BytesIO
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from plugin.datasets.errors import InvalidDataset
from plugin.errors import UnsuitableSeries
from plugin.evaluation import html
from plugin.evaluation.atlas import plots
from plugin.evaluation.slices import SIDE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from plugin.evaluation.atlas.lesions import Lesion

#: Pictures side by side on the sheet.
ACROSS: Final = 6


def write(folder: Path, name: str, lesions: Sequence[Lesion], most: int) -> list[Path]:
    """`atlas.png`, `sizes.png`, `types.png`, `sheet.png` of at most so many, and `index.html`.

    Returns the paths. There is no atlas of places that nobody gave, and no sheet without images.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawn = plots.draw(folder, lesions)
    remarks: list[str] = []
    shown = list(_pictures(lesions, most, remarks))
    paths = list(drawn.values())
    if shown:
        paths.append(folder / "sheet.png")
        _write_sheet(paths[-1], [png for _, png in shown])
    body = [*_overview(lesions), *_plots(drawn), *_sheet(shown), html.remarks(remarks)]
    paths.append(folder / "index.html")
    paths[-1].write_text(html.page(name, body), encoding="utf-8")
    return paths


def summary(lesions: Sequence[Lesion]) -> list[tuple[str, str]]:
    """Figures with their names."""
    long_mm = [each.axes_mm[0] for each in lesions if each.axes_mm]
    figures = [
        ("lesions", str(len(lesions))),
        ("patients", str(len({each.patient for each in lesions}))),
        ("with a known place", str(sum(each.location is not None for each in lesions))),
        ("with images at hand", str(sum(each.picture is not None for each in lesions))),
    ]
    if long_mm:
        low, middle, high = np.percentile(long_mm, (5, 50, 95))
        figures.append(
            ("long axis, median (5 to 95 %)", f"{middle:.1f} mm ({low:.1f} to {high:.1f})")
        )
    return figures


def _overview(lesions: Sequence[Lesion]) -> Iterator[str]:
    yield html.table(("", "data set"), summary(lesions))
    splits = list(dict.fromkeys(each.split for each in lesions))
    counts = Counter((each.label, each.split) for each in lesions)
    rows = [
        (label, *(str(counts[label, split]) for split in splits)) for label in plots.labels(lesions)
    ]
    yield html.table(("type", *splits), rows)


def _plots(drawn: dict[str, Path]) -> Iterator[str]:
    words = {
        "atlas": "Each lesion at its place in the body, seen from the front",
        "sizes": "Lesions by length of the long axis and by type",
        "types": "Lesions by type and by part of the data set",
    }
    for name, path in drawn.items():
        yield html.figure(path.read_bytes(), words[name])


def _pictures(
    lesions: Sequence[Lesion], most: int, remarks: list[str]
) -> Iterator[tuple[Lesion, bytes]]:
    """Lesions from all over the data set, with their key slices."""
    at_hand = [each for each in lesions if each.picture]
    chosen = np.linspace(0, len(at_hand) - 1, min(most, len(at_hand))).round().astype(int)
    for each in (at_hand[index] for index in chosen):
        if each.picture:
            try:
                yield each, each.picture()
            except (InvalidDataset, UnsuitableSeries) as error:
                remarks.append(f"{each.name}: {error}")


def _write_sheet(path: Path, pictures: Sequence[bytes]) -> None:
    across = min(ACROSS, len(pictures))
    sheet = Image.new("RGB", (across * SIDE, -(-len(pictures) // across) * SIDE))
    for index, png in enumerate(pictures):
        row, column = divmod(index, across)
        with Image.open(BytesIO(png)) as image:
            sheet.paste(image, (column * SIDE, row * SIDE))
    sheet.save(path)


def _sheet(shown: Sequence[tuple[Lesion, bytes]]) -> Iterator[str]:
    yield html.heading("Key slices")
    if not shown:
        yield html.paragraph("The images are not at hand.")
    yield html.sheet(
        html.figure(png, f"Key slice of {each.name}", f"{each.name}: {_size(each)}")
        for each, png in shown
    )


def _size(lesion: Lesion) -> str:
    if lesion.axes_mm is None:
        return lesion.label
    long_mm, short_mm = lesion.axes_mm
    return f"{lesion.label}, {long_mm:.1f} x {short_mm:.1f} mm"
