"""The training loop of one worker. It knows no Ray: adapters hand it a `Worker` to speak through."""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from envs import ActVectorEnv, PuzzleTask
from hrm_rl.agents.act.engine import Stopping
from hrm_rl.agents.act.learner import Learner
from hrm_rl.agents.act.slots import slots_at, slots_of_rank
from hrm_rl.agents.tally import Tally, sum_over_ranks, summarise
from hrm_rl.config import Config
from hrm_rl.data.curriculum import Curriculum, CurriculumState, advance, counts_of, window_intervals
from hrm_rl.data.streams import Data, build_data
from hrm_rl.evaluation.evaluate import answers_by_segment, evaluate
from hrm_rl.evaluation.summaries import Summary, summaries
from hrm_rl.models import build_model
from hrm_rl.models.compiled import compile_blocks
from hrm_rl.models.graphs import SegmentGraphs
from hrm_rl.runs import checkpoint
from hrm_rl.runs.checkpoint import Agree, TrainingState, agree_alone
from hrm_rl.runs.warm_start import start_from
from hrm_rl.training.pictures import LiveFigures
from hrm_rl.training.telemetry import Telemetry
from hrm_rl.utils.console import evaluation_line, status_line

STATUS_SECONDS = 3.0
"""Least time between two status lines."""

PICTURED_BOARDS = 4


@dataclass(frozen=True)
class Progress:
    """An evaluation on the held-out puzzles, told after the checkpoint of its update, if there is one."""

    update: int
    metrics: Mapping[str, float]
    """By tag, the same on all ranks."""
    saved: Path | None
    """The checkpoint of this update."""
    update_seconds: float
    """Time spent in updates by this process."""


class Worker(Protocol):
    """What the loop needs from whoever runs it: Ray Train, this process, or a Tune trial."""

    rank: int
    world_size: int
    device: torch.device
    run_dir: Path
    curriculum: Curriculum

    def say(self, line: str) -> None:
        """Show a line to the user. Called on rank 0 only."""

    def stop_requested(self) -> bool:
        """Whether the user asked for an early end."""

    def evaluated(self, progress: Progress) -> None:
        """Hear of an evaluation. Called on all ranks. What it raises ends the run at once."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    update: int
    finished: bool
    """Whether train.max_updates was reached."""
    stage: int
    accuracy: float | None
    """Held-out exact accuracy of the last evaluation."""
    solved: float | None
    """Share of the held-out puzzles that it solved by the task's rule."""
    best_solved: float | None
    """The largest such share of any evaluation."""
    segments_mean: float | None
    seconds: float
    """Time spent in the loop, from the first update of this process."""


def use_threads(count: int) -> None:
    """Give this process `count` CPU threads, no time to denormal numbers, and memory that it keeps."""
    torch.set_num_threads(count)
    torch.set_flush_denormal(True)
    keep_freed_memory()


def keep_freed_memory() -> None:
    """Let malloc keep what is freed for the next update, where it is glibc's. As it comes, it hands large blocks back
    to the system, which clears every page of them before it gives them out again. Blocks above 32 MiB, the most that
    can be asked for, still go back."""
    trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of malloc.h
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(mmap_threshold, 32 * 2**20)


def build_learner(config: Config, data: Data, device: torch.device, rank: int, world_size: int) -> Learner:
    """The learner of one worker, its slots not started yet."""
    env = ActVectorEnv(
        data.task,
        data.source,
        num_envs=slots_of_rank(slots_at(1, config.train, world_size), rank, world_size),
        halt_max_steps=config.halting.halt_max_steps,
        segment_cost=config.env.segment_cost,
    )
    torch.manual_seed(config.seed)  # the same weights on every rank
    model = build_model(config.model, data.task.vocab_size, data.task.coordinates(), data.identifiers)
    learner = Learner(model, env, config, device, rank, world_size)
    on_cuda = device.type == "cuda"
    if config.train.compile == "on" or (config.train.compile == "auto" and on_cuda):
        learner.not_compiled = compile_blocks(model, device)
    if on_cuda and world_size == 1 and can_record(config):
        model.graphs = SegmentGraphs(model)
    return learner


def can_record(config: Config) -> bool:
    """Whether segments are to be recorded and every update is one pass forward and one backward over the same number
    of slots: a recorded backward pass leaves the gradients where the next one writes its own."""
    train = config.train
    one_pass = config.halting.q_target != "lambda" and train.micro_batches == 1
    return train.cuda_graphs and one_pass and not train.batch_warmup_updates


def agree_over_ranks(world_size: int, device: torch.device) -> Agree:
    """Exchange of errors between ranks. Only their number travels; the text is known where it happened."""
    if world_size == 1:
        return agree_alone

    def agree(error: str | None) -> list[str]:
        failed = sum_over_ranks(np.array([float(error is not None)]), device)[0]
        return [error or "another worker could not write its part"] if failed else []

    return agree


class Trainer:
    """One worker's run: learner, curriculum, telemetry and checkpoints, kept in step with the other ranks."""

    def __init__(self, config: Config, worker: Worker, keep: int = checkpoint.KEEP_LAST):
        """keep: last checkpoints that are kept beside the best."""
        self.config = config
        self.keep = keep
        self.update_seconds = 0.0
        self.worker = worker
        if worker.device.type == "cuda":
            torch.set_float32_matmul_precision("high")  # TF32
        self.data = build_data(config, worker.rank, worker.world_size)
        self.learner = build_learner(config, self.data, worker.device, worker.rank, worker.world_size)
        if self.learner.not_compiled:
            self._say(self.learner.not_compiled)
        self.agree = agree_over_ranks(worker.world_size, worker.device)
        self.checkpoints = worker.run_dir / "checkpoints"
        self.curriculum = CurriculumState()
        """The last answer of the curriculum that was acted upon."""
        self.pending = CurriculumState()
        """Its next answer, worked out here: a checkpoint must not wait for a call that only some ranks have an
        answer to, since the actor may have died in between."""
        self.metrics: dict[str, float] = {}
        """Of the last evaluation."""
        self.evaluated_at = -1
        self.saved_at = -1
        self.best_score: float | None = None
        self.stopping = False
        self.figures = LiveFigures()
        self._resume()
        self.telemetry = Telemetry(worker.run_dir, config, self.learner.updates) if worker.rank == 0 else None

    @property
    def every(self) -> int:
        return self.config.train.log_every

    def _resume(self) -> None:
        """Go on from the newest undamaged checkpoint of this run, if it has one."""
        update = self._agreed_checkpoint()
        if update < 0:
            self._start_from()
            self.learner.start()
            return
        path = self.checkpoints / f"update-{update:08d}"
        worker = self.worker
        state = checkpoint.load(path, self.learner, worker.rank, worker.world_size)
        self.curriculum = replace(state.curriculum, stage=state.stage)
        self.pending = state.curriculum
        worker.curriculum.resume(self.pending)
        self.saved_at = update
        best = checkpoint.best(self.checkpoints, newest=path)
        self.best_score = checkpoint.score(best) if best else None
        if not state.world_size:
            self._say("from another trial's checkpoint, with settings of its own; slots begin anew")
        elif state.world_size != worker.world_size:
            self._say(
                f"{state.world_size} -> {worker.world_size} workers: weights and optimisers resume, slots begin anew"
            )
        self._say(f"resuming from update {update}")

    def _start_from(self) -> None:
        folder, averaged = self.config.train.init_from, self.learner.averaged
        if folder is not None:
            start_from(folder, self.learner.model)
            if averaged is not None:
                averaged.begin()

    def _agreed_checkpoint(self) -> int:
        """The update of the checkpoint that all ranks resume from, chosen by rank 0; -1 for none."""
        update = 0.0
        if self.worker.rank == 0:
            path = checkpoint.latest_sound(self.checkpoints, self._say)
            if path is not None:
                update = 1.0 + int(path.name.removeprefix("update-"))
        return int(sum_over_ranks(np.array([update]), self.worker.device)[0]) - 1

    def run(self) -> Outcome:
        """Train until train.max_updates or until the user asks to stop; either way end on a checkpoint."""
        try:
            return self._run()
        finally:
            if self.telemetry is not None:
                self.telemetry.close()
            self.data.source.close()

    def _run(self) -> Outcome:
        started, first = time.perf_counter(), self.learner.updates
        self._next_status = started
        total, train = self.config.train.max_updates, self.config.train
        while self.learner.updates < total and not self.stopping:
            began = time.perf_counter()
            self.learner.update()
            self.update_seconds += time.perf_counter() - began
            update = self.learner.updates
            if update % self.every == 0:
                self._end_interval(started, first)
            elif self.worker.world_size == 1:
                self.stopping = self.worker.stop_requested()
            due = update % train.checkpoint_every == 0 or update == total
            evaluated = update % train.eval_every == 0 or update == total
            if evaluated:
                due |= self._evaluate()
            if due:
                self._save()
            if evaluated:
                saved = self.checkpoints / f"update-{update:08d}" if due else None
                self.worker.evaluated(Progress(update, self.metrics, saved, self.update_seconds))
        if self.saved_at != self.learner.updates:
            self._save()
        return Outcome(
            update=self.learner.updates,
            finished=self.learner.updates >= total,
            stage=self.curriculum.stage,
            accuracy=self.metrics.get("eval/exact_accuracy"),
            solved=self.metrics.get("eval/solved"),
            best_solved=self.best_score,
            segments_mean=self.metrics.get("eval/segments_mean"),
            seconds=time.perf_counter() - started,
        )

    def _end_interval(self, started: float, first: int) -> None:
        """Share this interval's counts, hear the curriculum's answer to the one before, and report."""
        worker, learner = self.worker, self.learner
        learner.counts()
        counts = counts_of(learner.tally, self.config.curriculum)
        everyone = sum_over_ranks(
            np.append(learner.tally.vector(), float(worker.stop_requested())), worker.device
        )
        self.stopping = everyone[-1] > 0
        learner.tally.clear()

        answer = worker.curriculum.answer()
        if answer.stage != self.curriculum.stage:
            self._enter_stage(answer)
        self.curriculum = answer
        worker.curriculum.send(learner.updates // self.every, counts, known=answer)
        total = Tally(learner.tally.budget, learner.tally.values_continuing)
        total.load_vector(everyone[:-1])
        self.pending = advance(
            answer, counts_of(total, self.config.curriculum), self.config.curriculum, self.every
        )
        self._report(total, started, first)

    def _enter_stage(self, state: CurriculumState) -> None:
        self.data.source.set_level_weights(self.config.curriculum.weights(state.stage))
        self._say(
            f"update {self.learner.updates}: stage {state.stage + 1} of {len(self.config.curriculum.stages)} "
            f"({self.config.curriculum.stages[state.stage]})"
        )

    def _report(self, total: Tally, started: float, first: int) -> None:
        if self.telemetry is None:
            return
        update = self.learner.updates
        scalars = summarise(total, self.worker.world_size) | {
            "train/lr": self.learner.lr,
            "train/skipped_updates": total.sums["skipped_updates"] / self.worker.world_size,
            "curriculum/stage": float(self.curriculum.stage),
            "curriculum/rolling_accuracy": self.curriculum.rolling_accuracy,
            "curriculum/window_fill": len(self.curriculum.window)
            / window_intervals(self.config.curriculum, self.every),
        }
        self.telemetry.scalars(update, scalars)
        self.telemetry.segments_histogram(update, total.halted_after)
        now = time.perf_counter()
        if now >= self._next_status:
            self._next_status = now + STATUS_SECONDS
            left = (now - started) / (update - first) * (self.config.train.max_updates - update)
            stages = len(self.config.curriculum.stages)
            stage = f"{self.curriculum.stage + 1}/{stages}" if stages > 1 else None
            self._say(status_line(update, self.config.train.max_updates, stage, scalars, left))

    def _evaluate(self) -> bool:
        """Judge the weights that `train.eval_weights` names on the held-out puzzles. Returns whether more of them
        than ever before are solved."""
        began = time.perf_counter()
        learner, worker, held_out = self.learner, self.worker, self.data.held_out
        budget, task = self.config.halting.halt_max_steps, self.data.task
        loss_on = self.config.train.loss_on
        stopping = Stopping(budget, q_target=self.config.halting.q_target)
        with learner.evaluation_weights():
            mine = held_out.take(slice(worker.rank, None, worker.world_size))
            result = evaluate(learner.model, task, mine, stopping, think_on=True, loss_on=loss_on)
            if self.telemetry is not None:
                pictured = held_out.take(np.linspace(0, len(held_out) - 1, PICTURED_BOARDS).astype(int))
                answers = answers_by_segment(learner.model, task, pictured, budget, loss_on)
                self.telemetry.boards(learner.updates, task, pictured, answers)
                if self.figures.due(last=learner.updates == self.config.train.max_updates):
                    images = self.figures.draw(learner.model, task, held_out, self.config)
                    self.telemetry.figures(learner.updates, images)
        sums = result.sums(len(task.levels))
        sums = sum_over_ranks(sums.ravel(), worker.device).reshape(sums.shape)
        self.metrics = evaluation_scalars(sums, task)
        self.evaluated_at = learner.updates
        score = self.metrics["eval/solved"]
        improved = self.best_score is None or score > self.best_score
        if self.telemetry is not None:
            self.telemetry.scalars(learner.updates, self.metrics)
            self.telemetry.flush()
            self._say(evaluation_line(learner.updates, self.metrics, improved, time.perf_counter() - began))
        if improved:
            self.best_score = score
        return improved

    def _save(self) -> None:
        update = self.learner.updates
        state = TrainingState(
            update=update,
            skipped_in_a_row=self.learner.skipped_in_a_row,
            world_size=self.worker.world_size,
            stage=self.curriculum.stage,
            curriculum=self.pending,
            config=self.config,
            score=self.metrics["eval/solved"] if self.evaluated_at == update else None,
            loss_scale=(self.learner.loss_scale.value, self.learner.loss_scale.sound),
        )
        checkpoint.save(self.checkpoints, self.learner, state, self.worker.rank, self.agree, self.keep)
        self.saved_at = update

    def _say(self, line: str) -> None:
        if self.worker.rank == 0:
            self.worker.say(line)


def evaluation_scalars(sums: NDArray[np.float64], task: PuzzleTask) -> dict[str, float]:
    """Scalars, by TensorBoard tag, of `Evaluation.sums`."""
    total = Summary.of(sums.sum(axis=0), task.measures)
    out = {
        "eval/exact_accuracy": total.exact_accuracy,
        "eval/solved": total.solved,
        "eval/cell_accuracy": total.cell_accuracy,
        "eval/segments_mean": total.segments_mean,
    }
    out |= {f"eval/{name}": value for name, value in total.measures.items()}
    for level, summary in summaries(sums, task).items():
        out |= {
            f"eval/{level}/exact_accuracy": summary.exact_accuracy,
            f"eval/{level}/solved": summary.solved,
            f"eval/{level}/cell_accuracy": summary.cell_accuracy,
            f"eval/{level}/segments_mean": summary.segments_mean,
        }
        out |= {f"eval/{level}/{name}": value for name, value in summary.measures.items()}
    for k, accuracy in enumerate(total.accuracy_after_segment, start=1):
        out[f"eval/accuracy_after_segment/{k}"] = accuracy
    return out
