"""The comparison of recipes: what is compared is equal but for the recipe, and results
outlive an interruption."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hrm_rl.agents.act.learner import Learner
from hrm_rl.benchmarks import recipes
from hrm_rl.benchmarks.recipes import BOARDS, NETWORKS, Measurement, configuration, measure
from hrm_rl.cli import recipes as recipes_command
from hrm_rl.config import differences
from hrm_rl.models import build_model, count_parameters
from hrm_rl.utils.errors import UserError


def measured(recipe: str, seed: int, accuracies: list[float]) -> Measurement:
    curve = [(50 * (i + 1), 2.0 * (i + 1), accuracy, 4.0) for i, accuracy in enumerate(accuracies)]
    return Measurement("4x4", recipe, seed, 30.0, "abc", curve)


@pytest.mark.parametrize("board", BOARDS)
def test_every_recipe_is_a_valid_configuration_that_differs_in_the_recipe_alone(board: str) -> None:
    names = recipes.recipes()
    assert len(names) == len(set(names)) == 32
    base = configuration(board, names[0], 0)
    for name in names:
        model, _, target = name.split("/")
        allowed = {"model.gradient", "halting.q_target", *(f"model.{key}" for key in NETWORKS[model])}
        if model.startswith("trm"):
            allowed.add("model.l_layers")  # its one network has the blocks of both of hrm's
        if target == "lambda":
            allowed.add("halting.rollout_segments")
        differing = {line.split(":")[0] for line in differences(base, configuration(board, name, 0))}
        assert differing <= allowed


def test_an_ablation_changes_one_thing_and_lets_all_see_as_many_segments() -> None:
    settings = {name.split("/")[3]: configuration("6x6", name, 0) for name in recipes.ablations()}
    assert list(settings) == list(recipes.CHANGES)
    seen = {change: c.train.max_updates * c.train.global_batch_size for change, c in settings.items()}
    assert set(seen.values()) == {recipes.ABLATION_UPDATES * 64}
    lengths = {"train.max_updates", "train.eval_every"}
    for change, config in settings.items():
        wanted = {
            f"{section}.{name}" for section, fields in recipes.CHANGES[change].items() for name in fields
        }
        found = {line.split(":")[0] for line in differences(settings["unchanged"], config)}
        assert found - lengths == wanted, change


def test_an_ablation_runs_all_its_updates_whatever_it_reaches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "ABLATION_UPDATES", 8)
    monkeypatch.setattr(recipes, "HELD_OUT", 8)
    monkeypatch.setitem(BOARDS, "4x4", replace(BOARDS["4x4"], goal=0.0))
    found = Measurement(**measure("4x4", f"{recipes.ABLATED}/batch-128", 0, 60.0))
    assert found.ablation == "batch-128"
    assert [point[0] for point in found.curve] == [1, 2, 3, 4]


def test_the_networks_have_about_as_many_parameters() -> None:
    from envs import make_task

    task = make_task("sudoku", size=4)
    sizes = {
        name: count_parameters(
            build_model(
                configuration("4x4", f"{name}/one_step/bootstrap", 0).model,
                task.vocab_size,
                task.coordinates(),
            )
        )
        for name in NETWORKS
    }
    assert sizes["hrm"] == sizes["trm"] == sizes["transformer"]
    assert sizes["trm-mlp"] < sizes["trm"]


def test_a_measurement_ends_with_its_time_or_with_the_goal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "EVALUATE_EVERY", 4)
    monkeypatch.setattr(recipes, "HELD_OUT", 8)
    found = Measurement(**measure("4x4", "trm-mlp/one_step/halt_only", 0, 1.5))
    assert [point[0] for point in found.curve] == [4 * (i + 1) for i in range(len(found.curve))]
    assert found.curve
    assert found.curve[-1][1] < 6
    monkeypatch.setitem(BOARDS, "4x4", replace(BOARDS["4x4"], goal=0.0))
    assert len(measure("4x4", "trm-mlp/one_step/halt_only", 0, 60.0)["curve"]) == 1


def test_results_are_read_back_and_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import json

    done = [
        measured("hrm/one_step/bootstrap", 0, [0.2, 0.95]),
        measured("hrm/one_step/bootstrap", 1, [0.1, 0.3, 0.91]),
        measured("trm/last_cycle/halt_only", 0, [0.4]),
        measured(f"{recipes.ABLATED}/cosine", 0, [0.1, 0.5]),
        measured(f"{recipes.ABLATED}/cosine", 1, [0.1, 0.8]),
    ]
    path = tmp_path / "r.jsonl"
    path.write_text("".join(json.dumps(m.__dict__) + "\n" for m in done))
    args = [
        "--report",
        "--results",
        str(path),
        "--pictures",
        str(tmp_path),
        "--boards",
        "4x4",
        "--seconds",
        "30",
    ]
    assert recipes_command.main(args) == 0
    out = capsys.readouterr().out
    assert "| cosine | 2 | 100 | 65 % (50 % to 80 %) | 4 |" in out
    rows = [line for line in out.splitlines() if line.startswith("| `")]
    assert len(rows) == 2
    assert rows[0].startswith(
        "| `hrm/one_step/bootstrap` | 2 | 2 | 125 (100 to 150) | 5 (4 to 6) | 93 % (91 % to 95 %)"
    )
    assert rows[1].startswith("| `trm/last_cycle/halt_only` | 1 | 0 | - | - | 40 %")
    assert (tmp_path / "recipes-4x4.png").stat().st_size > 10_000
    assert (tmp_path / "halting-4x4.png").stat().st_size > 10_000


def test_what_is_missing_is_measured_and_results_of_another_limit_are_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str, int, float]] = []

    class Pool:
        """Measures at once, in this process."""

        def __init__(self, *args: object, **kwargs: object) -> None: ...
        def __enter__(self) -> Pool:
            return self

        def __exit__(self, *error: object) -> None: ...
        def submit(self, measure: object, *what: Any) -> Future:
            asked.append(what)
            future: Future = Future()
            future.set_result({**measured(what[1], what[2], [0.5]).__dict__, "limit_s": what[3]})
            return future

    monkeypatch.setattr(recipes_command, "ProcessPoolExecutor", Pool)
    path = tmp_path / "new" / "r.jsonl"
    args = ["--results", str(path), "--pictures", str(tmp_path), "--boards", "4x4", "--seeds", "2"]
    args += ["--recipes", "hrm/one_step/bootstrap"]
    recipes_command.main([*args, "--seconds", "30"])
    assert asked == [("4x4", "hrm/one_step/bootstrap", seed, 30.0) for seed in (0, 1)]
    recipes_command.main([*args, "--seconds", "30"])
    assert len(asked) == 2
    recipes_command.main([*args, "--seconds", "20"])
    assert [what[3] for what in asked[2:]] == [20.0, 20.0]
    assert [m.limit_s for m in recipes_command.read_results(path)] == [20.0, 20.0]


def test_a_training_that_breaks_off_is_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: object) -> None:
        raise UserError("20 updates in a row")

    monkeypatch.setattr(Learner, "update", refuse)
    found = Measurement(**measure("4x4", "hrm/one_step/bootstrap", 0, 1.0))
    assert (found.failure, found.curve, found.best) == ("20 updates in a row", [], 0.0)


@pytest.mark.parametrize(
    ("args", "part"),
    [
        (["--boards", "5x5"], "unknown board '5x5'"),
        (["--recipes", "hrm/one_step/bootstap"], "did you mean 'hrm/one_step/bootstrap'"),
        (["--report", "--results", "gone.jsonl"], "holds no results"),
        (["--ablations", "--seconds", "1"], "leave out --recipes and --seconds"),
    ],
)
def test_a_wrong_flag_is_one_line(args: list[str], part: str) -> None:
    with pytest.raises(UserError) as refused:
        recipes_command.main(args)
    assert part in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_damaged_file_of_results_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text("{}\n")
    with pytest.raises(UserError, match="is no file of results"):
        recipes_command.read_results(path)
