"""One update: think, act, learn. The only place where the model and the environment meet.

Legend: B slots of this worker, L tokens, V vocabulary, K segments of a rollout.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from envs import PAD
from envs.copies import writable
from envs.episodes import PuzzleVectorEnv
from hrm_rl.agents.act import halting
from hrm_rl.agents.act.answers import fill_in, likeliest
from hrm_rl.agents.act.gradients import average_over_ranks
from hrm_rl.agents.act.losses import IGNORE, Losses, losses
from hrm_rl.agents.act.noise import TrainingNoise
from hrm_rl.agents.act.slots import Act, Slots, Thought, slices, slots_of_rank
from hrm_rl.agents.optim import Optimisation
from hrm_rl.agents.tally import Tally
from hrm_rl.config import Config
from hrm_rl.models import Carry, RecurrentModel
from hrm_rl.utils.devices import ToCpu, to_device

Phase = Callable[[str], AbstractContextManager[None]]
"""Called with the name of a part of an update, gives the context in which that part runs."""


def untimed(name: str) -> AbstractContextManager[None]:
    """A `Phase` that does nothing."""
    return nullcontext()


class Learner:
    """Model, optimisers and the slots of one worker."""

    def __init__(
        self,
        model: RecurrentModel,
        env: PuzzleVectorEnv,
        config: Config,
        device: torch.device,
        rank: int = 0,
        world_size: int = 1,
        phase: Phase = untimed,
    ):
        """phase: is told of `forward`, `bootstrap forward`, `backward`, `env` and `optimiser`."""
        self.config = config
        self.env: PuzzleVectorEnv = env
        self.device = device
        self.rank = rank
        self.world_size = world_size
        self.phase = phase
        self.q_target = halting.Q_TARGETS[config.halting.q_target]
        self.model = model.to(device)
        frozen = config.optim.freeze == "all_but_puzzle_emb"
        for p in model.parameters():
            p.requires_grad_(not frozen)
        self.training_model: Any = model
        most_slots = slots_of_rank(config.train.global_batch_size, 0, world_size)
        self.optimisation = Optimisation(model, config, most_slots * config.halting.rollout_segments)
        self.noise = TrainingNoise(config, rank)
        self.slots = self._blank_slots()
        self.tally = Tally(config.halting.halt_max_steps, self.q_target.learns_continue)
        self.updates = 0
        """Updates done, skipped ones included."""
        self.generator = torch.Generator().manual_seed(
            int(np.random.SeedSequence([config.seed, rank, 2]).generate_state(1, np.uint64)[0] >> 1)
        )
        self.not_compiled = ""
        """Why the network is not compiled although it should be, in one line."""
        self._loss_sums = torch.zeros(4, device=device)  # on the device, so that adding to it does not wait

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(writable(state))

    def _blank_slots(self) -> Slots:
        rows, columns = self.env.task.grid_shape
        return Slots.blank(self._initial_carry(), rows * columns)

    def _initial_carry(self) -> Carry:
        return self.noise.initial(self.model, self.env.num_envs)

    def start(self) -> None:
        """Give every slot a new puzzle and an initial carry."""
        self.noise.begin(self.updates)
        self.slots = self._take_up(self._blank_slots(), *self.env.reset())

    def _take_up(self, slots: Slots, obs: dict[str, NDArray[Any]], infos: dict[str, Any]) -> Slots:
        """The slots with what the environment shows now."""
        return slots.take_up(obs, infos)

    def restart(self, stage: int) -> None:
        """Give every slot a new puzzle of a curriculum stage, from streams that begin with the present
        update: those of the run's beginning would show its first puzzles again."""
        seeds = np.random.SeedSequence([self.config.seed, self.rank, 3, self.updates]).generate_state(2)
        self.env.source.reseed(int(seeds[0]))
        self.env.source.set_level_weights(self.config.curriculum.weights(stage))
        self.generator.manual_seed(int(seeds[1]))
        self.start()

    def update(self) -> None:
        """One segment in every slot, or a rollout of several, then one step of the optimisers: think, decide,
        step, targets, losses, backward; optimise and count (in `tally`)."""
        started, waited = time.perf_counter(), self.env.source.data_wait_seconds
        self.noise.begin(self.updates + 1)
        with self.model.unchanging():
            self._learn()
        if self.world_size > 1:
            average_over_ranks(self.model.parameters())
        with self.phase("optimiser"):
            norm = self.optimisation.step(self.updates + 1)
        self.updates += 1
        if norm is None:
            # A skipped update can leave a state that is not finite; such a slot starts thinking afresh.
            self.slots = self.slots.replace_rows(~self.slots.carry.finite_rows(), self._initial_carry())
            self.tally.add(skipped_updates=1)
        else:
            self.tally.add(grad_norm=norm)
        self.tally.add(
            updates=1,
            slots=self.env.num_envs * self.config.halting.rollout_segments,
            seconds=time.perf_counter() - started,
            data_wait_seconds=self.env.source.data_wait_seconds - waited,
        )

    def _learn(self) -> None:
        """Think, act, and leave the gradients of it."""
        if self.q_target.plays_rollouts:
            self._learn_rollout()
        else:
            self._learn_segment()

    def _learn_segment(self) -> None:
        """One segment, slice by slice of the slots: a slice's graph is gone before the next one thinks. The
        environment steps last, while a GPU still computes gradients."""
        parts = slices(self.env.num_envs, self.config.train.micro_batches)
        acts = []
        for rows in parts:
            thought = self._think(rows)
            targets = self._targets(thought)  # asked for before the answer is waited for
            act = self._answer(thought)
            self._backward(self._loss(thought, act, targets))
            acts.append(act)
            del thought
        act = Act.join(acts)
        self._step(act, self._decide(act))

    def _learn_rollout(self) -> None:
        """`rollout_segments` segments with the same weights. Their graphs are kept until
        the returns are known, which the continue value's loss needs: freeing them earlier
        would mean to think everything twice."""
        everyone = slice(0, self.env.num_envs)
        thoughts, acts, outcomes = [], [], []
        last = None
        for k in range(1, self.config.halting.rollout_segments + 1):
            thought = self._think(everyone)
            if k == self.config.halting.rollout_segments:
                last = self._targets(thought)
            act = self._answer(thought)
            outcomes.append(self._step(act, self._decide(act)))
            thoughts.append(thought)
            acts.append(act)
        targets: Sequence[Tensor | None] = [None] * len(thoughts)
        if last is not None:
            reward, terminated, truncated = (
                self._on_device(np.stack(values)) for values in zip(*outcomes, strict=True)
            )
            q = torch.stack([thought.q.detach() for thought in thoughts])
            targets = self.q_target.returns(
                q, last, reward.float(), terminated, truncated, self.env.segment_cost, self.config.halting
            ).unbind()
        total = [self._loss(*parts) for parts in zip(thoughts, acts, targets, strict=True)]
        self._backward(torch.stack(total).sum())

    def _think(self, rows: slice) -> Thought:
        """One segment of the slots `rows`."""
        slots, begun = self.slots, self.slots.carry.select(rows)
        tokens, labels, identifier = (
            self._on_device(a).long()
            for a in (slots.puzzle[rows], self._labels(rows), slots.identifier[rows])
        )
        with self.phase("forward"):
            carry, logits, q = self._segment(
                self.training_model, self.noise.on_the_way(begun), tokens, identifier
            )
        self.optimisation.collect()
        # A carry is detached: what is read from it teaches the q-head alone.
        q_taught = self._q_of(carry) if self.config.halting.q_detach else q
        if self.q_target.teaches_previous:  # the continue values before this segment
            q_taught = torch.stack((q_taught[..., 0], self._q_of(begun)[..., 1]), dim=-1)
        puzzle, solution, segment = slots.puzzle[rows], slots.solution[rows], slots.segment[rows] + 1
        answer = ToCpu(likeliest(logits), q)
        return Thought(
            puzzle, solution, segment, tokens, labels, identifier, logits, q, q_taught, carry, answer
        )

    def _segment(
        self, model: Any, carry: Carry, tokens: Tensor, identifier: Tensor
    ) -> tuple[Carry, Tensor, Tensor]:
        """One segment of a model, as its `forward` gives it."""
        found: tuple[Carry, Tensor, Tensor] = model(carry, tokens, identifier)
        return found

    def _q_of(self, carry: Carry) -> Tensor:
        """The Q-values of a state, by the q-head as it is now."""
        return self.model.q_values(carry.z_h)

    def _labels(self, rows: slice) -> NDArray[np.int64]:
        """(B, L) what the answer's loss compares with, IGNORE where it does not look."""
        puzzle, solution = self.slots.puzzle[rows], self.slots.solution[rows]
        supervised = solution != PAD
        if self.config.train.loss_on == "blanks":
            supervised &= self.env.task.unknown(puzzle)
        return np.where(supervised, solution.astype(np.int64), IGNORE)

    def _answer(self, thought: Thought) -> Act:
        """What a thought amounts to, when it has arrived on the CPU."""
        tokens, q = thought.answer.wait()
        answer = fill_in(tokens.numpy(), thought.puzzle, self.env.task, self.config.train.loss_on)
        right = self.env.task.right(thought.puzzle, answer, thought.solution)
        return Act(thought.carry, q, answer, right)

    def _decide(self, act: Act) -> Tensor:
        """(B,) whether each slot halts. Exploration is drawn, and noted in the slots."""
        slots, segment = self.slots, torch.from_numpy(self.slots.segment + 1)
        floor = halting.explore(slots.min_segments, segment, self.config.halting, self.generator)
        held_back = self.q_target.wants_to_halt(act.q) & (segment < floor)
        self.slots = replace(slots, min_segments=floor, explored=slots.explored | held_back)
        return halting.decide(act.q, segment, floor, self.q_target)

    def _step(
        self, act: Act, halt: Tensor
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
        """Hand in or continue in every slot, and take up what is in the slots then. Returns reward,
        terminated, truncated."""
        before = self.slots
        with self.phase("env"):
            obs, reward, terminated, truncated, infos = self.env.step(
                {"answer": act.answer, "halt": halt.numpy().astype(np.int64)}
            )
        finished = terminated | truncated
        explored = before.explored & ~torch.from_numpy(finished)
        begun = replace(before, carry=act.carry, explored=explored).replace_rows(
            self._on_device(finished), self._initial_carry()
        )
        self.slots = self._take_up(begun, obs, infos)
        self._count_episodes(before, act, finished, terminated)
        return reward, terminated, truncated

    def _targets(self, thought: Thought) -> Tensor | None:
        """What the continue values are taught, but for the returns of a rollout: (B,),
        or None for nothing."""
        budget = self.config.halting.halt_max_steps
        if budget == 1:
            return None
        q = thought.q.detach()
        if self.q_target.looks_ahead:
            with self.phase("bootstrap forward"), torch.no_grad():
                q = self._segment(self.model, thought.carry, thought.tokens, thought.identifier)[2]
        return self.q_target.targets(q, self._spent(thought), budget)

    def _spent(self, thought: Thought) -> Tensor:
        """(B,) the segments spent on each slot's puzzle."""
        return self._on_device(thought.segment)

    def _loss(self, thought: Thought, act: Act, targets: Tensor | None) -> Tensor:
        """The loss summed over the thought's slots; its parts are counted."""
        solved = self._on_device(act.solved)
        return self._counted(
            losses(thought.logits, thought.labels, thought.q_taught, solved, targets, self.config.train.loss)
        )

    def _counted(self, result: Losses) -> Tensor:
        """The sum of the losses, which are added to what the log shows."""
        self._loss_sums += torch.stack([result.total, result.lm, result.q_halt, result.q_continue]).detach()
        return result.total

    def _backward(self, total: Tensor) -> None:
        """Add the gradient of a loss summed over slots of this worker."""
        # Gradients are averaged over ranks: times world_size / global slots makes that the gradient of (sum
        # over all slots) / (all slots); a rollout's segments are averaged. A loss that is not finite makes
        # every gradient NaN, on all ranks.
        everyone = self.config.train.global_batch_size * self.config.halting.rollout_segments
        poison = torch.where(total.detach().isfinite(), 1.0, float("nan"))
        with self.phase("backward"):
            (total * (self.world_size / everyone) * poison).backward()

    def _on_device(self, array: NDArray) -> Tensor:
        return to_device(torch.from_numpy(array), self.device)

    def _count_episodes(
        self, slots: Slots, act: Act, finished: NDArray[np.bool_], terminated: NDArray[np.bool_]
    ) -> None:
        """Add the episodes that ended with this segment to the tally. slots: as they were before it."""
        if not finished.any():
            return
        puzzle, solution, answer = slots.puzzle[finished], slots.solution[finished], act.answer[finished]
        labelled = solution != PAD
        right = (answer == solution) & labelled
        blank = self.env.task.unknown(puzzle) & labelled
        self.tally.add(
            cells=labelled.sum(),
            cells_right=right.sum(),
            blanks=blank.sum(),
            blanks_right=(right & blank).sum(),
        )
        self.tally.add_episodes(
            segments=slots.segment[finished] + 1,
            exact=(right == labelled).all(-1),
            solved=act.solved[finished],
            forced=~terminated[finished],
            explored=slots.explored.numpy()[finished],
            q=act.q.numpy()[finished],
        )

    def evaluation_weights(self) -> AbstractContextManager[None]:
        """Inside, the model has the weights that are evaluated."""
        averaged = self.optimisation.averaged
        if averaged is None or self.config.evaluated_weights == "raw":
            return nullcontext()
        return averaged.applied()

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
            "carry.z_h": self.slots.carry.z_h,
            "carry.z_l": self.slots.carry.z_l,
            "min_segments": self.slots.min_segments,
            "explored": self.slots.explored,
            "generator": self.generator.get_state(),
            "tally": torch.from_numpy(self.tally.vector()),
            "loss_sums": self._loss_sums,  # not yet in the tally: adding them here would round them early
        }
        tensors |= {f"env.{k}": torch.from_numpy(v) for k, v in self.env.state_arrays().items()}
        return tensors, {"source": self.env.source.state_dict()}

    def load_rank_state(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Resume from `rank_state()`."""
        self.env.source.load_state_dict(values["source"])
        prefix = "env."
        self.env.load_state_arrays(
            {k.removeprefix(prefix): v.numpy() for k, v in tensors.items() if k.startswith(prefix)}
        )
        slots = replace(
            self.slots,
            carry=Carry(tensors["carry.z_h"].to(self.device), tensors["carry.z_l"].to(self.device)),
            min_segments=tensors["min_segments"],
            explored=tensors["explored"],
        )
        self.slots = self._take_up(slots, *self.env.current())
        self.generator.set_state(tensors["generator"])
        self.tally.load_vector(tensors["tally"].numpy())
        self._loss_sums = tensors["loss_sums"].to(self.device)
