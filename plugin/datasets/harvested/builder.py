"""The walk from the files of a study to rows of a data set."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from plugin.datasets.deeplesion import Row
from plugin.datasets.deeplesion_folder import IMAGES
from plugin.datasets.deeplesion_images import write_nifti
from plugin.datasets.errors import InvalidDataset
from plugin.datasets.harvested import describe, persons, pseudonym
from plugin.datasets.harvested.entry import Entry, Origin
from plugin.datasets.harvested.errors import WrongSecret
from plugin.datasets.harvested.files import Files, write_png
from plugin.datasets.harvested.key_slice import Names, key_slice
from plugin.datasets.harvested.location import Lungs, find_lungs
from plugin.datasets.harvested.outcome import StudyOutcome
from plugin.datasets.harvested.registry import Mark, Registry, Window
from plugin.datasets.harvested.sources import BROKEN, read_sources
from plugin.datasets.harvested.stack import stack_around
from plugin.datasets.harvested.tables import write_tables
from plugin.errors import PluginError, UnsuitableSeries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from plugin.datasets.harvested.describe import Drawn, Told
    from plugin.datasets.harvested.outcome import Summary
    from plugin.datasets.harvested.readers import Marked
    from plugin.datasets.harvested.registry import Numbers
    from plugin.datasets.harvested.sources import Sources
    from plugin.datasets.harvested.stack import Axial, Stack
    from plugin.planes import Plane

#: Name of the private folder beside a data set: that of the data set with this at its end.
PRIVATE = ".private"
#: Folders of the sub-volumes and of the de-identified key slices.
VOLUMES, KEY_SLICES = "Images_nifti", "Key_slices"


@dataclass(frozen=True)
class _Found:
    """A bookmark on its slices."""

    marked: Marked
    mark: Mark
    stack: Stack
    #: Place of the key slice in the stack, and of the slices around it.
    index: int
    around: range
    drawn: Drawn
    told: Told
    lungs: Lungs

    @property
    def key(self) -> Axial:
        """The key slice."""
        return self.stack.slices[self.index]

    @property
    def step(self) -> float:
        """Distance of the slices, mm."""
        return self.stack.step or 0.0


class Builder:
    """Builds one data set, study by study; may be killed and begun again at any moment.

    `target` becomes the data set; the folder beside it whose name ends in `PRIVATE` holds the
    original identifiers and must not leave the house. `secret` keys everything that replaces
    them, and must stay the same. `nifti` also writes the slices around each bookmark as NIfTI
    (needs the extra `training`), `key_slices` each key slice as de-identified DICOM.

    Raises WrongSecret for a secret that is too short or not that of the data set, InvalidDataset
    when nibabel is missing.
    """

    def __init__(
        self, target: Path, secret: bytes, *, nifti: bool = True, key_slices: bool = False
    ) -> None:
        if len(secret) < pseudonym.SHORTEST_SECRET:
            raise WrongSecret(f"the secret has less than {pseudonym.SHORTEST_SECRET} bytes")
        if nifti and find_spec("nibabel") is None:
            raise InvalidDataset("NIfTI needs nibabel: install the extra `training`")
        self._target, self._secret = target, secret
        self._nifti, self._key_slices = nifti, key_slices
        private = target.with_name(target.name + PRIVATE)
        private.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.mkdir(exist_ok=True)
        self._registry = Registry(private, secret)
        self._files = Files(private)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the registry; what was added stays."""
        self._files.close()
        self._registry.close()

    def add_study(self, paths: Sequence[Path]) -> StudyOutcome:
        """Add the bookmarks of one study: its bookmark objects and CT images, in any order.

        The images may be a whole series, or some slices around each key slice. Of several
        revisions of a bookmark the latest counts. Never raises for what a file holds, but
        Unwritable when the disk fails; the study must then be added again.
        """
        sources = read_sources(paths)
        lungs: dict[tuple[str, str], Lungs] = {}
        new = known = 0
        for marked in sources.marked:
            try:
                entered = self._add(marked, sources, lungs)
            except (InvalidDataset, UnsuitableSeries, *BROKEN, ValueError) as error:
                sources.leave_out(marked.source, _reason(error))
                continue
            new, known = new + entered, known + (not entered)
        return StudyOutcome(new, known, tuple(dict.fromkeys(sources.left_out)))

    def finish(self) -> Summary:
        """Write the tables of all that was added so far, and count."""
        return write_tables(self._target, self._files, self._registry)

    def _add(self, marked: Marked, sources: Sources, lungs: dict[tuple[str, str], Lungs]) -> bool:
        """Whether a bookmark is new; a later revision of a known one takes its place."""
        planes = sources.planes.get(marked.bookmark.series_instance_uid, [])
        mark = _mark(marked)
        replaced = self._registry.find(mark)
        if replaced is not None and not self._registry.is_newer(replaced, mark):
            return False
        found = _find(marked, mark, planes, lungs)
        numbers = self._registry.number(_window(found))
        row = self._row(found, numbers)
        self._write(found, row)
        self._registry.record(mark, Entry(row, self._origin(found)), replaced)
        return replaced is None

    def _row(self, found: _Found, numbers: Numbers) -> Row:
        header = found.key.plane.header
        number = numbers.first + found.index - found.around.start
        series = f"{numbers.patient:06d}_{numbers.study:02d}_{numbers.series:02d}"
        return Row(
            file_name=f"{series}_{number:03d}.png",
            patient=numbers.patient,
            study=numbers.study,
            series=numbers.series,
            key_slice=number,
            measurement=found.drawn.measurement,
            box=found.drawn.box,
            diameters_px=found.drawn.diameters_px,
            location=found.told.whole_location,
            coarse_type=found.told.coarse_type,
            possibly_noisy=describe.is_noisy(found.drawn, found.marked, found.key),
            slice_range=(numbers.first, numbers.first + len(found.around) - 1),
            spacing=(*found.key.spacing, round(found.step, 4)),
            image_size=found.key.size,
            windows=describe.windows(header),
            gender=persons.gender(header),
            age=persons.age(header),
            split=pseudonym.split(self._secret, persons.part_key(header)),
        )

    def _origin(self, found: _Found) -> Origin:
        return Origin(
            source=found.marked.kind,
            author="person" if found.marked.by_person else "not stated",
            tracking_uid=pseudonym.uid(self._secret, found.mark.tracking_uid),
            location=found.told.location,
            location_basis=found.lungs.basis,
            type_basis=found.told.type_basis,
            spacing_basis="slices" if found.stack.step_measured else "header",
        )

    def _write(self, found: _Found, row: Row) -> None:
        """Write the files of a row that are not there yet."""
        images = self._target / IMAGES
        for number, index in enumerate(found.around, start=row.slice_range[0]):
            axial = found.stack.slices[index]
            path = images / row.series_name / f"{number:03d}.png"
            if not path.exists():
                self._files.write(path, partial(write_png, axial.hu()))
        volume = self._target / VOLUMES / f"{row.volume_name}.nii.gz"
        if self._nifti and not volume.exists():
            self._files.write(volume, lambda part: write_nifti(images, row, part.parent))
        path = self._target / KEY_SLICES / f"{row.series_name}_{row.key_slice:03d}.dcm"
        if self._key_slices and not path.exists():
            dataset = key_slice(found.key, row, self._names(found))
            self._files.write(path, lambda part: dataset.save_as(part, enforce_file_format=True))

    def _names(self, found: _Found) -> Names:
        header = found.key.plane.header
        return Names(
            secret=self._secret,
            study=str(header.StudyInstanceUID),
            series=str(header.SeriesInstanceUID),
            instance=_name(found.key.plane),
            frame_of_reference=str(header.get("FrameOfReferenceUID") or ""),
        )


def _find(
    marked: Marked, mark: Mark, planes: Sequence[Plane], lungs: dict[tuple[str, str], Lungs]
) -> _Found:
    """A bookmark on its slices. Raises InvalidDataset, UnsuitableSeries."""
    key = next((plane for plane in planes if _is_key(plane, marked)), None)
    if key is None:
        raise InvalidDataset("the key slice of a bookmark is not among the images")
    stack = stack_around(key, planes)
    if stack.step is None:
        raise InvalidDataset("the distance of the slices is not told")
    index = next(i for i, each in enumerate(stack.slices) if each.plane is key)
    axial = stack.slices[index]
    drawn = describe.draw(marked, axial)
    place = mark.series_uid, stack.kind
    if place not in lungs:
        lungs[place] = find_lungs(stack)
    told = describe.tell(drawn, marked, axial, lungs[place])
    return _Found(marked, mark, stack, index, stack.around(index), drawn, told, lungs[place])


def _is_key(plane: Plane, marked: Marked) -> bool:
    """Whether a bookmark was drawn on a plane; some writers number the frame of a single one."""
    bookmark = marked.bookmark
    frame = plane.frame_number
    same_frame = frame == bookmark.frame_number or (frame is None and bookmark.frame_number == 1)
    return plane.uid == bookmark.sop_instance_uid and same_frame


def _mark(marked: Marked) -> Mark:
    bookmark = marked.bookmark
    return Mark(
        series_uid=bookmark.series_instance_uid,
        tracking_uid=bookmark.tracking_uid,
        slice_uid=f"{bookmark.sop_instance_uid}#{bookmark.frame_number or 1}",
        axes=(bookmark.long_axis, bookmark.short_axis),
        made=marked.made,
    )


def _window(found: _Found) -> Window:
    slices = [found.stack.slices[index] for index in found.around]
    header = found.key.plane.header
    return Window(
        patient=persons.key(header),
        study_uid=str(header.StudyInstanceUID),
        series_uid=found.mark.series_uid,
        kind=found.stack.kind,
        slices=tuple(_name(each.plane) for each in slices),
        first=slices[0].height,
        head=found.stack.slices[0].height,
        step=found.step,
    )


def _name(plane: Plane) -> str:
    """What the registry calls a slice."""
    return plane.uid if plane.frame_number is None else f"{plane.uid}#{plane.frame_number}"


def _reason(error: Exception) -> str:
    """Why something did not enter; what others than this plugin raise may quote the file."""
    own = isinstance(error, PluginError)
    return str(error) if own else f"cannot be read ({type(error).__name__})"
