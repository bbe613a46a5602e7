"""The (N, T) form of HRM for continuous inputs, and deep supervision for it.

Legend: B examples, L positions, D hidden_dim. Section 2 of arXiv 2506.21734; the names are those of the small
re-implementations that follow it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from hrm_rl.config import ModelConfig
from hrm_rl.models.layers.linear import init_truncated_normal_
from hrm_rl.models.layers.positions import rope_frequencies, rotation
from hrm_rl.models.recurrent import RecurrentModule
from hrm_rl.utils.errors import UserError, first_problem

States = tuple[Tensor, Tensor]
"""z_h and z_l, each (B, L, D), or (B, 1, D) before the first segment."""


class HierarchicalReasoningModel(nn.Module):
    """N high-level cycles of T low-level updates a segment: `states, output = model(x, states)`.

    x: (B, L, input_dim) numbers.  output: (B, L, output_dim).  states: detached, for the
    next segment; without them the segment begins at the initial states. Only the last
    update of each level carries gradient.
    """

    h_init: Tensor
    l_init: Tensor

    def __init__(
        self,
        input_dim: int,
        hidden_dim: int,
        output_dim: int,
        N: int,
        T: int,
        num_transformer_layers: int = 2,
        num_heads: int = 4,
        expansion: float = 4.0,
    ):
        """num_transformer_layers: blocks of each level. Raises UserError for sizes that do not fit."""
        super().__init__()
        counts = {
            "input_dim": input_dim, "hidden_dim": hidden_dim, "output_dim": output_dim, "N": N, "T": T,
            "num_transformer_layers": num_transformer_layers, "num_heads": num_heads,
        }  # fmt: skip
        wrong = [f"{name}={value} must be at least 1" for name, value in counts.items() if value < 1]
        wrong += [] if expansion > 0 else [f"expansion={expansion} must be above 0"]
        if wrong:
            raise UserError(f"HierarchicalReasoningModel: {', '.join(wrong)}")
        try:
            self.config = ModelConfig(
                hidden_size=hidden_dim,
                num_heads=num_heads,
                h_layers=num_transformer_layers,
                l_layers=num_transformer_layers,
                h_cycles=N,
                l_cycles=T,
                expansion=expansion,
                swiglu_multiple=1,
            )
        except ValidationError as error:
            reason = first_problem(error).replace("hidden_size", "hidden_dim")
            raise UserError(f"HierarchicalReasoningModel: {reason}") from None
        self.N, self.T = N, T
        self.input_embedding = nn.Linear(input_dim, hidden_dim)
        # Attention does not ask for the number of positions, so that an input may have any length.
        self.high_level_module = RecurrentModule(num_transformer_layers, self.config, positions=1)
        self.low_level_module = RecurrentModule(num_transformer_layers, self.config, positions=1)
        self.output_head = nn.Linear(hidden_dim, output_dim)
        self.register_buffer("h_init", init_truncated_normal_(torch.empty(hidden_dim), 1.0))
        self.register_buffer("l_init", init_truncated_normal_(torch.empty(hidden_dim), 1.0))

    def initialize_hidden_states(self, batch_size: int, device: torch.device | str | None = None) -> States:
        """The states of `batch_size` examples that have not begun: each (B, 1, D)."""
        shape = (batch_size, 1, self.config.hidden_size)
        return self.h_init.expand(shape).to(device), self.l_init.expand(shape).to(device)

    def forward(self, x: Tensor, states: States | None = None) -> tuple[States, Tensor]:
        """One segment."""
        slots, positions, _ = x.shape
        z_h, z_l = self.initialize_hidden_states(slots, x.device) if states is None else states
        shape = (slots, positions, self.config.hidden_size)
        z_h, z_l = z_h.expand(shape), z_l.expand(shape)
        width = self.config.hidden_size // self.config.num_heads
        cos, sin = rotation(
            torch.arange(positions)[:, None], [rope_frequencies(width // 2, self.config.rope_theta)]
        )
        by = (cos.to(x.device), sin.to(x.device))

        injected = self.input_embedding(x)
        with torch.no_grad():
            for step in range(1, self.N * self.T):
                z_l = self.low_level_module(z_l, z_h + injected, by)
                if step % self.T == 0:
                    z_h = self.high_level_module(z_h, z_l, by)
        z_l = self.low_level_module(z_l, z_h + injected, by)
        z_h = self.high_level_module(z_h, z_l, by)
        return (z_h.detach(), z_l.detach()), self.output_head(z_h)


class DeepSupervisionTrainer:
    """Several segments an example, each with its own loss and its own optimiser step, the states handed on
    detached (section "Deep supervision" of the paper)."""

    def __init__(self, model: HierarchicalReasoningModel, segments_per_example: int = 4):
        if segments_per_example < 1:
            raise UserError(f"segments_per_example={segments_per_example} must be at least 1")
        self.model = model
        self.segments_per_example = segments_per_example

    def train_step(
        self,
        x: Tensor,
        y: Tensor,
        criterion: Callable[[Tensor, Tensor], Tensor],
        optimizer: torch.optim.Optimizer,
        initial_states: States | None = None,
        max_grad_norm: float = 1.0,
    ) -> dict[str, Any]:
        """Learn from one batch: x (B, L, input_dim), y as `loss_of` takes it.

        max_grad_norm: largest gradient norm; 0 does not clip.
        Returns `segment_losses`, their `total_loss` and `average_loss`, the last
        `grad_norm` and the `states`.
        """
        self.model.train()
        states, losses = initial_states, []
        norm = 0.0
        for _ in range(self.segments_per_example):
            states, output = self.model(x, states)
            loss = loss_of(criterion, output, y)
            optimizer.zero_grad()
            loss.backward()
            largest = max_grad_norm if max_grad_norm > 0 else float("inf")
            norm = float(nn.utils.clip_grad_norm_(self.model.parameters(), largest))
            optimizer.step()
            losses.append(float(loss.detach()))
        total = sum(losses)
        return {
            "total_loss": total,
            "average_loss": total / len(losses),
            "segment_losses": losses,
            "grad_norm": norm,
            "states": states,
        }

    @torch.no_grad()
    def validate_step(
        self, x: Tensor, y: Tensor, criterion: Callable[[Tensor, Tensor], Tensor]
    ) -> dict[str, Any]:
        """`loss` after the last segment, and for classes `accuracy` (else None)."""
        self.model.eval()
        states, output = self.model(x)
        for _ in range(self.segments_per_example - 1):
            states, output = self.model(x, states)
        accuracy = None
        if not y.is_floating_point():
            accuracy = float((output.argmax(-1).flatten() == y.flatten()).float().mean())
        return {"loss": float(loss_of(criterion, output, y)), "accuracy": accuracy}


def loss_of(criterion: Callable[[Tensor, Tensor], Tensor], output: Tensor, y: Tensor) -> Tensor:
    """The criterion on an output (B, L, output_dim).

    Integers y are classes, one for each position: (B, L), or (B,) where L is 1; the criterion sees (B*L,
    classes) and (B*L,). Numbers y are compared as they are, (B, L, output_dim), or (B, output_dim) where L is
    1. Raises UserError for other shapes, which a criterion might broadcast.
    """
    if not y.is_floating_point():
        if y.numel() != output.shape[:2].numel():
            raise UserError(
                f"classes y {tuple(y.shape)} are not one for each of {tuple(output.shape[:2])} (B, L)"
            )
        return criterion(output.flatten(0, 1), y.flatten())
    predicted = output.squeeze(1) if y.ndim == 2 else output
    if y.shape != predicted.shape:
        raise UserError(
            f"y {tuple(y.shape)} has not the shape of the output, {tuple(output.shape)} (B, L, output_dim)"
        )
    return criterion(predicted, y)
