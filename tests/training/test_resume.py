"""A run that was interrupted and resumed ends as if nothing had happened: bit for bit,
with the same metrics."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from hrm_rl.config import Config
from hrm_rl.runs import selection
from hrm_rl.training.local import LocalWorker
from hrm_rl.training.loop import Trainer
from hrm_rl.training.worker import RunOutcome
from hrm_rl.utils.errors import UserError
from tests.helpers.tiny import assert_same, learner_tensors, make_decisive, metrics, tiny_config

# Intervals of 4 updates. The threshold of 0 graduates whenever a window of two intervals is full: after
# updates 8 and 16, acted upon one interval later.
CONFIG = tiny_config(
    model={"puzzle_emb_ndim": 16},
    optim={"name": "adam_atan2", "warmup_updates": 5, "lr_min_ratio": 0.1},
    halting={"halt_exploration_prob": 0.5, "exploration": "per_episode"},
    train={"max_updates": 22, "log_every": 4, "eval_every": 10, "checkpoint_every": 7},
    curriculum={
        "stages": ("easy=1", "easy=1,hard=1", "extreme=1"),
        "threshold": 0.0,
        "window": 8,
        "min_updates": 8,
        "min_episodes": 1,
    },
)


class Crash(Exception):
    """Stands for a killed process."""


class Run:
    """One process's part of a run: `Trainer` in a folder, ended early if asked."""

    def __init__(self, folder: Path, config: Config = CONFIG):
        self.said: list[str] = []
        self.worker = LocalWorker(config, folder, self.said.append)
        self.trainer = Trainer(config, self.worker)
        if not self.trainer.learner.updates:
            make_decisive(self.trainer.learner.model)

    def to_the_end(self) -> RunOutcome:
        return self.trainer.run()

    def stop_after(self, update: int) -> RunOutcome:
        """The user's Ctrl-C: ends with a checkpoint."""
        learner = self.trainer.learner
        self.worker.stop_requested = lambda: learner.updates >= update
        outcome = self.trainer.run()
        assert (outcome.update, outcome.finished) == (update, False)
        return outcome

    def stop_in_evaluation_of(self, update: int) -> RunOutcome:
        """The user's Ctrl-C in the middle of an evaluation: it is given up."""
        learner, looks = self.trainer.learner, list[int]()

        def hurried() -> bool:
            looks.append(learner.updates)
            if looks.count(update) == 2:  # after the first batch
                self.worker.stop()
            return self.worker.stop_requested()

        self.worker.is_hurried = hurried
        outcome = self.trainer.run()
        assert (outcome.update, outcome.finished) == (update, False)
        return outcome

    def crash_after(self, update: int) -> None:
        """A killed process: nothing is saved."""
        learner = self.trainer.learner
        real = learner.update

        def update_or_crash() -> None:
            if learner.updates == update:
                raise Crash
            real()

        learner.update = update_or_crash
        with pytest.raises(Crash):
            self.trainer.run()
        self.trainer.data.source.close()

    def end(self) -> dict[str, Any]:
        """Where the run stands, besides tensors."""
        learner = self.trainer.learner
        held = learner.env.state_arrays()
        return {
            "updates": learner.updates,
            "curriculum": self.worker.curriculum.answer(),
            "stage": self.trainer.curriculum.stage,
            "source": learner.env.source.state_dict(),
            "puzzles": {name: array.tolist() for name, array in held.items()},
            "best": self.trainer.best_score,
            "random": learner.generator.get_state().tolist(),
        }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    """The run that nobody interrupts."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("whole")
    run = Run(folder)
    run.to_the_end()
    return run, folder


def test_the_run_to_compare_with_graduates_halts_and_evaluates(whole: tuple[Run, Path]) -> None:
    run, folder = whole
    records = metrics(folder)
    stages = [(r["update"], r["curriculum/stage"]) for r in records if "curriculum/stage" in r]
    assert stages == [(4, 0), (8, 0), (12, 1), (16, 1), (20, 2)]
    assert [r["update"] for r in records if "eval/exact_accuracy" in r] == [10, 20, 22]
    assert any(0 < r.get("halting/forced_fraction", 0) < 1 for r in records)
    assert any(0 < r.get("halting/explored_fraction", 0) < 1 for r in records)
    assert run.end()["source"]["weights"] == {"easy": 0, "hard": 0, "extreme": 1}


def assert_same_end(resumed: Run, folder: Path, whole: tuple[Run, Path]) -> None:
    expected, expected_folder = whole
    assert resumed.end() == expected.end()
    assert_same(learner_tensors(resumed.trainer.learner), learner_tensors(expected.trainer.learner))
    assert metrics(folder) == metrics(expected_folder)


@pytest.mark.parametrize(
    "update",
    [
        pytest.param(3, id="before the first interval ends"),
        pytest.param(6, id="between intervals, before the curriculum graduates"),
        pytest.param(8, id="on the interval that graduates"),
        pytest.param(9, id="after graduating, before the stage is entered"),
        pytest.param(12, id="on the interval that enters the stage"),
        pytest.param(14, id="on a checkpoint"),
        pytest.param(18, id="after graduating again"),
        pytest.param(21, id="just before the end"),
    ],
)
def test_a_stopped_run_resumes_bit_for_bit(update: int, whole: tuple[Run, Path], tmp_path: Path) -> None:
    Run(tmp_path).stop_after(update)
    resumed = Run(tmp_path)
    assert resumed.trainer.learner.updates == update
    assert f"resuming from update {update}" in resumed.said
    outcome = resumed.to_the_end()
    assert (outcome.finished, outcome.update, outcome.stage) == (True, 22, 2)
    assert_same_end(resumed, tmp_path, whole)


def test_an_evaluation_that_was_given_up_is_made_up_for(whole: tuple[Run, Path], tmp_path: Path) -> None:
    Run(tmp_path).stop_in_evaluation_of(10)
    assert not any("eval/solved" in record for record in metrics(tmp_path))
    stopped_again = Run(tmp_path)
    stopped_again.worker.stop()  # before it has done anything: no update, and still owed
    assert stopped_again.to_the_end().update == 10
    resumed = Run(tmp_path)
    resumed.to_the_end()
    assert_same_end(resumed, tmp_path, whole)


def test_a_run_stopped_before_its_first_update_leaves_no_checkpoint_and_starts_anew(
    whole: tuple[Run, Path], tmp_path: Path
) -> None:
    stopped = Run(tmp_path)
    stopped.worker.stop()
    outcome = stopped.to_the_end()
    assert (outcome.update, outcome.finished) == (0, False)
    assert selection.checkpoints(tmp_path / "checkpoints") == []
    resumed = Run(tmp_path)
    resumed.to_the_end()
    assert_same_end(resumed, tmp_path, whole)


SEARCH = tiny_config(
    halting={"q_target": "lambda", "rollout_segments": 2, "q_lambda": 0.9, "discount": 0.9},
    search={"share": 0.75, "budget": 6, "assume_every": 1, "teacher_updates": 8},
    train={"max_updates": 12, "log_every": 4, "eval_every": 6, "checkpoint_every": 5},
    curriculum={"stages": ("extreme=1",)},
)


def test_an_agent_that_searches_resumes_bit_for_bit_and_is_judged_by_its_search(tmp_path: Path) -> None:
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    whole = Run(straight, SEARCH)
    whole.to_the_end()
    Run(resumed, SEARCH).stop_after(7)
    again = Run(resumed, SEARCH)
    again.to_the_end()
    assert_same_end(again, resumed, (whole, straight))
    records = metrics(straight)
    assert any(record.get("search/starts_over", 0) > 0 for record in records)
    evaluated = [record for record in records if "eval/solved" in record]
    assert [record["update"] for record in evaluated] == [6, 12]
    for record in evaluated:
        assert "eval/accuracy_after_segment/6" in record, "the budget of the search"
        assert "eval/without_search/accuracy_after_segment/3" in record, "that of halting"


@pytest.mark.parametrize("update", [5, 13, 19])
def test_a_killed_run_resumes_bit_for_bit_from_its_last_checkpoint(
    update: int, whole: tuple[Run, Path], tmp_path: Path
) -> None:
    Run(tmp_path).crash_after(update)
    saved = [int(p.name.removeprefix("update-")) for p in selection.checkpoints(tmp_path / "checkpoints")]
    resumed = Run(tmp_path)
    if not saved:
        assert resumed.trainer.learner.updates == 0
    else:
        assert resumed.trainer.learner.updates == saved[0] <= update
    resumed.to_the_end()
    assert_same_end(resumed, tmp_path, whole)


def test_a_run_interrupted_at_every_other_update_ends_the_same(
    whole: tuple[Run, Path], tmp_path: Path
) -> None:
    for update in range(2, 22, 2):
        Run(tmp_path).stop_after(update)
    resumed = Run(tmp_path)
    resumed.to_the_end()
    assert_same_end(resumed, tmp_path, whole)


def test_evaluations_do_not_change_training(whole: tuple[Run, Path], tmp_path: Path) -> None:
    other = Run(tmp_path, tiny_config_like(CONFIG, eval_every=3))
    other.to_the_end()
    assert_same(learner_tensors(other.trainer.learner), learner_tensors(whole[0].trainer.learner))


def tiny_config_like(config: Config, **train: Any) -> Config:
    values = config.model_dump()
    values["train"] |= train
    return Config.model_validate(values)


@pytest.mark.parametrize("change", [{"eval_every": 4}, {"checkpoint_every": 3}])
def test_intervals_of_evaluation_and_checkpoints_may_change_on_resuming(
    change: dict[str, int], whole: tuple[Run, Path], tmp_path: Path
) -> None:
    Run(tmp_path).stop_after(9)
    resumed = Run(tmp_path, tiny_config_like(CONFIG, **change))
    resumed.to_the_end()
    assert_same(learner_tensors(resumed.trainer.learner), learner_tensors(whole[0].trainer.learner))
    assert resumed.end()["curriculum"] == whole[0].end()["curriculum"]


def test_interval_of_the_curriculum_may_not_change_on_resuming(tmp_path: Path) -> None:
    Run(tmp_path).stop_after(9)
    with pytest.raises(UserError, match=r"another configuration: train\.log_every: 4 -> 5 "):
        Run(tmp_path, tiny_config_like(CONFIG, log_every=5))


def test_a_finished_run_trains_on_with_more_updates(tmp_path: Path) -> None:
    short = tiny_config(train={"max_updates": 4, "eval_every": 4})
    Run(tmp_path, short).to_the_end()
    again = Run(tmp_path, short)
    assert again.to_the_end().update == 4
    longer = Run(tmp_path, tiny_config_like(short, max_updates=8))
    outcome = longer.to_the_end()
    assert (outcome.update, outcome.finished) == (8, True)
    assert [r["update"] for r in metrics(tmp_path)] == [4, 4, 8, 8]


def test_another_number_of_workers_keeps_weights_and_stage_and_starts_the_slots_anew(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.stop_after(14)
    saved = learner_tensors(run.trainer.learner)
    path = selection.checkpoints(tmp_path / "checkpoints")[0]
    edit_state(path, world_size=3)
    resumed = Run(tmp_path)
    found = learner_tensors(resumed.trainer.learner)
    for name in saved:
        assert name.startswith("carry") or torch.equal(found[name], saved[name]), name
    assert (resumed.trainer.learner.env.state_arrays()["segment"] == 0).all()
    initial = resumed.trainer.learner.model.initial_carry(4)
    assert torch.equal(resumed.trainer.learner.slots.carry.z_h, initial.z_h)
    assert resumed.end()["source"]["weights"] == {"easy": 1, "hard": 1, "extreme": 0}
    held, first = (
        resumed.trainer.learner.env.state_arrays(),
        Run(tmp_path / "new").trainer.learner.env.state_arrays(),
    )
    assert not (held["inputs"] == first["inputs"]).all(-1).any(), (
        "the stream began again with its first puzzles"
    )
    assert any(line.startswith("3 -> 1 workers") for line in resumed.said)
    assert resumed.to_the_end().stage == 2


def edit_state(path: Path, **changes: Any) -> None:
    """Change state.json of a checkpoint and its manifest with it."""
    values = json.loads((path / "state.json").read_text()) | changes
    (path / "state.json").write_text(json.dumps(values))
    manifest = json.loads((path / "manifest.json").read_text())
    content = (path / "state.json").read_bytes()
    manifest["state.json"] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (path / "manifest.json").write_text(json.dumps(manifest))


def test_slots_that_begin_anew_hold_puzzles_of_the_present_stage(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.stop_after(21)
    edit_state(selection.checkpoints(tmp_path / "checkpoints")[0], world_size=2)
    resumed = Run(tmp_path)
    assert CONFIG.curriculum.stages[resumed.trainer.curriculum.stage] == "extreme=1"
    extreme = resumed.trainer.data.task.levels.index("extreme")
    assert (resumed.trainer.learner.env.state_arrays()["level"] == extreme).all()
