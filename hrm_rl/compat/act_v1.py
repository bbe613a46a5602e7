"""`HRMACTv1`: the interface of sapientinc/HRM's HierarchicalReasoningModel_ACTV1 over our HRM.

Legend: B slots, L tokens, V vocabulary. The golden trace passes through this form too
(tests/compat/test_compat.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field, ValidationError
from torch import Tensor, nn

from hrm_rl.agents.act import halting
from hrm_rl.compat.names import from_official, strip
from hrm_rl.compat.sparse import CastedSparseEmbedding
from hrm_rl.config import HaltingConfig, ModelConfig, Positive, Probability, Section
from hrm_rl.models import Carry, build_model
from hrm_rl.utils.errors import UserError, first_problem, nearest

BOOTSTRAP = halting.Q_TARGETS["bootstrap"]
"""What upstream teaches the value of continuing."""
Batch = Mapping[str, Tensor]
"""`inputs` (B, L) and `puzzle_identifiers` (B,), integers; whatever else it holds is carried along."""


class ACTV1Config(Section):
    """The keys of upstream's configuration."""

    batch_size: Positive
    """Slots. Not needed here; upstream sizes a buffer by it."""
    seq_len: Positive
    puzzle_emb_ndim: Annotated[int, Field(ge=0)] = 0
    num_puzzle_identifiers: Positive
    vocab_size: Positive
    H_cycles: Positive
    L_cycles: Positive
    H_layers: Positive
    L_layers: Positive
    hidden_size: Positive
    expansion: Annotated[float, Field(gt=0.0)]
    num_heads: Positive
    pos_encodings: Literal["rope", "learned"]
    rms_norm_eps: Annotated[float, Field(ge=1e-5, le=1e-5)] = 1e-5
    """The only value there is here, and in all published configurations."""
    rope_theta: Annotated[float, Field(gt=0.0)] = 10000.0
    halt_max_steps: Positive
    halt_exploration_prob: Probability
    forward_dtype: Literal["bfloat16", "float32"] = "bfloat16"
    causal: Literal[False] = False
    """Upstream's training script passes it; attention is never causal there."""

    def model(self) -> ModelConfig:
        """The same network in this project's settings."""
        return ModelConfig(
            name="hrm",
            hidden_size=self.hidden_size,
            num_heads=self.num_heads,
            h_layers=self.H_layers,
            l_layers=self.L_layers,
            h_cycles=self.H_cycles,
            l_cycles=self.L_cycles,
            expansion=self.expansion,
            pos_encodings=self.pos_encodings,
            rope_theta=self.rope_theta,
            puzzle_emb_ndim=self.puzzle_emb_ndim,
            dtype=self.forward_dtype,
        )


@dataclass
class ACTV1Carry:
    """What goes from one call to the next."""

    inner_carry: Carry
    steps: Tensor
    """(B,) segments spent on the present puzzle."""
    halted: Tensor
    """(B,) slots that take the batch's row at the next call."""
    current_data: dict[str, Tensor]
    """The rows that the slots think about."""


class HRMACTv1(nn.Module):
    """HRM with adaptive computation time, slot replacement and Q-targets inside the
    model, as upstream has it.

        model = HRMACTv1(config_dict)
        carry = model.initial_carry(batch)
        carry, outputs = model(carry, batch)

    outputs: `logits` (B, L, V), `q_halt_logits` and `q_continue_logits` (B,), and in training mode,
    unless the budget is one segment, `target_q_continue` (B,). In training mode a slot halts by its
    Q-values, with exploration from torch's global CPU generator; in evaluation mode every slot runs to
    `halt_max_steps`, as upstream does. scripts/evaluate.py halts adaptively instead. The weights are
    those of `model.inner`, our HRM; load_state_dict takes upstream's names, under any of its wrappers'
    prefixes, as well as ours, which state_dict gives.
    """

    def __init__(self, config_dict: Mapping[str, Any]):
        """config_dict: upstream's keys. Raises UserError for a key that is unknown, missing or wrong."""
        super().__init__()
        self.config = read_config(config_dict)
        self.inner = build_model(
            self.config.model(),
            self.config.vocab_size,
            np.zeros((self.config.seq_len, 1), np.int64),  # neither rope nor learned positions look at them
            self.config.num_puzzle_identifiers,
        )
        self.register_load_state_dict_pre_hook(_take_upstreams_names)
        self.halting = HaltingConfig(
            halt_max_steps=self.config.halt_max_steps, halt_exploration_prob=self.config.halt_exploration_prob
        )

    @property
    def puzzle_emb(self) -> CastedSparseEmbedding:
        return CastedSparseEmbedding(self.inner.puzzle_emb)

    def initial_carry(self, batch: Batch) -> ACTV1Carry:
        """All slots halted, so that the first call fills them from its batch."""
        inputs = batch["inputs"]
        slots = len(inputs)
        return ACTV1Carry(
            inner_carry=self.inner.initial_carry(slots),
            steps=torch.zeros(slots, dtype=torch.int32, device=inputs.device),
            halted=torch.ones(slots, dtype=torch.bool, device=inputs.device),
            current_data={key: torch.empty_like(value) for key, value in batch.items()},
        )

    def forward(self, carry: ACTV1Carry, batch: Batch) -> tuple[ACTV1Carry, dict[str, Tensor]]:
        """One segment in every slot; halted slots first take their row of `batch` and start over."""
        new, budget = carry.halted, self.config.halt_max_steps
        inner = carry.inner_carry.replace_rows(new, self.inner.initial_carry(len(new)))
        data = {
            key: torch.where(new.view(-1, *[1] * (old.ndim - 1)), batch[key], old)
            for key, old in carry.current_data.items()
        }
        tokens, identifier = data["inputs"].long(), data["puzzle_identifiers"].long()
        inner, logits, q = self.inner(inner, tokens, identifier)
        outputs = {"logits": logits, "q_halt_logits": q[:, 0], "q_continue_logits": q[:, 1]}

        steps = torch.where(new, 0, carry.steps) + 1
        halted = steps >= budget
        if self.training and budget > 1:
            with torch.no_grad():
                next_q = self.inner(inner, tokens, identifier)[2]
                outputs["target_q_continue"] = BOOTSTRAP.targets(next_q, steps, budget)
                halted = halted | halting.decide(q, steps, self._explore(steps), BOOTSTRAP)
        return ACTV1Carry(inner, steps, halted, data), outputs

    def _explore(self, steps: Tensor) -> Tensor:
        """(B,) the number of segments before which halting is forbidden, drawn at every segment."""
        none = torch.zeros(len(steps), dtype=torch.int64)
        floor = halting.explore(none, steps.cpu(), self.halting, torch.default_generator)
        return floor.to(steps.device)


def _take_upstreams_names(model: nn.Module, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
    """Give what a state dict holds for `model`, under `prefix`, our names, in place. What is no weight of the
    model keeps its name, to be reported."""
    assert isinstance(model, HRMACTv1)
    ours = {f"inner.{name}" for name in model.inner.state_dict()}
    for key in [key for key in state_dict if key.startswith(prefix)]:
        name = f"inner.{from_official(strip(key.removeprefix(prefix)))}"
        if name not in ours or prefix + name == key:
            continue
        if prefix + name in state_dict:
            raise UserError(f"HRMACTv1: the state dict holds '{key}' and '{prefix + name}', the same weight")
        state_dict[prefix + name] = state_dict.pop(key)


def read_config(values: Mapping[str, Any]) -> ACTV1Config:
    """Upstream's configuration, checked. Raises UserError naming the keys that are wrong."""
    known = ACTV1Config.model_fields
    unknown = [f"'{key}'{nearest(key, known)}" for key in values if key not in known]
    if unknown:
        raise UserError(f"HRMACTv1: unknown configuration key {', '.join(unknown)}")
    missing = [key for key, field in known.items() if field.is_required() and key not in values]
    if missing:
        raise UserError(f"HRMACTv1: the configuration lacks {', '.join(missing)}")
    try:
        config = ACTV1Config.model_validate(dict(values))
        config.model()
    except ValidationError as error:
        raise UserError(f"HRMACTv1: {first_problem(error)}") from None
    return config
