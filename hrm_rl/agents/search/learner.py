"""One update of an agent that searches: a rollout on the boards that its own search makes.

Legend: B slots, L tokens, V vocabulary, K segments of a rollout.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from envs import PAD
from envs.puzzle import Tokens
from envs.search import Choice, SearchVectorEnv
from hrm_rl.agents.act import halting
from hrm_rl.agents.act.answers import fill_in, probabilities
from hrm_rl.agents.act.learner import Learner
from hrm_rl.agents.act.losses import IGNORE, losses
from hrm_rl.agents.act.slots import Act, Slots, Thought
from hrm_rl.agents.search.branches import Branching
from hrm_rl.agents.search.doubt import Doubt, probability
from hrm_rl.agents.search.returns import Rollout, returns
from hrm_rl.agents.tally import Tally
from hrm_rl.utils.devices import ToCpu


@dataclass(frozen=True)
class Seen:
    """What the environment shows of B searches."""

    question: Tokens
    """(B, L) the puzzle without assumptions; `Slots.puzzle` is the board that the network sees."""
    assumed: NDArray[np.bool_]
    """(B,) whether the board has assumptions."""
    age: NDArray[np.int64]
    """(B,) segments since the last fresh start."""


@dataclass(frozen=True)
class Move:
    """What a search agent does after a segment."""

    choice: NDArray[np.int64]
    """(B,) of `Choice`."""
    assume: Tokens
    """(B, L) tokens to write into the board, 0 for none."""
    forced: NDArray[np.bool_]
    """(B,) a slot that only halts has spent its budget."""


class SearchLearner(Learner):
    """Some slots search: they assume, doubt and start over. The others only halt, as `Learner`'s do."""

    env: SearchVectorEnv

    def __init__(self, *args: Any, **kwargs: Any):
        """As `Learner`."""
        super().__init__(*args, **kwargs)
        search = self.config.search
        slots = self.env.num_envs
        self.searches = np.arange(slots) < round(search.share * slots)
        """(B,) the slots that search."""
        self.branching = Branching(search.assume_share, search.assume_every, search.temperature)
        self.doubt = Doubt.of(self.config)
        self.tally = Tally(self.env.budget, searches=True)
        self.random = np.random.default_rng([self.config.seed, self.rank, 4])
        self.seen: Seen
        self.starts = np.zeros(slots, np.int64)
        """(B,) times each search has started over."""
        self.root = np.full(slots, np.nan, np.float32)
        """(B,) the value of continuing after the first segment of the last fresh start, as a logit."""
        self.sampled = np.zeros(slots, np.bool_)
        """(B,) whether this start draws its digits."""

    def restart(self, stage: int) -> None:
        self.random = np.random.default_rng([self.config.seed, self.rank, 5, self.updates])
        super().restart(stage)

    def start(self) -> None:
        super().start()
        self.starts = np.zeros(self.env.num_envs, np.int64)
        self._begin(np.ones(self.env.num_envs, np.bool_))

    def _begin(self, fresh: NDArray[np.bool_]) -> None:
        """Start over in the slots `fresh` (B,), on a new puzzle or on the same one."""
        self.root = np.where(fresh, np.nan, self.root).astype(np.float32)
        # A puzzle's first start takes the likeliest digits in evaluation, and half of them in training.
        drawn = self.random.random(len(fresh)) < 0.5
        self.sampled = np.where(fresh, drawn | (self.starts > 0), self.sampled)

    def _take_up(self, slots: Slots, obs: dict[str, NDArray[Any]], infos: dict[str, Any]) -> Slots:
        self.seen = Seen(obs["puzzle"], (obs["assumed"] != 0).any(axis=1), obs["chain"])
        return slots.take_up(obs | {"puzzle": obs["board"]}, infos)

    def _labels(self, rows: slice) -> NDArray[np.int64]:
        """As `Learner._labels`, but nothing in boards with a wrong assumption: they have no right digits."""
        return np.where(self._sound()[rows, None], super()._labels(rows), IGNORE)

    def _sound(self) -> NDArray[np.bool_]:
        """(B,) whether all assumptions agree with the label."""
        board, solution = self.slots.puzzle, self.slots.solution
        assumed = board != self.seen.question
        return ~(assumed & (solution != PAD) & (board != solution)).any(axis=1)

    def _answer(self, thought: Thought) -> Act:
        tokens, q = thought.answer.wait()
        answer = fill_in(tokens.numpy(), thought.puzzle, self.env.task, self.config.train.loss_on)
        return Act(thought.carry, q, answer, self.env.task.solved(self.seen.question, answer))

    def _learn(self) -> None:
        """`rollout_segments` segments with the same weights, then the returns of what came of them."""
        everyone = slice(0, self.env.num_envs)
        thoughts: list[Thought] = []
        acts: list[Act] = []
        sounds, assumptions, reals, rolled = [], [], [], []
        for _ in range(self.config.halting.rollout_segments):
            sounds.append(self._sound())
            assumptions.append(self.seen.assumed)
            reals.append((self.slots.solution != PAD).any(axis=1))
            thought = self._think(everyone)
            likely = ToCpu(probabilities(thought.logits.detach(), self.config.train.loss))
            act = self._answer(thought)
            first = self.seen.age == 0
            self.root = np.where(first, act.q[:, 1].numpy(), self.root)
            root = np.where(self.searches, probability(self.root), 0.0)
            rolled.append((act.solved, root, *self._move_on(act, likely.wait()[0].numpy(), sounds[-1])))
            thoughts.append(thought)
            acts.append(act)
        solved, roots, reward, terminated, truncated, doubted, contradicted = (
            self._on_device(np.stack(values)) for values in zip(*rolled, strict=True)
        )
        rollout = Rollout(
            q=torch.stack([thought.q.detach() for thought in thoughts]),
            solved=solved,
            root=roots.float(),
            reward=reward.float(),
            terminated=terminated,
            truncated=truncated,
            doubted=doubted,
            contradicted=contradicted,
            searches=self._on_device(self.searches),
        )
        ahead = self._ahead(thoughts[-1], acts[-1], rollout)
        targets = returns(rollout, ahead, self.env.segment_cost, self.config.halting)
        if self.config.search.doubt == "supervised":
            sound, assumed = (self._on_device(np.stack(values)) for values in (sounds, assumptions))
            targets = torch.where(assumed & rollout.searches, sound.float(), targets)
        total = [
            self._counted(
                losses(
                    thought.logits,
                    thought.labels,
                    thought.q_taught,
                    self._on_device(act.solved),
                    target,
                    self.config.train.loss,
                    self._on_device(real),
                )
            )
            for thought, act, target, real in zip(thoughts, acts, targets, reals, strict=True)
        ]
        self._backward(torch.stack(total).sum())

    def _ahead(self, thought: Thought, act: Act, rollout: Rollout) -> Tensor:
        """(B,) what one more segment would find: of the boards now in the slots, or of the old one where the
        episode has ended."""
        ended = rollout.terminated[-1] | rollout.truncated[-1]
        tokens = torch.where(ended[:, None], thought.tokens, self._on_device(self.slots.puzzle).long())
        identifier = torch.where(ended, thought.identifier, self._on_device(self.slots.identifier).long())
        carry = self.slots.carry.replace_rows(ended, act.carry)
        with self.phase("bootstrap forward"), torch.no_grad():
            q = self.model(carry, tokens, identifier)[2]
        budget = self.config.halting.halt_max_steps
        return torch.where(
            rollout.searches,
            torch.sigmoid(q.amax(-1)),
            halting.continue_value(q, self._on_device(thought.segment), budget),
        )

    def _move_on(
        self, act: Act, likely: NDArray[np.float32], sound: NDArray[np.bool_]
    ) -> tuple[NDArray[Any], ...]:
        """Choose, step, and take up what is in the slots then. Returns reward, terminated, truncated,
        doubted, contradicted, each (B,)."""
        move = self._choose(act, likely)
        before, seen = self.slots, self.seen
        with self.phase("env"):
            obs, reward, terminated, truncated, infos = self.env.step(
                {"answer": act.answer, "assume": move.assume, "choice": move.choice}
            )
        finished = terminated | truncated
        doubted = (move.choice == Choice.START_OVER) & ~finished
        contradicted = infos.get("contradicted", finished) & ~finished
        fresh = finished | doubted | contradicted
        self.tally.add(
            starts_over=(doubted | contradicted).sum(),
            doubts_right=(doubted & ~sound).sum(),
            doubts_wrong=(doubted & sound & seen.assumed).sum(),
            doubts_bare=(doubted & ~seen.assumed).sum(),
            contradictions=contradicted.sum(),
            sound_boards=(seen.assumed & sound).sum(),
            unsound_boards=(~sound).sum(),
            searches=(finished & self.searches).sum(),
            searches_solved=(finished & self.searches & act.solved).sum(),
            searches_segments=(before.segment[finished & self.searches] + 1).sum(),
        )
        explored = before.explored & ~torch.from_numpy(finished)
        slots = replace(before, carry=act.carry, explored=explored).replace_rows(
            self._on_device(fresh), self._initial_carry()
        )
        chosen = terminated & ~move.forced
        self._count_episodes(replace(before, puzzle=seen.question), act, finished, chosen)
        self.slots = self._take_up(slots, obs, infos)
        self.starts = np.where(finished, 0, self.starts + (doubted | contradicted))
        self._begin(fresh)
        # Who only halts and has spent its budget hands in, but not by choice.
        return reward, chosen, truncated | move.forced, doubted, contradicted

    def _choose(self, act: Act, likely: NDArray[np.float32]) -> Move:
        """What to do after a segment. Exploration keeps some slots from halting, and some from doubting."""
        segment, age = self.slots.segment + 1, self.seen.age + 1
        halts = self._decide(act).numpy()
        forced = ~self.searches & ~halts & (segment >= self.config.halting.halt_max_steps)
        hands_in = np.where(self.searches, act.solved, halts | forced)
        brave = self.random.random(len(age)) < self.config.halting.halt_exploration_prob
        q_continue = act.q[:, 1].numpy()
        doubts = self.doubt.starts_over(q_continue, self.root, age, self.seen.assumed, self.starts)
        doubts &= self.searches & ~brave & ~hands_in
        assumes = self.searches & self.branching.due(age) & ~doubts & ~hands_in
        board, task = self.slots.puzzle, self.env.task
        uniform = self.random.random(board.shape)
        assume = self.branching.assumptions(task, board, likely, self.sampled, uniform)
        assume = np.where(assumes[:, None], assume, 0).astype(np.uint8)
        taught = self.searches & (segment == 1) & ~hands_in & self._draw_teacher()
        if taught.any():
            assume = np.where(taught[:, None], self._teach(uniform), assume)
        choice = np.where(hands_in, Choice.HAND_IN, np.where(doubts, Choice.START_OVER, Choice.CONTINUE))
        return Move(choice.astype(np.int64), assume.astype(np.uint8), forced)

    def _draw_teacher(self) -> NDArray[np.bool_]:
        """(B,) whether an episode that begins now gets right assumptions from the label."""
        updates = self.config.search.teacher_updates
        probability_now = max(0.0, 1 - self.updates / updates) if updates else 0.0
        return self.random.random(self.env.num_envs) < probability_now

    def _teach(self, uniform: NDArray[np.float64]) -> Tokens:
        """(B, L) right assumptions in a random share of each board's blanks."""
        allowed = np.isin(self.slots.solution, self.env.task.assumable)
        blank = self.env.task.unknown(self.slots.puzzle) & allowed
        share = self.random.random((len(blank), 1))
        return np.where(blank & (uniform < share), self.slots.solution, 0).astype(np.uint8)

    def rank_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors, values = super().rank_state()
        kept = {"starts": self.starts, "root": self.root, "sampled": self.sampled}
        tensors |= {f"search.{name}": torch.from_numpy(array) for name, array in kept.items()}
        return tensors, values | {"random": self.random.bit_generator.state}

    def load_rank_state(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        super().load_rank_state(tensors, values)
        self.starts, self.root, self.sampled = (
            tensors[f"search.{name}"].numpy() for name in ("starts", "root", "sampled")
        )
        self.random.bit_generator.state = values["random"]
