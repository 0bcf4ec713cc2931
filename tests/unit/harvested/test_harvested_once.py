from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from plugin.datasets import phantom
from plugin.datasets.harvested import (
    LeftOut,
    StudyOutcome,
)
from tests.harvested_cases import (
    build,
    by_hand,
    chest,
    contents,
    estimates,
    graphics_by_hand,
    mark,
    rows,
    save,
)
from tests.report_cases import encoded

if TYPE_CHECKING:
    from plugin.volume import Volume

#: More files than there are.
NEVER = 100_000
KILLED = """
import itertools, os, signal, sys
from pathlib import Path
from plugin.datasets.errors import InvalidDataset
from plugin.datasets.harvested import Builder

target, listed, moment = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
real, calls = os.fsync, itertools.count(1)

def fsync(descriptor):
    if next(calls) == moment:
        file = Path(f"/proc/self/fd/{descriptor}")
        if file.is_file():
            # What is not synced yet may be lost.
            os.truncate(file, 10)
        os.kill(os.getpid(), signal.SIGKILL)
    real(descriptor)

os.fsync = fsync
builder = Builder(target, b"a secret of tests, 32 bytes long", key_slices=True)
for line in listed.read_text().splitlines():
    builder.add_study([Path(part) for part in line.split(chr(9))])
builder.finish()
builder.close()
"""


@pytest.mark.parametrize("again", ["tracking UID", "geometry", "the same file"])
def test_a_bookmark_enters_once(
    again: str, images: Path, source: Volume, target: Path, tmp_path: Path
) -> None:
    one = mark(source)
    other = {
        "tracking UID": mark(source, 1, long_axis=((14.0, 34.0), (24.0, 34.0))),
        # Drawn the other way round, half a pixel off.
        "geometry": mark(source, 2, long_axis=((24.5, 30.0), (14.0, 30.5))),
        "the same file": one,
    }[again]
    first, second = (
        save(by_hand(source, each), tmp_path / str(i)) for i, each in enumerate((one, other))
    )
    outcomes, summary = build(
        target, [first, second, *images.iterdir()], [second, *images.iterdir()]
    )
    twice = 0 if again == "the same file" else 1
    assert [(each.new, each.known) for each in outcomes] == [(1, twice), (0, 1)]
    assert summary.bookmarks == 1


def test_another_lesion_on_the_same_slice_is_another_bookmark(
    images: Path, source: Volume, target: Path, tmp_path: Path
) -> None:
    other = mark(source, 2, long_axis=((14.0, 30.0), (26.0, 30.0)))
    report = save(by_hand(source, mark(source), other), tmp_path)
    outcomes, _ = build(target, [report, *images.iterdir()])
    assert outcomes[0].new == 2


def test_the_latest_revision_counts(
    images: Path, source: Volume, target: Path, tmp_path: Path
) -> None:
    early, late = (
        by_hand(source, mark(source, long_axis=((14.0, 30.0), (end, 30.0))), label=f"r{end}")
        for end in (24.0, 28.0)
    )
    early.ContentDate, late.ContentDate = "20230917", "20230920"
    paths = save(early, tmp_path, "z"), save(late, tmp_path, "a")
    outcomes, _ = build(target, [*paths, *images.iterdir()])
    assert (outcomes[0].new, outcomes[0].known) == (1, 1)
    assert rows(target)[0].diameters_px == (14, 6)
    # The same, where the later one comes in a later run.
    second = target.with_name("second")
    outcomes, summary = build(second, *([path, *images.iterdir()] for path in paths))
    assert [(each.new, each.known) for each in outcomes] == [(1, 0), (0, 1)]
    assert summary.bookmarks == 1
    assert rows(second) == rows(target)


def test_a_replaced_report_does_not_count(
    images: Path, source: Volume, target: Path, tmp_path: Path
) -> None:
    first = by_hand(source, mark(source), label="first")
    second = by_hand(source, mark(source, 2, 25), label="second")
    second.PredecessorDocumentsSequence = first.CurrentRequestedProcedureEvidenceSequence
    reference = second.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    reference.ReferencedSOPSequence = reference.ReferencedSOPSequence[:1]
    reference.ReferencedSOPSequence[0].ReferencedSOPInstanceUID = first.SOPInstanceUID
    paths = save(first, tmp_path, "a"), save(second, tmp_path, "b")
    outcomes, _ = build(target, [*paths, *images.iterdir()])
    assert outcomes[0] == StudyOutcome(
        1, 0, (LeftOut(first.SOPInstanceUID, "is replaced by a later revision"),)
    )
    assert rows(target)[0].key_slice == 15


def test_graphics_are_bookmarks_too_and_those_of_a_report_are_the_same(
    images: Path, source: Volume, target: Path, tmp_path: Path
) -> None:
    graphics = save(graphics_by_hand(source, mark(source), mark(source, 2, 25)), tmp_path, "pr")
    report = save(by_hand(source, mark(source, 3)), tmp_path)
    outcomes, _ = build(target, [graphics, *images.iterdir()], [report, *images.iterdir()])
    assert [(each.new, each.known) for each in outcomes] == [(2, 0), (0, 1)]
    assert [row.diameters_px for row in rows(target)] == [(10, 6), (10, 6)]
    assert {each["Source"] for each in estimates(target)} == {"presentation state"}


def test_bookmarks_of_programs_never_enter(
    images: Path, source: Volume, target: Path, tmp_path: Path
) -> None:
    ours = save(encoded(source, [mark(source)]), tmp_path)
    outcomes, summary = build(target, [ours, *images.iterdir()])
    assert (outcomes[0].new, summary.bookmarks) == (0, 0)
    assert [each.reason for each in outcomes[0].left_out] == ["a bookmark was made by a program"]


def test_graphics_without_an_author_that_show_what_a_program_reported_are_the_programs(
    images: Path, source: Volume, target: Path, tmp_path: Path
) -> None:
    report = save(encoded(source, [mark(source)]), tmp_path)
    state = graphics_by_hand(source, mark(source), mark(source, 2, 25))
    del state.ContentCreatorName
    (outcome,), _ = build(target, [save(state, tmp_path, "pr"), report, *images.iterdir()])
    assert outcome.new == 1
    assert rows(target)[0].key_slice == 15
    # A person who says so made it, whatever a program found.
    state.ContentCreatorName = "Pettigrew^Horace"
    state.SOPInstanceUID = "1.2.3"
    (outcome,), _ = build(target, [save(state, tmp_path, "pr"), report, *images.iterdir()])
    assert (outcome.new, outcome.known) == (1, 1)


def _studies(tmp_path: Path, count: int) -> list[list[Path]]:
    studies = []
    for seed in range(1, count + 1):
        spec = phantom.Spec(shape=(12, 64, 64), spacing=(6.0, 5.5, 5.5), seed=seed)
        volume = chest(tmp_path / f"ct {seed}", spec, PatientID=f"P{seed % 3}")
        marks = mark(volume, 10 * seed, 4), mark(volume, 10 * seed + 1, 8)
        report = save(by_hand(volume, *marks), tmp_path / f"sr {seed}")
        studies.append([report, *sorted((tmp_path / f"ct {seed}").iterdir())])
    return studies


def test_killed_at_any_moment_and_resumed_it_is_the_same(tmp_path: Path) -> None:
    """A process is killed before its n-th file is on the disk, and begun again each time."""
    studies = _studies(tmp_path, 2)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    build(whole, *studies, nifti=True, key_slices=True)
    script, listed = tmp_path / "harvest.py", tmp_path / "studies"
    script.write_text(KILLED)
    listed.write_text("\n".join("\t".join(map(str, study)) for study in studies))
    ends = [_run_until(script, killed, listed, moment) for moment in (5, 19, 26, NEVER)]
    assert ends == [-signal.SIGKILL] * 3 + [0]
    assert contents(killed) == contents(whole)
    assert len(rows(killed)) == 4
    assert {each.name for each in (tmp_path / "killed.private").iterdir()} == {"registry.sqlite"}


def _run_until(script: Path, target: Path, listed: Path, moment: int) -> int:
    root = Path(__file__).resolve().parents[3]
    return subprocess.run(
        [sys.executable, str(script), str(target), str(listed), str(moment)],
        env={**os.environ, "PYTHONPATH": str(root)},
        check=False,
    ).returncode


def test_killed_while_numbers_are_given_none_is_given_twice(
    images: Path, source: Volume, target: Path, tmp_path: Path
) -> None:
    """A patient whose numbers were given, but no file was written, keeps them."""
    report = save(by_hand(source, mark(source)), tmp_path)
    build(target, [report, *images.iterdir()])
    before = contents(target)
    with sqlite3.connect(target.with_name("set.private") / "registry.sqlite") as registry:
        registry.execute("DELETE FROM bookmark")
    for path in (target / "Images_png").rglob("*.png"):
        path.unlink()
    other = chest(tmp_path / "other", phantom.Spec(shape=(12, 64, 64), seed=9), PatientID="B")
    far = save(by_hand(other, mark(other, 7, 6)), tmp_path / "far")
    build(target, [far, *(tmp_path / "other").iterdir()], [report, *images.iterdir()])
    after = contents(target)
    assert {name: after[name] for name in before if name.endswith(".png")} == {
        name: data for name, data in before.items() if name.endswith(".png")
    }
    assert [row.patient for row in rows(target)] == [1, 2]
