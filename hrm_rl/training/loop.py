"""The training loop of one worker. It knows no Ray: adapters hand it a `Worker` to speak through."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from hrm_rl.agents.act.solver import Solver
from hrm_rl.agents.act.stopping import Stopping
from hrm_rl.agents.build import build_learner
from hrm_rl.agents.search.search import Search
from hrm_rl.agents.tally import Tally, sum_over_ranks, summarise
from hrm_rl.config import Config, CurriculumConfig
from hrm_rl.data.curriculum import Counts, CurriculumState, advance, window_intervals
from hrm_rl.data.streams import build_data
from hrm_rl.evaluation.scores import evaluate, sums_of_parts
from hrm_rl.evaluation.search import evaluate_search
from hrm_rl.evaluation.summaries import evaluation_scalars, score_of
from hrm_rl.runs import checkpoint, selection
from hrm_rl.runs.checkpoint import Agree, TrainingState, agree_alone
from hrm_rl.runs.dependencies import digests
from hrm_rl.runs.folder import RunFolder
from hrm_rl.training.pictures import Pictures
from hrm_rl.training.resuming import begin, resume
from hrm_rl.training.telemetry import Telemetry
from hrm_rl.training.worker import Evaluated, RunOutcome, Worker
from hrm_rl.utils.console import evaluation_line, status_line
from hrm_rl.utils.errors import NotResumable

STATUS_SECONDS = 3.0
"""Least time between two status lines."""
STOP_SECONDS = 2.0
"""About how often several workers ask one another whether the user wants them to stop."""


def agree_over_ranks(world_size: int, device: torch.device) -> Agree:
    """Exchange of errors between ranks. Only their number travels; the text is known where it happened."""
    if world_size == 1:
        return agree_alone

    def agree(error: str | None) -> list[str]:
        failed = sum_over_ranks(np.array([float(error is not None)]), device)[0]
        return [error or "another worker could not write its part"] if failed else []

    return agree


class _GivenUp(Exception):
    """The user does not wait for an evaluation."""


class Trainer:
    """The training loop of one worker, in step with the other ranks: updates, and between them the
    curriculum, evaluations and checkpoints."""

    def __init__(self, config: Config, worker: Worker, keep: int = selection.KEEP_LAST, saves: bool = True):
        """keep: newest checkpoints that are kept as well as the best.  saves: whether any are written."""
        self.config = config
        self.worker = worker
        self.keep = keep
        self.saves = saves
        if worker.device.type == "cuda":
            torch.set_float32_matmul_precision("high")  # TF32
        self.data = build_data(config, worker.rank, worker.world_size)
        self.learner = build_learner(config, self.data, worker.device, worker.rank, worker.world_size)
        if self.learner.not_compiled:
            self._say(self.learner.not_compiled)
        self.agree = agree_over_ranks(worker.world_size, worker.device)
        self.folder = RunFolder(worker.run_dir)
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
        self.owed = False
        """Whether the evaluation of the present update was given up."""
        self._ask_every = 1
        """Updates between two looks at whether to stop, the same on all ranks."""
        self.digests = digests(config) if worker.rank == 0 else {}
        """Of what the run depends on by path."""
        state = resume(self.learner, worker, self.folder, self._say, self.agree)
        if state is None:
            begin(self.learner, config)
        else:
            self.digests |= state.digests  # of the starting weights: those it did start from
            self.curriculum = replace(state.curriculum, stage=state.stage)
            self.pending = state.curriculum
            self.saved_at = state.update
            self.owed = state.evaluation_owed
            best = selection.best(self.folder.checkpoints, newest=self.folder.checkpoint(state.update))
            self.best_score = selection.score(best) if best else None
        self.telemetry = (
            Telemetry(worker.run_dir, config, self.learner.updates, self._say) if worker.rank == 0 else None
        )
        self.pictures = Pictures()
        self.update_seconds = 0.0
        self._first_update = self.learner.updates
        self._started = time.perf_counter()
        self._next_status = self._started

    def run(self) -> RunOutcome:
        """Train until train.max_updates or until the user asks to stop; either way end on a checkpoint, of
        which there is none if the user asks before the first update of the run."""
        train, learner, worker = self.config.train, self.learner, self.worker
        self._started = time.perf_counter()
        self.stopping = self._any(worker.stop_requested())
        try:
            if self.owed and not self.stopping:
                self._conclude()
            while learner.updates < train.max_updates and not self.stopping:
                began = time.perf_counter()
                learner.update()
                self.update_seconds += time.perf_counter() - began

                if learner.updates % train.log_every == 0:
                    self._end_interval()
                elif learner.updates % self._ask_every == 0:
                    self.stopping = self._any(worker.stop_requested())
                self._conclude()
            if learner.updates and self.saved_at != learner.updates:
                self._save()
        finally:
            if self.telemetry is not None:
                self.telemetry.close()
            self.data.source.close()
        return RunOutcome(
            update=learner.updates,
            finished=learner.updates >= train.max_updates,
            stage=self.curriculum.stage,
            accuracy=self.metrics.get("eval/exact_accuracy"),
            solved=self.metrics.get("eval/solved"),
            best_solved=self.best_score,
            segments_mean=self.metrics.get("eval/segments_mean"),
            seconds=time.perf_counter() - self._started,
        )

    def _any(self, mine: bool) -> bool:
        """Whether something holds on any rank; asked by all together."""
        return bool(sum_over_ranks(np.array([float(mine)]), self.worker.device)[0])

    def _conclude(self) -> None:
        """The evaluation and the checkpoint that are due after an update."""
        train, update = self.config.train, self.learner.updates
        last = update == train.max_updates
        evaluated = last or update % train.eval_every == 0 or self.owed
        improved = self._evaluate(last) if evaluated else False
        self.owed = improved is None
        if self.owed:
            self.stopping = True
            return
        due = improved or last or update % train.checkpoint_every == 0
        saved = self._save() if due else None
        if evaluated:
            self.worker.evaluated(Evaluated(update, self.metrics, saved, self.update_seconds))

    def _end_interval(self) -> None:
        """Share this interval's counts, hear the curriculum's answer to the one before, and report."""
        worker, learner, settings = self.worker, self.learner, self.config.curriculum
        every = self.config.train.log_every
        learner.counts()
        counts = counts_of(learner.tally, settings)
        everyone = sum_over_ranks(
            np.append(learner.tally.vector(), float(worker.stop_requested())), worker.device
        )
        self.stopping = everyone[-1] > 0
        learner.tally.clear()

        answer = worker.curriculum.answer()
        if answer.stage != self.curriculum.stage:
            self.data.source.set_level_weights(settings.weights(answer.stage))
            self._say(
                f"update {learner.updates}: stage {answer.stage + 1} of {len(settings.stages)} "
                f"({settings.stages[answer.stage]})"
            )
        self.curriculum = answer
        worker.curriculum.send(learner.updates // every, counts, known=answer)
        total = learner.tally.blank()
        total.load_vector(everyone[:-1])
        self.pending = advance(answer, counts_of(total, settings), settings, every)
        if worker.world_size > 1:
            pace = total.sums["updates"] / max(total.sums["seconds"], 1e-9)
            self._ask_every = max(1, min(every, int(STOP_SECONDS * pace)))
        if self.telemetry is not None:
            self._report(self.telemetry, total)

    def _report(self, telemetry: Telemetry, total: Tally) -> None:
        """Record an interval's counts, and now and then show a line of them."""
        update, train, settings = self.learner.updates, self.config.train, self.config.curriculum
        scalars = summarise(total, self.worker.world_size) | {
            "train/lr": self.learner.optimisation.lr,
            "train/skipped_updates": total.sums["skipped_updates"] / self.worker.world_size,
            "curriculum/stage": float(self.curriculum.stage),
            "curriculum/rolling_accuracy": self.curriculum.rolling_accuracy,
            "curriculum/window_fill": len(self.curriculum.window)
            / window_intervals(settings, train.log_every),
        }
        telemetry.scalars(update, scalars)
        telemetry.segments_histogram(update, total.halted_after)
        now = time.perf_counter()
        if now >= self._next_status:
            self._next_status = now + STATUS_SECONDS
            left = (now - self._started) / (update - self._first_update) * (train.max_updates - update)
            stages = len(settings.stages)
            stage = f"{self.curriculum.stage + 1}/{stages}" if stages > 1 else None
            self._say(status_line(update, train.max_updates, stage, scalars, left))

    def _evaluate(self, last: bool) -> bool | None:
        """Evaluate the weights that `train.eval_weights` names on the held-out puzzles. Returns whether more
        of them than ever before are solved, or None if the user does not wait for that; the last evaluation
        is waited for."""
        self._refuse_lost_weights()
        began = time.perf_counter()
        learner, worker, config = self.learner, self.worker, self.config
        task, held_out = self.data.task, self.data.held_out
        update = learner.updates
        solver, stopping = Solver.of(config, learner.model, task), Stopping(config.halting.halt_max_steps)
        sums = partial(sums_of_parts, held_out, len(task.levels), worker.rank, worker.world_size)

        def look(done: int = 0) -> None:
            if worker.is_hurried() and not last:
                raise _GivenUp

        plain = searched = None
        with learner.evaluation_weights():
            with suppress(_GivenUp):
                look()
                plain = sums(lambda part: evaluate(solver, part, stopping, think_on=True, progress=look))
                if config.search.share:
                    search = Search.of(config)
                    searched = sums(lambda part: evaluate_search(solver, part, search, progress=look).result)
            if self._any(plain is None or (searched is None and config.search.share > 0)):
                return None
            if self.telemetry is not None:
                images = self.pictures.draw(solver, held_out, config, last)
                self.telemetry.images(update, images)
        assert plain is not None
        self.metrics = self._over_ranks(plain)
        if searched is not None:
            # An agent that searches is judged by what it searches; without search it is reported as well.
            halting = {tag.replace("eval/", "eval/without_search/"): v for tag, v in self.metrics.items()}
            self.metrics = self._over_ranks(searched) | halting
        self.evaluated_at = update
        score = score_of(self.metrics)
        improved = self.best_score is None or score > self.best_score
        if self.telemetry is not None:
            self.telemetry.scalars(update, self.metrics)
            self.telemetry.flush(update)
            self._say(evaluation_line(update, self.metrics, improved, time.perf_counter() - began))
        if improved:
            self.best_score = score
        return improved

    def _over_ranks(self, sums: NDArray[np.float64]) -> dict[str, float]:
        """Scalars, by tag, of all workers' evaluations. sums: `Evaluation.sums` of this one's."""
        total = sum_over_ranks(sums.ravel(), self.worker.device).reshape(sums.shape)
        return evaluation_scalars(total, self.data.task)

    def _save(self) -> Path | None:
        """Write a checkpoint of this update; its folder, if this run saves any."""
        update, worker = self.learner.updates, self.worker
        self._refuse_lost_weights()
        self.saved_at = update
        if not self.saves:
            return None
        if self.telemetry is not None:
            self.telemetry.settle()
        state = TrainingState(
            update=update,
            skipped_in_a_row=self.learner.optimisation.skipped_in_a_row,
            world_size=worker.world_size,
            stage=self.curriculum.stage,
            curriculum=self.pending,
            config=self.config,
            score=score_of(self.metrics) if self.evaluated_at == update else None,
            evaluation_owed=self.owed,
            digests=self.digests,
        )
        return checkpoint.save(
            self.folder.checkpoints, self.learner, state, worker.rank, self.agree, self.keep
        )

    def _refuse_lost_weights(self) -> None:
        """Raise NotResumable if weights are not finite, which no further update mends. They are neither
        judged nor saved."""
        weights = self.learner.model.named_parameters()
        lost = [name for name, weight in weights if not weight.isfinite().all()]
        if lost:
            raise NotResumable(
                f"{lost[0]} is not finite at update {self.learner.updates}, past saving: start a new run "
                f"with a lower --optim.lr (now {self.config.optim.lr}); earlier checkpoints are as they were"
            )

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
