"""metrics.jsonl and TensorBoard hold the same values, and resuming leaves no trace of
updates that are redone."""

from __future__ import annotations

import itertools
import json
import math
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.summary.writer import event_file_writer

from envs import View, make_task
from hrm_rl.agents.tally import Tally, summarise
from hrm_rl.runs.folder import parse_metrics, read_metrics
from hrm_rl.training import telemetry as telemetry_module
from hrm_rl.training.local import LocalWorker
from hrm_rl.training.loop import Trainer
from hrm_rl.training.pictures import board_grid
from hrm_rl.training.telemetry import LAYOUT, Telemetry
from tests.helpers.tiny import TINY, make_decisive, puzzles, tiny_config

TASK = make_task("sudoku", size=4)


def read_events(run_dir: Path) -> EventAccumulator:
    events = EventAccumulator(str(run_dir / "tensorboard"), size_guidance=dict.fromkeys(
        ("scalars", "histograms", "images", "tensors", "compressedHistograms"), 0
    ))  # fmt: skip
    return events.Reload()


def scalars(run_dir: Path) -> dict[tuple[str, int], list[float]]:
    """Values by tag and update."""
    events, found = read_events(run_dir), {}
    for tag in events.Tags()["scalars"]:
        for event in events.Scalars(tag):
            found.setdefault((tag, event.step), []).append(event.value)
    return found


def lines(run_dir: Path) -> dict[tuple[str, int], list[float]]:
    """The same of metrics.jsonl."""
    found: dict[tuple[str, int], list[float]] = {}
    for record in read_metrics(run_dir / "metrics.jsonl"):
        update = record.pop("update")
        for tag, value in record.items():
            found.setdefault((tag, update), []).append(value)
    return found


def assert_same_values(run_dir: Path) -> None:
    events, records = scalars(run_dir), lines(run_dir)
    assert events.keys() == records.keys()
    for key, values in events.items():
        # TensorBoard keeps float32; the values of one key come one after the other in both.
        assert values == pytest.approx(records[key], rel=1e-5, abs=1e-12), key


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run with warm-up, halting and evaluations."""
    folder = tmp_path_factory.mktemp("run")
    config = tiny_config(
        optim={"lr": 1e-7, "warmup_updates": 1000},
        curriculum={"stages": ("easy=1", "easy=1,hard=1"), "threshold": 0.0, "window": 4, "min_updates": 0,
                    "min_episodes": 1},
    )  # fmt: skip
    trainer = Trainer(config, LocalWorker(config, folder, lambda line: None))
    make_decisive(trainer.learner.model)
    trainer.run()
    return folder


def test_a_run_records_the_same_values_in_both_places(run_dir: Path) -> None:
    assert_same_values(run_dir)
    assert len(lines(run_dir)) > 100


def test_small_values_are_recorded_with_all_their_digits(run_dir: Path) -> None:
    # Updates 4, 8 and 12 of 1,000 updates of warm-up to 1e-7.
    rates = [values[0] for (tag, _), values in lines(run_dir).items() if tag == "train/lr"]
    assert rates == pytest.approx([4e-10, 8e-10, 12e-10], rel=1e-5)


@pytest.mark.parametrize("value", [1e-9, 123456.789012, -3.25e-5, 0.0, 1.0, 2 / 3])
def test_values_keep_at_least_six_digits(value: float, tmp_path: Path) -> None:
    telemetry = Telemetry(tmp_path, TINY, 0)
    telemetry.scalars(3, {"a/b": value})
    telemetry.close()
    assert lines(tmp_path)["a/b", 3] == pytest.approx([value], rel=1e-6)


def test_every_line_is_json_that_any_reader_takes(tmp_path: Path) -> None:
    telemetry = Telemetry(tmp_path, TINY, 0)
    telemetry.scalars(1, {"train/loss": math.nan, "train/lm_loss": math.inf, "train/lr": 0.5})
    telemetry.close()

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
    record = json.loads(line, parse_constant=refuse)
    assert record == {"update": 1, "train/loss": None, "train/lm_loss": None, "train/lr": 0.5}


def test_tags_are_where_the_layout_looks_for_them(run_dir: Path) -> None:
    tally = Tally(3)
    tally.add(episodes=2, solved=1, segments=3, segments_solved=1)
    tags = {tag for tag, _ in lines(run_dir)} | summarise(tally, 1).keys()
    for chart, (_, patterns) in LAYOUT["Halting"].items():
        for pattern in patterns:
            assert any(re.search(pattern, tag) for tag in tags), f"{chart}: {pattern} matches nothing"


def test_halting_tab_is_written(run_dir: Path) -> None:
    events = read_events(run_dir)
    (event,) = events.Tensors("custom_scalars__config__")
    layout = layout_pb2.Layout.FromString(event.tensor_proto.string_val[0])
    assert [category.title for category in layout.category] == ["Halting"]
    assert [chart.title for chart in layout.category[0].chart] == list(LAYOUT["Halting"])
    assert "config/text_summary" in events.Tags()["tensors"]


def test_histogram_counts_the_episodes_of_an_interval_by_segments(tmp_path: Path) -> None:
    telemetry = Telemetry(tmp_path, TINY, 0)
    telemetry.segments_histogram(4, np.array([0.0, 5.0, 0.0, 2.0]))
    telemetry.segments_histogram(8, np.zeros(4))  # nothing ended: nothing to show
    telemetry.close()
    (event,) = read_events(tmp_path).Histograms("halting/segments")
    value = event.histogram_value
    assert event.step == 4
    assert (value.num, value.min, value.max, value.sum, value.sum_squares) == (7, 1, 3, 11, 23)
    assert list(zip(value.bucket_limit, value.bucket, strict=True)) == [(1.5, 5), (2.5, 0), (3.5, 2)]


def test_histogram_of_a_run_agrees_with_its_halt_fractions(run_dir: Path) -> None:
    records = lines(run_dir)
    events = read_events(run_dir).Histograms("halting/segments")
    assert [event.step for event in events] == [4, 8, 12]
    for event in events:
        shares = np.array(event.histogram_value.bucket) / event.histogram_value.num
        expected = [records[f"halting/halt_fraction/{k}", event.step][0] for k in (1, 2, 3)]
        assert shares == pytest.approx(expected, abs=1e-5)


def test_boards_are_pictured_at_every_evaluation(run_dir: Path) -> None:
    images = read_events(run_dir).Images("eval/boards")
    assert [image.step for image in images] == [6, 12]
    picture = TASK.render_rgb(View(puzzles(1).inputs[0]))
    assert images[0].height > 4 * picture.shape[0]
    assert images[0].width > 4 * picture.shape[1]


def test_board_grid_has_a_row_for_each_puzzle_and_a_column_for_each_segment_after_the_question() -> None:
    batch = puzzles(2)
    answers = np.stack([np.full_like(batch.solution, 2), batch.solution, batch.solution])
    grid = board_grid(TASK, batch, answers)
    height, width, _ = TASK.render_rgb(View(batch.inputs[0])).shape
    rows, columns = grid.shape[0] // 2, grid.shape[1] // 4
    assert rows >= height
    assert columns >= width

    def cell(row: int, column: int) -> np.ndarray:
        return grid[row * rows : (row + 1) * rows, column * columns : (column + 1) * columns]

    for row in range(2):
        question = TASK.render_rgb(View(batch.inputs[row]))
        wrong, right = (
            TASK.render_rgb(View(batch.inputs[row], answers[k][row], batch.solution[row])) for k in (0, 1)
        )
        for column, picture in enumerate((question, wrong, right, right)):
            top, left = (rows - height) // 2, (columns - width) // 2
            shown = cell(row, column)[top : top + height, left : left + width]
            assert (shown == picture).all(), (row, column)
    assert not (cell(0, 1) == cell(0, 2)).all()


@pytest.fixture(autouse=True)
def _each_process_at_its_own_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorBoard reads event files in the order of their names, which begin with the
    second of their making."""
    clock = itertools.count(1_700_000_000)
    monkeypatch.setattr(event_file_writer, "time", SimpleNamespace(time=lambda: next(clock)))


def record(run_dir: Path, start: int, stop: int, value: float) -> None:
    """A process that records updates start + 1 to stop."""
    telemetry = Telemetry(run_dir, TINY, start)
    for update in range(start + 1, stop + 1):
        telemetry.scalars(update, {"train/loss": value})
        telemetry.segments_histogram(update, np.array([0.0, value, 0.0, 0.0]))
    telemetry.close()


@pytest.mark.parametrize("checkpoint", [0, 2, 4])
def test_resuming_drops_what_was_recorded_after_the_checkpoint(checkpoint: int, tmp_path: Path) -> None:
    record(tmp_path, 0, 5, value=1.0)
    record(tmp_path, checkpoint, 6, value=2.0)
    expected = {update: [1.0 if update <= checkpoint else 2.0] for update in range(1, 7)}
    assert {update: values for (_, update), values in lines(tmp_path).items()} == expected
    assert {update: values for (_, update), values in scalars(tmp_path).items()} == expected
    histograms = read_events(tmp_path).Histograms("halting/segments")
    assert [(h.step, h.histogram_value.num) for h in histograms] == [
        (update, expected[update][0]) for update in expected
    ]


@pytest.mark.parametrize("piece", [1, 7, 40, 1 << 16])
def test_what_is_dropped_is_found_from_the_end_whatever_lies_there(
    piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry_module, "PIECE", piece)
    path = tmp_path / "metrics.jsonl"
    kept = '{"update": 1, "a": "\u00e9"}\nno record\n{"update": 2}\n{"update": 2, "eval/solved": 1.0}\n'
    for dropped in (
        "",
        "\n",
        '{"update": 3}\n{"update": 4}\n',
        "\u00e9\n{}\n",
        '{"update": 3}\n{"update": 2',
    ):
        path.write_text(kept + dropped)
        Telemetry(tmp_path, TINY, 2).close()
        assert path.read_text() == kept
    Telemetry(tmp_path, TINY, 0).close()
    assert path.read_text() == ""


def test_a_long_run_resumes_without_reading_what_it_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, read = tmp_path / "metrics.jsonl", []
    path.write_text("".join(f'{{"update": {update}}}\n' for update in range(1, 100_001)))
    monkeypatch.setattr(
        telemetry_module, "parse_metrics", lambda text: read.append(text) or parse_metrics(text)
    )
    Telemetry(tmp_path, TINY, 99_990).close()
    assert len(read) == 11
    assert read_metrics(path)[-1] == {"update": 99_990}


def test_a_line_cut_off_by_a_crash_is_dropped_and_the_rest_kept(tmp_path: Path) -> None:
    record(tmp_path, 0, 3, value=1.0)
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text()[:-5])
    assert [r["update"] for r in read_metrics(path)] == [1, 2]
    record(tmp_path, 2, 4, value=2.0)
    found: list[Any] = [(r["update"], r["train/loss"]) for r in read_metrics(path)]
    assert found == [(1, 1.0), (2, 1.0), (3, 2.0), (4, 2.0)]


def test_there_is_no_tensorboard_before_there_is_something_to_show(tmp_path: Path) -> None:
    telemetry = Telemetry(tmp_path, TINY, 0)
    telemetry.close()
    assert not (tmp_path / "tensorboard").exists()
