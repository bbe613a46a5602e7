"""A sweep's report says the same as the sweep's folder, in a table, files and pictures."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import api_pb2, metadata

from hrm_rl.config import Config, flatten, load_config
from hrm_rl.sweeps.results.folder import SweepFolder
from hrm_rl.sweeps.results.importance import importances
from hrm_rl.sweeps.results.plots import draw_all, is_logarithmic
from hrm_rl.sweeps.results.reading import CurvePoint, SweepResults, Trial, read_sweep
from hrm_rl.sweeps.results.report import (
    COLUMNS,
    LIVE_ROWS,
    WIDTH,
    live_table,
    results_csv,
    write_best,
    write_report,
)
from tests.helpers.small_sweeps import LR, Q_LAMBDA, Q_TARGET, STAGES, add_trial, make_mixed_sweep, make_sweep
from tests.helpers.tiny import TINY


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder and its report."""
    folder = make_mixed_sweep(tmp_path_factory.mktemp("sweep") / "mixed")
    return folder, write_report(folder)


# What is written


def test_results_have_a_row_for_each_trial_and_a_column_for_each_setting(reported: tuple[Path, str]) -> None:
    folder, _ = reported
    rows = list(csv.DictReader(io.StringIO((folder / "results.csv").read_text())))
    assert list(rows[0]) == [*COLUMNS, LR, Q_TARGET, Q_LAMBDA, STAGES]
    assert [row["id"] for row in rows] == ["t0000", "t0001", "t0002", "t0003"]
    first, _, third, last = rows
    assert (float(first["score"]), first["score_at_update"], float(first["cost"])) == (0.9, "200", 2.5)
    assert json.loads(first[STAGES]) == ["easy=1", "easy=0.5,hard=0.5"]
    assert (first[Q_LAMBDA], third[Q_LAMBDA]) == ("", "0.5")
    assert (last["score"], last["attempts"], last["error"]) == ("", "3", "RuntimeError: loss is not finite")


def test_best_yaml_is_the_whole_configuration_of_the_best_trial_with_the_sweeps_budget(
    reported: tuple[Path, str],
) -> None:
    folder, _ = reported
    content = yaml.safe_load((folder / "best.yaml").read_text())
    assert flatten(content).keys() == flatten(Config().model_dump()).keys()
    values = TINY.model_dump()
    values["optim"]["lr"], values["train"]["max_updates"] = 1e-3, 500
    values["curriculum"]["stages"] = ("easy=1", "easy=0.5,hard=0.5")
    assert load_config(folder / "best.yaml", Config()) == Config.model_validate(values)


def test_a_sweep_over_max_updates_keeps_the_best_trials_own(tmp_path: Path) -> None:
    folder = make_sweep(tmp_path / "s", parameters=["train.max_updates"])
    add_trial(folder, "t0000", {"train.max_updates": 40}, [(40, 0.5, 1.0)])
    write_best(read_sweep(folder))
    assert load_config(folder / "best.yaml", Config()).train.max_updates == 40


def test_best_yaml_is_not_left_over_from_an_earlier_report(tmp_path: Path) -> None:
    folder = make_sweep(tmp_path / "s")
    (folder / "best.yaml").write_text("old: 1")
    (add_trial(folder, "t0000", {LR: 1e-3}, [(1, 0.5, 1.0)]) / "config.yaml").unlink()
    assert "no best.yaml: cannot read configuration" in write_best(read_sweep(folder))
    assert not (folder / "best.yaml").exists()


def test_pictures_are_drawn_or_their_absence_is_explained(reported: tuple[Path, str]) -> None:
    folder, text = reported
    assert {p.name for p in (folder / "pictures").iterdir()} == {"front.png", "slices.png", "curves.png"}
    assert "no picture importance.png: it takes at least 5 evaluated trials" in text
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in (folder / "pictures").iterdir())


def test_report_is_as_wide_as_a_terminal_and_marks_the_front(reported: tuple[Path, str]) -> None:
    folder, text = reported
    table, _, rest = text.partition("\n\n")
    assert max(len(line) for line in table.splitlines()) <= WIDTH
    rows = {line.split()[0]: line.split() for line in table.splitlines() if line.startswith("t0")}
    assert list(rows) == ["t0000*", "t0001*", "t0002", "t0003"]
    assert rows["t0000*"][1:5] == ["finished", "300", "90.0%", "2.50"]
    assert "1 running, 1 stopped, 1 finished, 1 failed" in table
    assert "80% of it in updates" in rest
    assert "t0003 failed after 3 attempts: RuntimeError: loss is not finite" in rest
    assert f"train_ray.py --config {folder}/best.yaml" in rest
    assert "…" not in table


def test_a_second_report_replaces_the_first(reported: tuple[Path, str]) -> None:
    folder, text = reported
    before = sorted(p.relative_to(folder) for p in folder.rglob("*") if "tensorboard" not in p.parts)
    assert write_report(folder) == text
    assert sorted(p.relative_to(folder) for p in folder.rglob("*") if "tensorboard" not in p.parts) == before
    for trial in read_sweep(folder).trials:
        assert len(list((folder / "tensorboard" / trial.id).iterdir())) == 1


def test_hparams_tab_finds_settings_score_and_status_of_each_trial(reported: tuple[Path, str]) -> None:
    folder, _ = reported
    assert sorted(p.name for p in (folder / "tensorboard").iterdir()) == ["t0000", "t0001", "t0002", "t0003"]
    found = {}
    for run in (folder / "tensorboard").iterdir():
        events = EventAccumulator(str(run)).Reload()
        found[run.name] = (events.PluginTagToContent(metadata.PLUGIN_NAME), events)
        experiment = metadata.parse_experiment_plugin_data(found[run.name][0][metadata.EXPERIMENT_TAG])
        assert {info.name for info in experiment.hparam_infos} == {LR, Q_TARGET, Q_LAMBDA, STAGES}
        assert {info.name.tag for info in experiment.metric_infos} == {"sweep/score", "sweep/cost"}
    content, events = found["t0000"]
    start = metadata.parse_session_start_info_plugin_data(content[metadata.SESSION_START_INFO_TAG])
    assert start.hparams[LR].number_value == 1e-3
    assert start.hparams[Q_TARGET].string_value == "bootstrap"
    assert json.loads(start.hparams[STAGES].string_value) == ["easy=1", "easy=0.5,hard=0.5"]
    assert Q_LAMBDA not in start.hparams
    (score,), (cost,) = events.Scalars("sweep/score"), events.Scalars("sweep/cost")
    assert (score.step, score.value, cost.value) == (200, pytest.approx(0.9), 2.5)

    def end(id: str) -> int:
        data = found[id][0][metadata.SESSION_END_INFO_TAG]
        return metadata.parse_session_end_info_plugin_data(data).status

    assert (end("t0000"), end("t0003")) == (api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE)
    assert metadata.SESSION_END_INFO_TAG not in found["t0002"][0]  # still running


# While it runs


def test_live_table_shows_every_running_trial_and_keeps_to_the_width() -> None:
    settings = {f"halting.rather_long_setting_{i}": "some value" for i in range(6)}
    trials = tuple(
        Trial(f"t{i:04d}", settings, "running" if i >= 18 else "finished", updates=i,
              best=CurvePoint(1, i / 40, 2.0) if i < 18 else None)
        for i in range(20)
    )  # fmt: skip
    sweep = SweepResults(
        SweepFolder(Path("s")),
        {},
        "f",
        "eval/exact_accuracy",
        "max",
        "eval/segments_mean",
        25,
        9,
        tuple(settings),
        trials,
    )
    screen = io.StringIO()
    Console(file=screen, width=WIDTH).print(live_table(sweep, 75.0))
    text = screen.getvalue()
    shown = [line.split()[0] for line in text.splitlines() if line.startswith("t00")]
    assert len(shown) == LIVE_ROWS
    assert shown[-2:] == ["t0018", "t0019"]
    assert shown[0] == "t0017*"
    assert "2 running, 18 finished, 5 to come, 1 min 15 s left" in text
    assert "…" not in text


# What the pictures say


def sweep_of(values: list[Any], scores: list[float], name: str = LR) -> SweepResults:
    evaluations = [CurvePoint(1, score, 1.0) for score in scores]
    trials = tuple(
        Trial(f"t{i:04d}", {name: value}, "finished", curve=(evaluation,), best=evaluation)
        for i, (value, evaluation) in enumerate(zip(values, evaluations, strict=True))
    )
    return SweepResults(
        SweepFolder(Path("s")), {}, "", "eval/solved", "max", "eval/segments_mean", 0, None, (name,), trials
    )


def test_importance_sees_an_optimum_in_the_middle_and_not_the_scale() -> None:
    values = [10.0**x for x in range(-8, 9)]
    (found,) = importances(sweep_of(values, [math.exp(-abs(math.log10(v))) for v in values]))
    assert found.explained > 0.9 > found.chance


def test_importance_of_a_category_is_all_where_it_decides_and_chance_says_when_that_is_little() -> None:
    (found,) = importances(sweep_of(["a", "b"] * 6, [0.1, 0.9] * 6))
    assert found.explained == pytest.approx(1.0)
    assert found.chance < 0.5
    (found,) = importances(sweep_of(["a", "b", "c", "d", "e", "f"], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]))
    assert found.explained == pytest.approx(found.chance) == pytest.approx(1.0)


@given(st.lists(st.tuples(st.sampled_from([1, 2.5, "x", None, (1, 2)]), st.floats(0, 1)), max_size=12))
def test_importance_is_a_share_whatever_the_trials_are(trials: list[tuple[Any, float]]) -> None:
    for found in importances(sweep_of([v for v, _ in trials], [s for _, s in trials])):
        assert 0 <= found.explained <= 1
        assert 0 <= found.chance <= 1


@pytest.mark.parametrize(
    ("values", "scores"),
    [
        ([1, 1, 2, 2, 4, 4], [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]),
        ([True, False, None] * 2, [0.5] * 6),
    ],
)
def test_all_pictures_are_drawn_of_flat_scores_and_of_every_kind_of_value(
    values: list[Any], scores: list[float], tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    drawn, missing = draw_all(sweep_of(values, scores), tmp_path)
    assert len(drawn) == 4
    assert missing == []
    assert not [str(warning.message) for warning in recwarn if "tight" in str(warning.message)]


def test_logarithmic_axes_are_those_of_logarithmic_distributions() -> None:
    content = {"space": {LR: {"dist": "loguniform"}, "a.b": {"dist": "uniform"}, "a.d": "damaged"}}
    assert is_logarithmic(content, LR, [1.0])
    for name in ("a.b", "a.c", "a.d"):
        assert not is_logarithmic(content, name, [1.0])
    assert not is_logarithmic(content, LR, [0.0, 1.0])


def test_results_do_not_depend_on_the_order_of_folders(tmp_path: Path) -> None:
    sweep = read_sweep(make_mixed_sweep(tmp_path / "s"))
    backwards = SweepResults(**{**sweep.__dict__, "trials": sweep.trials[::-1]})
    assert results_csv(backwards) == results_csv(sweep)
