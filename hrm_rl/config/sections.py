"""The settings of a run by section; config/model.py has those of the network."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from hrm_rl.config.base import Decay, Options, PathText, Positive, Probability, Section


class EnvConfig(Section):
    """The task and its rules (envs/)."""

    task: str = "sudoku"
    """Name of the task, as in envs.TASKS."""
    size: Positive | None = None
    """Edge of the board; the task's own default if not given."""
    options: Options = Field(default_factory=dict)
    """Further options of the task, as `name value` pairs (Sudoku: min_guesses, catalogue)."""
    segment_cost: Annotated[float, Field(ge=0.0)] = 0.0
    """Price of one more segment: the reward of `continue` is minus this. Training pays
    it with halting.q_target lambda; of text, with every one that values continuing."""


class DataConfig(Section):
    """Where puzzles come from (hrm_rl/data/streams.py)."""

    path: PathText | None = None
    """Training puzzles: a file, or a folder in the field's format; generated on the fly if not given."""
    required: bool = False
    """This configuration makes sense only with `path` (set by presets that repeat a paper's data set)."""
    max_puzzles: Positive | None = None
    """Train on a random subset of this many puzzles of `path`; of a folder, with all
    their symmetric versions."""
    augment: bool = True
    """Apply a random symmetry of the task each time a puzzle of the file is drawn."""
    eval_path: PathText | None = None
    """File or folder of held-out puzzles; without it they are generated, taken from the test split of the
    folder `path`, or split off `path`."""
    exclude_twins: bool = True
    """Keep out of generated training puzzles all symmetric versions of held-out ones; if not, these alone:
    small boards have too few puzzles up to symmetry."""
    leaks: Literal["refuse", "warn"] = "refuse"
    """What to do if held-out puzzles, or symmetric forms of them, are in the training set."""
    eval_levels: tuple[str, ...] = ()
    """Levels of which puzzles are generated and held out, such as harder ones than any trained on; the
    trained ones if not given."""
    eval_puzzles: Positive = 512
    """Held-out puzzles: generated ones are divided evenly among the levels."""


class HaltingConfig(Section):
    """When to stop thinking (hrm_rl/agents/act/halting.py)."""

    halt_max_steps: Positive = 16
    """The budget: the most segments an episode may take."""
    halt_exploration_prob: Probability = 0.1
    """Probability of drawing a least number of segments before which halting is forbidden."""
    exploration: Literal["per_segment", "per_episode"] = "per_segment"
    """Draw that number at every segment (the reference code) or once an episode (the paper)."""
    q_target: Literal["bootstrap", "delayed", "halt_only", "lambda"] = "bootstrap"
    """What the value of continuing is taught: the Q-values of one more segment, thought for
    that alone (HRM); those of the next real segment; nothing, halting where q_halt > 0 (TRM);
    returns over several segments (PQN)."""
    rollout_segments: Positive = 1
    """Segments an update, with q_target lambda; all their activations are kept until its end."""
    q_lambda: Probability = 0.0
    """With q_target lambda: 0 trusts the next Q-value, 1 the rest of the rollout."""
    discount: Probability = 1.0
    """With q_target lambda: factor on what lies one more segment ahead."""
    q_detach: bool = False
    """Keep the loss of the Q-values from the network below their head, which the answer's loss alone then
    shapes."""

    @model_validator(mode="after")
    def _lambda_alone_has_returns(self) -> HaltingConfig:
        returns = (self.rollout_segments, self.q_lambda, self.discount)
        if self.q_target != "lambda" and returns != (1, 0.0, 1.0):
            raise ValueError(
                f"rollout_segments, q_lambda and discount belong to q_target lambda; with {self.q_target} "
                "leave them at 1, 0 and 1"
            )
        return self


class SearchConfig(Section):
    """Assumptions and starting over (hrm_rl/agents/search/), with halting.q_target lambda."""

    share: Probability = 0.0
    """Share of the slots whose episodes search; the others only halt. 0 trains no search agent."""
    budget: Positive = 64
    """Segments of an episode that searches, over all its starts."""
    assume_share: Annotated[float, Field(gt=0.0, le=1.0)] = 0.1
    """Share of a board's blanks that is assumed at once, the surest first; at least one cell."""
    assume_every: Positive = 2
    """Segments between assumptions."""
    temperature: Annotated[float, Field(gt=0.0)] = 0.7
    """Of the digits that are drawn after starting over; the first start takes the likeliest."""
    doubt: Literal["returns", "supervised"] = "returns"
    """What the value of continuing is taught in boards with assumptions: returns of the search, as elsewhere,
    or, with the label's help, whether all assumptions are right."""
    teacher_updates: Annotated[int, Field(ge=0)] = 0
    """Updates over which the share of episodes that begin with some right assumptions, taken from the
    label, falls from all to none."""


class OptimConfig(Section):
    """The optimisers (hrm_rl/agents/optim.py)."""

    name: Literal["adamw", "adam_atan2", "muon"] = "adamw"
    """Optimiser of the network's weights. Muon updates the matrices inside the network, AdamW all else."""
    freeze: Literal["none", "all_but_puzzle_emb"] = "none"
    """Weights that are not trained."""
    lr: Annotated[float, Field(gt=0.0)] = 1e-4
    """Learning rate after warm-up."""
    betas: tuple[Decay, Decay] = (0.9, 0.95)
    """Decay of the first and second moment."""
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.1
    """Decoupled weight decay, times the learning rate."""
    warmup_updates: Annotated[int, Field(ge=0)] = 0
    """Updates of linear warm-up."""
    lr_min_ratio: Probability = 1.0
    """The cosine schedule ends at lr * lr_min_ratio after train.max_updates; 1 keeps the rate constant."""
    puzzle_emb_lr: Annotated[float, Field(gt=0.0)] = 1e-2
    """Learning rate of the puzzle embeddings (SignSGD)."""
    puzzle_emb_weight_decay: Annotated[float, Field(ge=0.0)] = 0.1
    """Weight decay of the puzzle embeddings."""
    grad_clip: Annotated[float, Field(ge=0.0)] = 1.0
    """Largest gradient norm of the network's weights; 0 does not clip."""
    ema_decay: Decay = 0.0
    """Decay of the averaged weights, which are kept as well as the raw ones; 0 keeps none."""
    max_skipped_updates: Positive = 20
    """Stop after this many updates in a row with a loss or gradient that is not finite."""


class TrainConfig(Section):
    """The loop (hrm_rl/training/loop.py, hrm_rl/agents/act/learner.py)."""

    global_batch_size: Positive = 512
    """Slots over all workers; each worker runs its share of them."""
    micro_batches: Positive = 1
    """Slices of a worker's slots that go through the network one after the other: the
    same gradient, less memory."""
    compile: Literal["auto", "on", "off"] = "auto"
    """Compile the network's blocks with torch.compile; `auto`: on a CUDA device only. Takes 10 s to a minute
    at the first update and at the first evaluation; without a compiler the run says so and continues
    uncompiled."""
    cuda_graphs: bool = False
    """On a CUDA device, record the kernels of a segment and start them all by one call. For
    runs with one worker, and without q_target lambda, micro_batches and dropout; nothing is recorded in
    others."""
    max_updates: Positive = 50_000
    """Updates after which the run is done."""
    init_from: PathText | None = None
    """Folder whose weights the run starts from: a run, a checkpoint, or one made by the commands export or
    convert. Puzzle embeddings start new where their number differs."""
    loss: Literal["softmax", "stablemax"] = "softmax"
    """Cross entropy of the answer."""
    loss_on: Literal["all", "blanks"] = "all"
    """Cells that the answer's loss looks at: all that have a label, or only those not given in the puzzle;
    the given ones are then copied into the answer."""
    flat_share: Probability = 0.0
    """Of a text: share of the slots whose windows the flat path (every block once, no recurrence) learns to
    continue as well, with the same weights."""
    log_every: Positive = 10
    """Updates between log lines; also the interval at which the curriculum is asked."""
    eval_every: Positive = 250
    """Updates between evaluations on held-out puzzles."""
    eval_weights: Literal["raw", "ema"] = "ema"
    """Weights that are evaluated: those trained, or their average (which needs optim.ema_decay above 0)."""
    checkpoint_every: Positive = 250
    """Updates between checkpoints."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where the network runs; auto takes the GPU that the worker was given, else the CPU."""

    @field_validator("compile", mode="before")
    @classmethod
    def _yaml_reads_on_as_true(cls, value: Any) -> Any:
        return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


class CurriculumConfig(Section):
    """Which levels are trained on, and when that changes (hrm_rl/data/curriculum.py)."""

    stages: tuple[str, ...] = ("easy=1",)
    """One `level=weight,level=weight` for each stage, the first stage first."""
    metric: Literal["exact", "solved", "blank_cells", "cells"] = "exact"
    """Accuracy of finished episodes that decides: answers equal to the label (exact), right by the task's
    rule (solved), cells not given, or all cells."""
    threshold: Probability = 0.85
    """Rolling accuracy at which a stage is graduated from."""
    window: Positive = 300
    """Updates that the rolling accuracy looks back on."""
    min_updates: Annotated[int, Field(ge=0)] = 300
    """Least number of updates in a stage."""
    min_episodes: Positive = 1000
    """Least number of finished episodes in the window."""

    @field_validator("stages")
    @classmethod
    def _stages_parse(cls, stages: tuple[str, ...]) -> tuple[str, ...]:
        if not stages:
            raise ValueError("at least one stage is needed, for example easy=1")
        for stage in stages:
            parse_weights(stage)
        return stages

    def weights(self, stage: int) -> dict[str, float]:
        """Level weights of a stage."""
        return parse_weights(self.stages[stage])


def parse_weights(stage: str) -> dict[str, float]:
    """`easy=0.7,medium=0.3` as a mapping; levels of weight 0 are left out. Raises ValueError that shows the
    right form."""
    weights: dict[str, float] = {}
    for part in stage.split(","):
        level, _, weight = (word.strip() for word in part.partition("="))
        try:
            value = float(weight)
        except ValueError:
            level = ""
        if not level or level in weights:
            raise ValueError(f"stage '{stage}' is not of the form easy=0.7,medium=0.3")
        weights[level] = value
    if not all(0 <= weight < math.inf for weight in weights.values()) or not any(weights.values()):
        raise ValueError(f"stage '{stage}' needs weights of at least 0 and one above 0")
    return {level: weight for level, weight in weights.items() if weight}
