"""One update: think, act, learn. The only place where the model and the environment meet.

Legend: B slots of this worker, L tokens, V vocabulary.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from envs import PAD, ActVectorEnv
from hrm_rl.agents.act import halting
from hrm_rl.agents.act.answers import fill_in, likeliest
from hrm_rl.agents.act.losses import IGNORE, losses
from hrm_rl.agents.act.slots import Act, Thought, slices, slots_at, slots_of_rank
from hrm_rl.agents.optim import AveragedWeights, LossScale, SignSGD, build_optimizer, clip_gradients, lr_scale
from hrm_rl.agents.tally import Tally
from hrm_rl.config import Config
from hrm_rl.models import Carry, RecurrentModel
from hrm_rl.utils.devices import ToCpu, to_device
from hrm_rl.utils.errors import UserError


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
        frozen = config.optim.freeze == "all_but_puzzle_emb"
        for p in self.params:
            p.requires_grad_(not frozen)
        self.training_model: Any = model
        if world_size > 1 and not frozen:
            self.training_model = DistributedDataParallel(
                model,
                device_ids=[device.index] if device.type == "cuda" else None,
                broadcast_buffers=False,  # the buffers are constant or updated alike on all ranks
                gradient_as_bucket_view=True,
            )
        self.optimizer = build_optimizer(model, config.optim)
        self.loss_scale = LossScale(config.model.dtype)
        self.sign_sgd = None
        if config.model.puzzle_emb_ndim:
            self.sign_sgd = SignSGD(
                model.puzzle_emb,
                config.optim.puzzle_emb_lr,
                config.optim.puzzle_emb_weight_decay,
                slots_of_rank(config.train.global_batch_size, 0, world_size)
                * config.halting.rollout_segments,
            )
        self.averaged = AveragedWeights(model, config.optim.ema_decay) if config.optim.ema_decay else None
        self.tally = Tally(config.halting.halt_max_steps, config.halting.q_target != "halt_only")
        self.updates = 0
        """Updates done, skipped ones included."""
        self.skipped_in_a_row = 0
        self.generator = torch.Generator().manual_seed(
            int(np.random.SeedSequence([config.seed, rank, 2]).generate_state(1, np.uint64)[0] >> 1)
        )
        self.carry: Carry
        self.not_compiled = ""
        """Why the network is not compiled although it should be, in one line."""
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
        self.env.add_slots(max(0, self._slots_due() - self.env.num_envs))
        self.resume_slots(*self.env.reset())
        self.carry = self.model.initial_carry(self.env.num_envs)
        self.min_segments = torch.zeros(self.env.num_envs, dtype=torch.int64)
        self.explored = torch.zeros(self.env.num_envs, dtype=torch.bool)

    def start_anew(self, stage: int) -> None:
        """Give every slot a new puzzle of a curriculum stage, from streams that begin with the present
        update: those of the run's beginning would show its first puzzles again."""
        seeds = np.random.SeedSequence([self.config.seed, self.rank, 3, self.updates]).generate_state(2)
        self.env.source.reseed(int(seeds[0]))
        self.env.source.set_level_weights(self.config.curriculum.weights(stage))
        self.generator.manual_seed(int(seeds[1]))
        self.start()

    def _slots_due(self) -> int:
        """Slots of this worker in the next update."""
        everyone = slots_at(self.updates + 1, self.config.train, self.world_size)
        return slots_of_rank(everyone, self.rank, self.world_size)

    def _add_slots(self) -> None:
        """Start the slots that the batch-size warm-up adds in the next update."""
        count = self._slots_due() - self.env.num_envs
        if count <= 0:
            return
        self.env.add_slots(count)
        self.resume_slots(*self.env.current())
        self.carry = Carry.join([self.carry, self.model.initial_carry(count)])
        self.min_segments = torch.cat((self.min_segments, torch.zeros(count, dtype=torch.int64)))
        self.explored = torch.cat((self.explored, torch.zeros(count, dtype=torch.bool)))

    def resume_slots(self, obs: dict[str, NDArray], infos: dict[str, Any]) -> None:
        """Take up the puzzles that the environment's slots hold."""
        self._puzzle = obs["puzzle"]
        self._segment = obs["segment"]
        self._identifier = infos["identifier"]
        self._solution = infos["solution"]

    def update(self) -> None:
        """One segment in every slot, or a rollout of several, and one step of the
        optimisers. Adds to `tally`."""
        started, waited = time.perf_counter(), self.env.source.data_wait_seconds
        self._add_slots()
        with self.model.unchanging():
            if self.config.halting.q_target == "lambda":
                self._learn_rollout()
            else:
                self._learn_segment()
        self._step_optimisers()
        # A skipped update can leave a state that is not finite; such a slot starts thinking afresh.
        if self.skipped_in_a_row:
            self.carry = self.carry.replace_rows(
                ~self.carry.finite_rows(), self.model.initial_carry(self.env.num_envs)
            )
        self.tally.add(
            updates=1,
            slots=self.env.num_envs * self.config.halting.rollout_segments,
            seconds=time.perf_counter() - started,
            data_wait_seconds=self.env.source.data_wait_seconds - waited,
        )

    def _learn_segment(self) -> None:
        """One segment, slice by slice of the slots: a slice's graph is gone before the next one thinks."""
        parts = slices(self.env.num_envs, self.config.train.micro_batches)
        acts = []
        for rows in parts:
            with self._gradients_stay_here() if rows is not parts[-1] else nullcontext():
                thought = self._think(rows)
                target = self._target(rows, thought)  # asked for before the answer is waited for
                act = self._answer(thought)
                self._backward(self._loss(thought, act, target))
            acts.append(act)
            del thought
        self._act(Act.join(acts))

    def _learn_rollout(self) -> None:
        """`rollout_segments` segments with the same weights. Their graphs are kept until
        the returns are known, which the continue value's loss needs: freeing them earlier
        would mean to think everything twice."""
        halting_config, everyone = self.config.halting, slice(0, self.env.num_envs)
        thoughts, acts, outcomes = [], [], []
        for k in range(1, halting_config.rollout_segments + 1):
            thought = self._think(everyone)
            if k == halting_config.rollout_segments:
                last = self._target(everyone, thought)
            thoughts.append(thought)
            acts.append(self._answer(thought))
            outcomes.append(self._act(acts[-1]))
        targets: Sequence[Tensor | None] = [None] * len(thoughts)
        if last is not None:
            reward, terminated, truncated = (
                self._on_device(np.stack(values)) for values in zip(*outcomes, strict=True)
            )
            q = torch.stack([thought.q.detach() for thought in thoughts])
            targets = halting.lambda_targets(
                q, last, reward.float(), terminated, truncated, self.env.segment_cost, halting_config
            ).unbind()
        total = [self._loss(*parts) for parts in zip(thoughts, acts, targets, strict=True)]
        self._backward(torch.stack(total).sum())

    def _gradients_stay_here(self) -> AbstractContextManager[None]:
        """Inside, backward passes add to this worker's gradients; the next one outside
        adds up all workers'."""
        model = self.training_model
        return model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext()

    def _think(self, rows: slice) -> Thought:
        """One segment of the slots `rows`."""
        config, puzzle, begun = self.config, self._puzzle[rows], self.carry.select(rows)
        tokens, labels, identifier = (
            self._on_device(a).long() for a in (puzzle, self._labels(rows), self._identifier[rows])
        )
        carry, logits, q = self.training_model(begun, tokens, identifier)
        if self.sign_sgd is not None:
            self.sign_sgd.collect()
        q_taught = q
        if (
            config.halting.q_target == "delayed"
        ):  # the continue values before this segment, from the q-head alone
            q_taught = torch.stack((q[:, 0], self.model.q_values(begun.z_h)[:, 1]), dim=1)
        answer = ToCpu(likeliest(logits), q)
        return Thought(puzzle, tokens, labels, identifier, logits, q, q_taught, carry, answer)

    def _answer(self, thought: Thought) -> Act:
        """What a thought amounts to, when it has arrived on the CPU."""
        tokens, q = thought.answer.wait()
        answer = fill_in(tokens.numpy(), thought.puzzle, self.env.task, self.config.train.loss_on)
        return Act(thought.carry, q, answer, self.env.task.solved(thought.puzzle, answer))

    def _target(self, rows: slice, thought: Thought) -> Tensor | None:
        """What the continue values are taught, but for the returns of a rollout: (B,),
        or None for nothing."""
        kind, budget = self.config.halting.q_target, self.config.halting.halt_max_steps
        segment = self._on_device(self._segment[rows] + 1)
        if kind == "halt_only" or budget == 1:
            return None
        if kind == "delayed":
            return halting.delayed_targets(thought.q.detach(), segment, budget)
        with torch.no_grad():
            next_q = self.model(thought.carry, thought.tokens, thought.identifier)[2]
        return halting.q_targets(next_q, segment, budget)

    def _loss(self, thought: Thought, act: Act, target: Tensor | None) -> Tensor:
        """The loss summed over the thought's slots; its parts are counted."""
        solved = self._on_device(act.solved)
        result = losses(
            thought.logits, thought.labels, thought.q_taught, solved, target, self.config.train.loss
        )
        self._loss_sums += torch.stack([result.total, result.lm, result.q_halt, result.q_continue]).detach()
        return result.total

    def _act(self, act: Act) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
        """Halt or go on in every slot, and take up what is in the slots then. Returns reward, terminated,
        truncated."""
        kind, segment = self.config.halting.q_target, torch.from_numpy(self._segment + 1)
        puzzle, solution = self._puzzle, self._solution
        self.min_segments = halting.explore(self.min_segments, segment, self.config.halting, self.generator)
        halt = halting.decide(act.q, segment, self.min_segments, kind)
        self.explored |= halting.wants_to_halt(act.q, kind) & (segment < self.min_segments)
        action = {"answer": act.answer, "halt": halt.numpy().astype(np.int64)}
        obs, reward, terminated, truncated, infos = self.env.step(action)
        finished = terminated | truncated
        self.resume_slots(obs, infos)
        self.carry = act.carry.replace_rows(
            self._on_device(finished), self.model.initial_carry(len(finished))
        )
        self._count_episodes(finished, terminated, act, puzzle, solution, segment)
        return reward, terminated, truncated

    def _labels(self, rows: slice) -> NDArray[np.int64]:
        """(B, L) what the answer's loss compares with, IGNORE where it does not look."""
        puzzle, solution = self._puzzle[rows], self._solution[rows]
        supervised = solution != PAD
        if self.config.train.loss_on == "blanks":
            supervised &= self.env.task.unknown(puzzle)
        return np.where(supervised, solution.astype(np.int64), IGNORE)

    def _on_device(self, array: NDArray) -> Tensor:
        return to_device(torch.from_numpy(array), self.device)

    def _backward(self, total: Tensor) -> None:
        """Add the gradient of a loss summed over slots of this worker."""
        # DDP averages over ranks: times world_size / global slots makes that the gradient of (sum over all
        # slots) / (all slots); a rollout's segments are averaged. A loss that is not finite makes every
        # gradient NaN, on all ranks.
        everyone = slots_at(self.updates + 1, self.config.train, self.world_size)
        share = self.world_size / (everyone * self.config.halting.rollout_segments)
        poison = torch.where(total.detach().isfinite(), 1.0, float("nan"))
        (total * (share * self.loss_scale.value) * poison).backward()

    def _step_optimisers(self) -> None:
        """One step on the gradients of this update, unless they are not finite."""
        scale = lr_scale(self.updates + 1, self.config.train.max_updates, self.config.optim)
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.optim.lr * scale
        self.loss_scale.unscale(self.params)
        found = clip_gradients(self.params, self.config.optim.grad_clip)
        if self.sign_sgd is not None:
            rows = self.sign_sgd.gradient()
            # A norm that is not finite stands for rows that are not, too.
            found = torch.where(rows[1].isfinite().all(), found, torch.nan)
        norm = float(found)
        finite = np.isfinite(norm)
        if finite:
            self.optimizer.step()
            if self.sign_sgd is not None:
                self.sign_sgd.step(*rows, scale)
            if self.averaged is not None:
                self.averaged.update()
            self.skipped_in_a_row = 0
            self.tally.add(grad_norm=norm)
        else:
            self.skipped_in_a_row += 1
            self.tally.add(skipped_updates=1)
        self.loss_scale.update(bool(finite))
        self.optimizer.zero_grad(set_to_none=True)
        if self.sign_sgd is not None:
            self.sign_sgd.clear()
        self.updates += 1
        if self.skipped_in_a_row >= self.config.optim.max_skipped_updates:
            raise UserError(
                f"{self.skipped_in_a_row} updates in a row had a loss or gradient that is not finite (at "
                "update "
                f"{self.updates}): start a new run with a lower --optim.lr (now {self.config.optim.lr}), a "
                "smaller "
                f"--optim.grad-clip (now {self.config.optim.grad_clip}) or --model.dtype float32"
            )

    def _count_episodes(
        self,
        finished: NDArray[np.bool_],
        terminated: NDArray[np.bool_],
        act: Act,
        puzzle: NDArray[np.uint8],
        solution: NDArray[np.uint8],
        segment: Tensor,
    ) -> None:
        """Add the episodes that ended with this segment to the tally."""
        if not finished.any():
            return
        labelled = solution[finished] != PAD
        right = (act.answer[finished] == solution[finished]) & labelled
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
            solved=act.solved[finished],
            forced=~terminated[finished],
            explored=self.explored.numpy()[finished],
            q=act.q.numpy()[finished],
        )
        self.explored[finished] = False

    def evaluation_weights(self) -> AbstractContextManager[None]:
        """Inside, the model has the weights that evaluation judges."""
        if self.averaged is None or self.config.evaluated_weights == "raw":
            return nullcontext()
        return self.averaged.applied()

    def counts(self) -> NDArray[np.float64]:
        """The tally since the last `tally.clear()` as one vector."""
        total, lm, q_halt, q_continue = self._loss_sums.tolist()
        self._loss_sums.zero_()
        self.tally.add(loss=total, lm_loss=lm, q_halt_loss=q_halt, q_continue_loss=q_continue)
        return self.tally.vector()

    def rank_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What this worker alone knows, as tensors and as JSON: slots, puzzle stream,
        random state, counts."""
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
        held = {k.removeprefix(prefix): v.numpy() for k, v in tensors.items() if k.startswith(prefix)}
        self.env.add_slots(len(held["segment"]) - self.env.num_envs)
        self.env.load_state_arrays(held)
        self.resume_slots(*self.env.current())
        self.carry = Carry(tensors["carry.z_h"].to(self.device), tensors["carry.z_l"].to(self.device))
        self.min_segments, self.explored = tensors["min_segments"], tensors["explored"]
        self.generator.set_state(tensors["generator"])
        self.tally.load_vector(tensors["tally"].numpy())
        self._loss_sums = tensors["loss_sums"].to(self.device)
