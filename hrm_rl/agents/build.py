"""The learner of one worker, from a configuration and its puzzles."""

from __future__ import annotations

import torch

from envs import ActVectorEnv
from envs.search import SearchVectorEnv, refuse_unsearchable
from hrm_rl.agents.act.halting import Q_TARGETS
from hrm_rl.agents.act.learner import Learner, Phase, untimed
from hrm_rl.agents.act.slots import slots_of_rank
from hrm_rl.agents.search.learner import SearchLearner
from hrm_rl.agents.text.learner import TextLearner
from hrm_rl.config import Config
from hrm_rl.data.streams import Data
from hrm_rl.models import build_model
from hrm_rl.models.compiled import compile_blocks
from hrm_rl.models.graphs import SegmentGraphs


def build_learner(
    config: Config, data: Data, device: torch.device, rank: int, world_size: int, phase: Phase = untimed
) -> Learner:
    """The learner of one worker, its slots not started yet."""
    slots, price = slots_of_rank(config.train.global_batch_size, rank, world_size), config.env.segment_cost
    torch.manual_seed(config.seed)  # the same weights on every rank
    model = build_model(config.model, data.task.vocab_size, data.task.coordinates(), data.identifiers)
    learner: Learner
    if config.search.share:
        refuse_unsearchable(data.task)
        budget = max(config.search.budget, config.halting.halt_max_steps)
        searched = SearchVectorEnv(data.task, data.source, slots, budget, price)
        learner = SearchLearner(model, searched, config, device, rank, world_size, phase)
    else:
        env = ActVectorEnv(data.task, data.source, slots, config.halting.halt_max_steps, price)
        kind = TextLearner if data.task.next_token else Learner
        learner = kind(model, env, config, device, rank, world_size, phase)
    on_cuda = device.type == "cuda"
    if config.train.compile == "on" or (config.train.compile == "auto" and on_cuda):
        learner.not_compiled = compile_blocks(model, device)
    if on_cuda and world_size == 1 and can_record(config):
        model.recorded = SegmentGraphs(model)
    return learner


def can_record(config: Config) -> bool:
    """Whether segments are to be recorded and every update is one pass forward and one backward: a recorded
    backward pass leaves the gradients where the next one writes its own."""
    rollouts = Q_TARGETS[config.halting.q_target].plays_rollouts
    return config.train.cuda_graphs and not rollouts and config.train.micro_batches == 1
