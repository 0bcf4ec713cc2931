"""Judging findings against marks, and the figures that come of it."""

from __future__ import annotations

import json

import pytest

from plugin.evaluation.cases import KeyMark
from plugin.evaluation.froc import MISSED, Scan
from plugin.evaluation.judge import Verdict, by_deeplesion, by_luna16, judge
from plugin.evaluation.protocols import PROTOCOLS
from plugin.evaluation.record import to_record
from plugin.evaluation.summary import Summary, summarise
from plugin.evaluation.tables import rank_lines, summary_lines
from tests.evaluation_cases import Told, block, case, truth

PATCHES, LUNA16, DEEPLESION = PROTOCOLS


def _key(index: int, *box: float) -> KeyMark:
    column0, row0, column1, row1 = box
    return KeyMark(f"{index}.png", index, (column0, row0, column1, row1))


def test_each_lesion_meets_its_best_finding() -> None:
    # Blocks of 3 x 8 x 8 voxels; the centre of the last two lies in the first lesion.
    told = [block(0.7, (4, 20, 21)), block(0.9, (4, 50, 50)), block(0.8, (4, 20, 20))]
    marked = case("a", truth((5, 23.5, 23.5)), truth((5, 23.5, 60)))
    verdict = judge(Told(told), marked, by_luna16)
    assert verdict.scans == (Scan((0.8, MISSED), (0.9,), "a"),)
    first, second = verdict.meetings
    assert first.finding is not None
    assert (first.finding.rank, first.finding.score, first.findings) == (2, 0.8, 3)
    assert (second.finding, second.score, second.findings) == (None, MISSED, 3)


def test_a_key_slice_holds_only_what_reaches_it() -> None:
    # Slices 2 to 4 and 6 to 8; the marks are on slices 4 and 6, around the same block in plane.
    told = [block(0.9, (2, 20, 20)), block(0.5, (6, 20, 20)), block(0.7, (6, 40, 40))]
    box = (15.0, 15.0, 32.0, 32.0)
    marked = case("a", truth((6, 24, 24), key=_key(6, *box)), truth((4, 24, 24), key=_key(4, *box)))
    verdict = judge(Told(told), marked, by_deeplesion)
    assert verdict.scans == (Scan((0.9,), (), "a"), Scan((0.5,), (0.7,), "a"))
    assert [m.truth.key.name for m in verdict.meetings if m.truth.key] == ["4.png", "6.png"]
    assert [m.finding.rank for m in verdict.meetings if m.finding] == [1, 3]
    between = case("b", truth((5, 24, 24), key=_key(5, *box)))
    assert judge(Told(told), between, by_deeplesion).scans == (Scan((MISSED,), (), "b"),)


def test_boxes_are_drawn_around_the_axes_with_five_pixels() -> None:
    # The outline of 8 x 8 pixels from column 30 and row 12 reaches from 29.5 to 37.5 and from 11.5
    # to 19.5 with rounded corners; its drawn box is about 17.8 wide and high: 317 square pixels.
    told = [block(0.9, (5, 12, 30))]
    inside = case("a", truth((6, 16, 34), key=_key(6, 27, 9, 40, 22)))  # 169: 0.53
    smaller = case("b", truth((6, 16, 34), key=_key(6, 27.5, 9.5, 39.5, 21.5)))  # 144: 0.45
    assert judge(Told(told), inside, by_deeplesion).scans[0].hits == (0.9,)
    assert judge(Told(told), smaller, by_deeplesion).scans[0].hits == (MISSED,)


def test_two_marks_on_one_key_slice_are_one_image() -> None:
    told = [block(0.9, (5, 20, 20)), block(0.4, (5, 50, 50))]
    keys = _key(6, 15, 15, 32, 32), _key(6, 45, 45, 62, 62)
    marked = case("a", *(truth((6, 0, 0), key=key) for key in keys))
    assert judge(Told(told), marked, by_deeplesion).scans == (Scan((0.9, 0.4), (), "a"),)


def _verdict(name: str, score: float, long_mm: float, low: int = 20, kind: str = "lung") -> Verdict:
    told = [block(score, (4, low, 20))]
    return judge(Told(told), case(name, truth((5, 23.5, 23.5), long_mm, kind)), by_luna16)


def _free(*scores: float) -> Verdict:
    told = Told([block(score, (4, 2 + 3 * i, 2)) for i, score in enumerate(scores)])
    return judge(told, case("f"), by_luna16)


def test_a_summary_tells_sizes_and_types_apart_and_measures_what_is_found() -> None:
    marked = [_verdict("s", 0.9, 5.9), _verdict("l", 0.2, 25.0, kind="liver")]
    summary = summarise("d-1", PATCHES, marked, [_free(0.8, 0.7, 0.6, 0.5, 0.4)])
    everything = summary.everything
    values = [each.value for each in everything.sensitivity]
    assert values == [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 1.0]
    assert everything.mean_sensitivity.value == pytest.approx(4 / 7)
    assert {size: group.sensitivity[3].value for size, group in summary.by_size.items()} == {
        "below 6 mm": 1.0,
        "20 to 30 mm": 0.0,
    }
    assert {kind: group.lesions for kind, group in summary.by_type.items()} == {
        "liver": 1,
        "lung": 1,
    }
    # At 4 false positives a scan the large one is not found: its error does not count.
    assert everything.long_axis is not None
    assert everything.long_axis.count == 1
    assert summary.by_type["liver"].long_axis is None
    assert summary.threshold == 0.4
    assert (summary.scans, summary.place, summary.free[0].reported) == ((2, 1), "scan", 4)


@pytest.mark.parametrize(
    ("protocol", "scans", "place"),
    [(PATCHES, (1, 2), "scan"), (LUNA16, (1, 3), "scan"), (DEEPLESION, (1, 1), "image")],
)
def test_each_protocol_counts_false_positives_where_it_should(
    protocol: object, scans: tuple[int, int], place: str
) -> None:
    found = summarise("d-1", protocol, [_verdict("s", 0.9, 5.0)], [_free(0.8), _free()])  # type: ignore[arg-type]
    assert (found.scans, found.place) == (scans, place)
    assert len(found.free) == 2


def test_patches_without_lesion_free_scans_count_on_themselves() -> None:
    summary = summarise("d-1", PATCHES, [_verdict("s", 0.9, 5.0)], [])
    assert (summary.scans, summary.place) == ((1, 1), "patch")


def test_what_is_found_beside_lesions_is_told_where_it_is_not_counted() -> None:
    marked = [_verdict("s", 0.9, 5.0), _free(0.3, 0.7)]
    summary = summarise("d-1", PATCHES, marked, [_free(0.2)])
    assert summary.beside == (0.7, 0.3)
    (line,) = (each for each in summary_lines(summary) if "beside" in each)
    assert line.endswith("beside the lesions of 2 scans: 1 from score 0.5, the best 0.70, 0.30")
    assert summarise("d-1", PATCHES, marked, []).beside == ()


def _summary() -> Summary:
    marked = [_verdict("lung", 0.9, 10.0), _verdict("other", 0.8, 10.0, low=50)]
    return summarise("d-1", LUNA16, marked, [_free(0.5)])


def test_tables_name_every_figure() -> None:
    text = "\n".join(summary_lines(_summary()))
    assert "## d-1, protocol luna16: 2 lesions in 2; false positives counted on 3, per scan" in text
    assert "| all, 2 | 0.500 [0.000, 1.000] |" in text
    assert "Average precision: 0.500 [" in text
    # 8 x 8 mm measured with rounded corners, against 10 x 6.
    assert "| 10 to 20 mm | 1 | long |" in text
    assert "| f | 1 | 0.50 |" in text


def test_ranks_are_told_for_each_lesion() -> None:
    _, _, found, missed = rank_lines(_summary().meetings)
    assert found.startswith("| lung | lung | 10.0 x 6.0 | 1 | 1 | 0.90 | ")
    assert missed == "| other | lung | 10.0 x 6.0 | missed | 1 |  |  |"


def test_nothing_found_is_said() -> None:
    summary = summarise("d-1", LUNA16, [_verdict("a", 0.9, 10.0, low=50)], [])
    assert "Diameters: nothing found to compare" in list(summary_lines(summary))


def test_the_record_is_json_with_every_figure() -> None:
    record = json.loads(json.dumps(to_record(_summary()), allow_nan=False))
    assert record["everything"]["sensitivity"][0]["interval"] == [0.0, 1.0]
    assert record["everything"]["long_axis"]["upper_limit"]["value"] is None
    assert record["froc"]["thresholds"] == [0.9, 0.8, 0.5]
    assert record["precision_recall"]["precision"] == pytest.approx([1.0, 1 / 2, 1 / 3])
    assert record["free"] == [{"name": "f", "scores": [0.5]}]
    first, second = record["lesions"]
    assert (first["rank"], first["score"], first["axes_mm"]) == (1, 0.9, [10.0, 6.0])
    assert (second["rank"], second["measured_mm"]) == (None, None)
