"""Watching a network think: its states after every update, and what its attention looked at.

    with trace(model) as seen:
        carry, logits, q = model(carry, tokens, identifier)
        for update in seen.take():
            update.level, update.cycle, update.state, update.attention

Nothing in the networks knows of this: inside the context hooks hang on their modules, outside there are none,
so that a network that is not watched runs as if this module did not exist.

Legend: B slots, S positions, D hidden size, N heads.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from hrm_rl.models.layers.attention import Attention
from hrm_rl.models.layers.fused import at_least_float32
from hrm_rl.models.layers.positions import Rotation, rotate
from hrm_rl.models.recurrent import RecurrentModel, RecurrentModule


class Place(NamedTuple):
    """Which update of a segment."""

    level: Literal["h", "l"]
    """The state that is updated: z_h or z_l."""
    cycle: int
    """h_cycle, from 1."""
    step: int
    """Update of this state within the cycle, from 1."""

    def __str__(self) -> str:
        """`z_l 1.2`: the state, the cycle, the update within the cycle."""
        return f"z_{self.level} {self.cycle}.{self.step}"


@dataclass(frozen=True)
class Update:
    """One update of a state, as it was seen."""

    segment: int
    """Forward pass of the network since the trace began, from 1."""
    place: Place
    state: Tensor
    """(B, S, D) the state after the update, detached."""
    attention: tuple[Tensor, ...] = ()
    """For each layer (slots, N, S, S), of as many slots as were asked for: how much position i (third axis)
    takes from position j (fourth); rows add up to 1.
    Empty if none were, or if the network mixes positions by an MLP."""


@dataclass
class Trace:
    """What was seen and not yet taken."""

    updates: list[Update] = field(default_factory=list)
    segment: int = 0

    def take(self) -> list[Update]:
        """The updates since the last call, in order; they are forgotten here."""
        taken, self.updates = self.updates, []
        return taken


def updates_of(model: RecurrentModel) -> list[Place]:
    """The updates of one segment, in the order in which the network makes them (see
    `think` of the networks)."""
    config = model.config
    if not model.has_low_level:  # z_h alone, h_cycles * l_cycles times
        return [
            Place("h", c, s) for c in range(1, config.h_cycles + 1) for s in range(1, config.l_cycles + 1)
        ]
    cycles = range(1, config.h_cycles + 1)
    steps = range(1, config.l_cycles + 1)
    return [place for c in cycles for place in (*(Place("l", c, s) for s in steps), Place("h", c, 1))]


@contextmanager
def trace(model: RecurrentModel, attention: int = 0) -> Iterator[Trace]:
    """Inside, all updates of `model` are recorded. attention: of how many slots, from the first on, the maps
    are worked out a second time and recorded; B N S S numbers a layer are many."""
    seen, places = Trace(), updates_of(model)
    maps: list[Tensor] = []

    def begin(_: nn.Module, __: Any) -> None:
        seen.segment += 1

    def looked(module: nn.Module, args: Any) -> None:
        assert isinstance(module, Attention)
        x, by = args
        maps.append(attention_map(module, x[:attention], by))

    def updated(_: nn.Module, __: Any, state: Tensor) -> None:
        made = sum(update.segment == seen.segment for update in seen.updates)
        seen.updates.append(Update(seen.segment, places[made], state.detach(), tuple(maps)))
        maps.clear()

    hooks = [model.register_forward_pre_hook(begin)]
    for module in model.modules():
        if isinstance(module, RecurrentModule):
            hooks.append(module.register_forward_hook(updated))
        elif isinstance(module, Attention) and attention:
            hooks.append(module.register_forward_pre_hook(looked))
    # Compiled blocks would not call the hooks within them.
    compiled = any(
        module.announce is not None for module in model.modules() if isinstance(module, RecurrentModule)
    )
    try:
        with torch.compiler.set_stance("force_eager") if compiled else nullcontext():
            yield seen
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def attention_map(module: Attention, x: Tensor, by: Rotation | None) -> Tensor:
    """(B, N, S, S) in float32: softmax(q k / sqrt(head width)) of each head, for the
    input (B, S, D) of `module`."""
    slots, positions, width = x.shape
    heads = module.qkv_proj(x).view(slots, positions, -1, width // module.num_heads).transpose(1, 2)
    query, key, _ = heads.split((module.num_heads, module.num_kv_heads, module.num_kv_heads), dim=1)
    if by is not None:
        query, key = rotate(query, by), rotate(key, by)
    key = key.repeat_interleave(module.num_heads // module.num_kv_heads, 1)
    scores = at_least_float32(query) @ at_least_float32(key).transpose(-1, -2) / query.shape[-1] ** 0.5
    if module.causal:
        later = torch.ones(positions, positions, dtype=torch.bool, device=x.device).triu(1)
        scores = scores.masked_fill(later, -torch.inf)
    return scores.softmax(-1)
