"""A causal network thinks about windows of text, all tokens at once.

Every token has a stopping time of its own. What a token's answer is after a segment does not depend on when
others stop: all go on to the end, and each is read where it stopped.
Legend: B windows, L tokens, V vocabulary, K segments.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from envs import PuzzleBatch
from hrm_rl.agents.act.answers import Loss
from hrm_rl.agents.act.losses import stablemax_scores
from hrm_rl.agents.act.solver import Solver
from hrm_rl.agents.act.stopping import Stopping, Thoughts
from hrm_rl.utils.devices import ToCpu, to_device


def log_probabilities(logits: Tensor, loss: Loss) -> Tensor:
    """(..., V) in float32, of logits (..., V) as the loss of the answer reads them."""
    if loss == "softmax":
        return logits.float().log_softmax(-1)
    scores = stablemax_scores(logits)
    return (scores / scores.sum(-1, keepdim=True)).log().float()


@dataclass(frozen=True)
class TokenThoughts:
    """The outcome of one segment of some windows."""

    log_p: Tensor
    """(B, L, V) log-probabilities of the tokens that may follow each token, on the CPU."""
    thoughts: Thoughts
    """A row for each token, window by window: B * L puzzles of one token."""


@torch.no_grad()
def think_tokens(
    solver: Solver, windows: PuzzleBatch, stopping: Stopping, flat: bool = False
) -> Iterator[TokenThoughts]:
    """Think about windows (B, L) for `stopping.budget` segments; yields after each. `done` says which tokens
    stop there, if they have not stopped before. flat: without recurrence, for one segment."""
    model = solver.model.flat() if flat else solver.model
    count, length = windows.inputs.shape
    tokens = to_device(torch.from_numpy(windows.inputs), solver.device).long()
    identifier = to_device(torch.from_numpy(windows.identifier), solver.device)
    carry, answer, agreed = model.initial_carry(count), None, np.zeros(count * length, np.int64)
    was_training = model.training
    solver.model.eval()
    try:
        for segment in range(1, 1 + (1 if flat else stopping.budget)):
            before = carry
            carry, logits, q = model(carry, tokens, identifier, each=True)
            log_p = log_probabilities(logits, solver.loss)
            entropy = torch.special.entr(log_p.exp()).sum(-1)
            change = _change(carry.z_h, before.z_h)[:, model.prefix :]
            log_p, q, entropy, change = ToCpu(log_p, q, entropy, change).wait()
            said = log_p.argmax(-1).to(torch.uint8).view(-1, 1).numpy()
            same = np.zeros(len(said), np.bool_) if answer is None else (said == answer)[:, 0]
            agreed, answer = np.where(same, agreed + 1, 1), said
            thoughts = Thoughts(
                index=np.arange(count * length),
                segment=np.full(count * length, segment),
                inputs=windows.inputs.reshape(-1, 1),
                answer=said,
                q=q.reshape(-1, 2).numpy(),
                agreed=agreed,
                change=change.reshape(-1).numpy(),
                entropy=entropy.reshape(-1).numpy(),
                done=np.zeros(count * length, np.bool_),
            )
            thoughts.done[:] = stopping.stops(thoughts, solver)
            yield TokenThoughts(log_p, thoughts)
    finally:
        solver.model.train(was_training)


def _change(new: Tensor, old: Tensor) -> Tensor:
    """(B, S) how far a segment moved the state of each position, relative to its length."""
    return (new.float() - old.float()).norm(dim=-1) / new.float().norm(dim=-1)
