"""The training loop of one worker. It knows no Ray: adapters hand it a `Worker` to speak through."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import torch

from hrm_rl.agents.act.engine import answers_by_segment
from hrm_rl.agents.act.solver import Solver
from hrm_rl.agents.act.stopping import Stopping
from hrm_rl.agents.build import build_learner
from hrm_rl.agents.tally import Tally, sum_over_ranks, summarise
from hrm_rl.config import Config, CurriculumConfig
from hrm_rl.data.curriculum import Counts, CurriculumState, advance, window_intervals
from hrm_rl.data.streams import build_data
from hrm_rl.evaluation.scores import evaluate
from hrm_rl.evaluation.summaries import evaluation_scalars
from hrm_rl.runs import checkpoint, selection
from hrm_rl.runs.checkpoint import Agree, TrainingState, agree_alone
from hrm_rl.runs.warm_start import start_from
from hrm_rl.training.pictures import LiveFigures
from hrm_rl.training.telemetry import Telemetry
from hrm_rl.training.worker import Outcome, Progress, Worker
from hrm_rl.utils.console import evaluation_line, status_line

STATUS_SECONDS = 3.0
"""Least time between two status lines."""

PICTURED_BOARDS = 4


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

    def __init__(self, config: Config, worker: Worker, keep: int = selection.KEEP_LAST):
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
        """Its next answer, worked out here: a checkpoint must not wait for a call that only some ranks have
        an answer to, since the actor may have died in between."""
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
        best = selection.best(self.checkpoints, newest=path)
        self.best_score = selection.score(best) if best else None
        if not state.world_size:
            self._say("from another trial's checkpoint, with settings of its own; slots begin anew")
        elif state.world_size != worker.world_size:
            self._say(
                f"{state.world_size} -> {worker.world_size} workers: weights and optimisers resume, slots "
                "begin anew"
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
            path = selection.latest_sound(self.checkpoints, self._say)
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
        """Judge the weights that `train.eval_weights` names on the held-out puzzles. Returns whether more of
        them than ever before are solved."""
        began = time.perf_counter()
        learner, worker, held_out = self.learner, self.worker, self.data.held_out
        budget, task = self.config.halting.halt_max_steps, self.data.task
        solver = Solver.of(self.config, learner.model, task)
        with learner.evaluation_weights():
            mine = held_out.take(slice(worker.rank, None, worker.world_size))
            result = evaluate(solver, mine, Stopping(budget), think_on=True)
            if self.telemetry is not None:
                pictured = held_out.take(np.linspace(0, len(held_out) - 1, PICTURED_BOARDS).astype(int))
                answers = answers_by_segment(solver, pictured, budget)
                self.telemetry.boards(learner.updates, task, pictured, answers)
                if self.figures.due(last=learner.updates == self.config.train.max_updates):
                    images = self.figures.draw(solver, held_out, self.config)
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


def counts_of(tally: Tally, config: CurriculumConfig) -> Counts:
    """What the curriculum's metric makes of a tally."""
    right, total = {
        "exact": ("exact", "episodes"),
        "solved": ("solved", "episodes"),
        "blank_cells": ("blanks_right", "blanks"),
        "cells": ("cells_right", "cells"),
    }[config.metric]
    return Counts(tally.sums[right], tally.sums[total], tally.sums["episodes"])
