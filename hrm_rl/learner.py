"""One update: think one segment, act, learn. The only place where the model and the environment meet.

Legend: B slots of this worker, L tokens, V vocabulary.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from envs import PAD, ActVectorEnv
from hrm_rl import halting
from hrm_rl.answers import answer_of
from hrm_rl.config import Config
from hrm_rl.errors import UserError
from hrm_rl.losses import IGNORE, losses
from hrm_rl.metrics import Tally
from hrm_rl.models import Carry, RecurrentModel
from hrm_rl.optim import AveragedWeights, SignSGD, build_optimizer, clip_gradients, lr_scale


def slots_of_rank(global_batch_size: int, rank: int, world_size: int) -> int:
    """Slots of one worker: an even share, the first workers taking one more where it does not divide."""
    return global_batch_size // world_size + (rank < global_batch_size % world_size)


class Learner:
    """Model, optimisers and the slots of one worker."""

    def __init__(
        self,
        model: RecurrentModel,
        env: ActVectorEnv,
        config: Config,
        device: torch.device,
        rank: int = 0,
        world_size: int = 1,
    ):
        self.config = config
        self.env = env
        self.device = device
        self.rank = rank
        self.world_size = world_size
        self.model = model.to(device)
        self.params = list(model.parameters())
        self.training_model: Any = model
        if world_size > 1:
            self.training_model = DistributedDataParallel(
                model,
                device_ids=[device.index] if device.type == "cuda" else None,
                broadcast_buffers=False,  # the buffers are constant or updated alike on all ranks
                gradient_as_bucket_view=True,
            )
        self.optimizer = build_optimizer(self.params, config.optim)
        self.sign_sgd = None
        if config.model.puzzle_emb_ndim:
            self.sign_sgd = SignSGD(
                model.puzzle_emb,
                config.optim.puzzle_emb_lr,
                config.optim.puzzle_emb_weight_decay,
                slots_of_rank(config.train.global_batch_size, 0, world_size),
            )
        self.averaged = AveragedWeights(model, config.optim.ema_decay) if config.optim.ema_decay else None
        self.tally = Tally(config.halting.halt_max_steps)
        self.updates = 0
        """Updates done, skipped ones included."""
        self.skipped_in_a_row = 0
        self.generator = torch.Generator().manual_seed(
            int(np.random.SeedSequence([config.seed, rank, 2]).generate_state(1, np.uint64)[0] >> 1)
        )
        self.carry: Carry
        self.min_segments: Tensor
        """(B,) exploration's floor in this segment."""
        self.explored: Tensor
        """(B,) whether exploration has kept this episode from halting."""
        self._loss_sums = torch.zeros(4, device=device)  # on the device, so that adding to it does not wait

    @property
    def lr(self) -> float:
        """Learning rate of the last update, which the optimiser still holds."""
        return float(self.optimizer.param_groups[0]["lr"])

    def start(self) -> None:
        """Give every slot a new puzzle and an initial carry."""
        self.resume_slots(*self.env.reset())
        self.carry = self.model.initial_carry(self.env.num_envs)
        self.min_segments = torch.zeros(self.env.num_envs, dtype=torch.int64)
        self.explored = torch.zeros(self.env.num_envs, dtype=torch.bool)

    def start_anew(self, stage: int) -> None:
        """Give every slot a new puzzle of a curriculum stage, from streams that begin with the present update:
        those of the run's beginning would show its first puzzles again."""
        seeds = np.random.SeedSequence([self.config.seed, self.rank, 3, self.updates]).generate_state(2)
        self.env.source.reseed(int(seeds[0]))
        self.env.source.set_level_weights(self.config.curriculum.weights(stage))
        self.generator.manual_seed(int(seeds[1]))
        self.start()

    def resume_slots(self, obs: dict[str, NDArray], infos: dict[str, Any]) -> None:
        """Take up the puzzles that the environment's slots hold."""
        self._puzzle = obs["puzzle"]
        self._segment = obs["segment"]
        self._identifier = infos["identifier"]
        self._solution = infos["solution"]

    def update(self) -> None:
        """One segment in every slot and one step of the optimisers. Adds to `tally`."""
        started, waited = time.perf_counter(), self.env.source.data_wait_seconds
        config, budget = self.config, self.config.halting.halt_max_steps
        puzzle, solution = self._puzzle, self._solution
        tokens, labels, identifier = self._to_device(puzzle, self._labels(), self._identifier)

        carry, logits, q = self.training_model(self.carry, tokens, identifier)
        next_q = None
        if budget > 1:
            with torch.no_grad():
                next_q = self.model(carry, tokens, identifier)[2]

        segment = torch.from_numpy(self._segment + 1)
        q_now = q.detach().cpu()
        answer = answer_of(logits, puzzle, self.env.task, config.train.loss_on)
        self.min_segments = halting.explore(self.min_segments, segment, config.halting, self.generator)
        halt = halting.decide(q_now, segment, self.min_segments)
        self.explored |= (q_now[:, 0] > q_now[:, 1]) & (segment < self.min_segments)
        action = {"answer": answer, "halt": halt.numpy().astype(np.int64)}
        obs, _, terminated, truncated, infos = self.env.step(action)
        finished = terminated | truncated
        solved = _step_value(infos, "solved", finished)

        target = None
        if next_q is not None:
            target = halting.q_targets(next_q, segment.to(self.device), budget)
        result = losses(
            logits, labels, q, torch.from_numpy(solved).to(self.device), target, config.train.loss
        )
        self._learn(result.total)

        # A skipped update can leave a state that is not finite; such a slot starts thinking afresh.
        restart = torch.from_numpy(finished).to(self.device)
        if self.skipped_in_a_row:
            restart = restart | ~carry.finite_rows()
        self.carry = carry.replace_rows(restart, self.model.initial_carry(len(finished)))
        self._puzzle, self._segment = obs["puzzle"], obs["segment"]
        self._identifier, self._solution = infos["identifier"], infos["solution"]

        self._loss_sums += torch.stack([result.total, result.lm, result.q_halt, result.q_continue]).detach()
        self._count_episodes(finished, terminated, solved, puzzle, solution, answer, segment, q_now)
        self.tally.add(
            updates=1,
            slots=len(finished),
            seconds=time.perf_counter() - started,
            data_wait_seconds=self.env.source.data_wait_seconds - waited,
        )

    def _labels(self) -> NDArray[np.int64]:
        """(B, L) what the answer's loss compares with, IGNORE where it does not look."""
        supervised = self._solution != PAD
        if self.config.train.loss_on == "blanks":
            supervised &= self.env.task.unknown(self._puzzle)
        return np.where(supervised, self._solution.astype(np.int64), IGNORE)

    def _to_device(self, *arrays: NDArray) -> list[Tensor]:
        """Integer arrays as int64 tensors on the device, copied from pinned memory where that helps."""
        tensors = [torch.from_numpy(a) for a in arrays]
        if self.device.type == "cuda":
            tensors = [t.pin_memory() for t in tensors]
        return [t.to(self.device, non_blocking=True).long() for t in tensors]

    def _learn(self, total: Tensor) -> None:
        """Backward pass and optimiser step on the loss summed over this worker's slots."""
        scale = lr_scale(self.updates + 1, self.config.train.max_updates, self.config.optim)
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.optim.lr * scale
        # DDP averages over ranks: times world_size / global slots makes that the gradient of
        # (sum over all slots) / (all slots). A loss that is not finite makes every gradient NaN, on all ranks.
        share = self.world_size / self.config.train.global_batch_size
        poison = torch.where(total.detach().isfinite(), 1.0, float("nan"))
        (total * share * poison).backward()
        norm = float(clip_gradients(self.params, self.config.optim.grad_clip))
        if np.isfinite(norm):
            self.optimizer.step()
            if self.sign_sgd is not None:
                self.sign_sgd.step(scale)
            if self.averaged is not None:
                self.averaged.update()
            self.skipped_in_a_row = 0
            self.tally.add(grad_norm=norm)
        else:
            self.skipped_in_a_row += 1
            self.tally.add(skipped_updates=1)
        self.optimizer.zero_grad(set_to_none=True)
        self.updates += 1
        if self.skipped_in_a_row >= self.config.optim.max_skipped_updates:
            raise UserError(
                f"{self.skipped_in_a_row} updates in a row had a loss or gradient that is not finite (at update "
                f"{self.updates}): start a new run with a lower --optim.lr (now {self.config.optim.lr}), a smaller "
                f"--optim.grad-clip (now {self.config.optim.grad_clip}) or --model.dtype float32"
            )

    def _count_episodes(
        self,
        finished: NDArray[np.bool_],
        terminated: NDArray[np.bool_],
        solved: NDArray[np.bool_],
        puzzle: NDArray[np.uint8],
        solution: NDArray[np.uint8],
        answer: NDArray[np.uint8],
        segment: Tensor,
        q: Tensor,
    ) -> None:
        """Add the episodes that ended with this update to the tally."""
        if not finished.any():
            return
        labelled = solution[finished] != PAD
        right = (answer[finished] == solution[finished]) & labelled
        blank = self.env.task.unknown(puzzle[finished]) & labelled
        self.tally.add(
            cells=labelled.sum(),
            cells_right=right.sum(),
            blanks=blank.sum(),
            blanks_right=(right & blank).sum(),
        )
        self.tally.add_episodes(
            segments=segment.numpy()[finished],
            exact=(right == labelled).all(-1),
            solved=solved[finished],
            forced=~terminated[finished],
            explored=self.explored.numpy()[finished],
            q=q.numpy()[finished],
        )
        self.explored[finished] = False

    def evaluation_weights(self) -> AbstractContextManager[None]:
        """Inside, the model has the weights that evaluation judges: the averaged ones, if the run keeps them."""
        return self.averaged.applied() if self.averaged is not None else nullcontext()

    def counts(self) -> NDArray[np.float64]:
        """The tally since the last `tally.clear()` as one vector."""
        total, lm, q_halt, q_continue = self._loss_sums.tolist()
        self._loss_sums.zero_()
        self.tally.add(loss=total, lm_loss=lm, q_halt_loss=q_halt, q_continue_loss=q_continue)
        return self.tally.vector()

    def rank_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What this worker alone knows, as tensors and as JSON: slots, puzzle stream, random state, counts."""
        tensors = {
            "carry.z_h": self.carry.z_h,
            "carry.z_l": self.carry.z_l,
            "min_segments": self.min_segments,
            "explored": self.explored,
            "generator": self.generator.get_state(),
            "tally": torch.from_numpy(self.tally.vector()),
            "loss_sums": self._loss_sums,  # not yet in the tally: adding them here would round them early
        }
        tensors |= {f"env.{k}": torch.from_numpy(v) for k, v in self.env.state_arrays().items()}
        return tensors, {"source": self.env.source.state_dict()}

    def load_rank_state(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Go on from `rank_state()`."""
        self.env.source.load_state_dict(values["source"])
        prefix = "env."
        self.env.load_state_arrays(
            {k.removeprefix(prefix): v.numpy() for k, v in tensors.items() if k.startswith(prefix)}
        )
        self.resume_slots(*self.env.current())
        self.carry = Carry(tensors["carry.z_h"].to(self.device), tensors["carry.z_l"].to(self.device))
        self.min_segments, self.explored = tensors["min_segments"], tensors["explored"]
        self.generator.set_state(tensors["generator"])
        self.tally.load_vector(tensors["tally"].numpy())
        self._loss_sums = tensors["loss_sums"].to(self.device)


def _step_value(infos: dict[str, Any], key: str, finished: NDArray[np.bool_]) -> NDArray:
    """What step() reported under `key` for every slot: final_info's where the episode has ended, since
    there `infos` already describes the next puzzle (AutoresetMode.SAME_STEP)."""
    if not finished.any():
        return infos[key]
    final = infos["final_info"][key]
    return final if finished.all() else np.where(finished, final, infos[key])
