"""One segment as a program of torch.export, to be saved, and run where this package is not installed.

The segment is the unit: how many there are depends on the puzzle, and a host program of some twenty lines
decides it (docs/export.md, hrm_rl/export/runner.py). Tensors go in and out by name, the next state under the
names of the last one, so that the host need not know what a network has:

    tokens (B, L) and identifier (B,), int64; z_h, z_l (B, S, D) -> z_h, z_l, logits (B, L, V), q (B, 2)

A network without puzzle embeddings takes no `identifier`, one without a low level has no `z_l`. B is free; so
is L where nothing in the network is made for one length: attention that is told no positions.

Everything is computed in float32, whatever `model.dtype` says: bfloat16 is for training, and few runtimes
have it on a CPU.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from hrm_rl.models import Carry, RecurrentModel
from hrm_rl.models.layers.attention import LONGEST_SPELLED_OUT
from hrm_rl.models.layers.linear import Linear
from hrm_rl.utils.errors import UserError, one_line

STATES = ("z_h", "z_l")


def in_float32(model: RecurrentModel) -> RecurrentModel:
    """A copy on the CPU that computes in float32 and does not learn: what every export is compared with."""
    twin = copy.deepcopy(model).cpu().float().eval()
    twin.compute_dtype = torch.float32
    return twin.requires_grad_(False)


def with_identifier(model: RecurrentModel, identifier: int) -> RecurrentModel:
    """A copy whose table of puzzle embeddings is the row `identifier` alone, as its row 0. Raises UserError
    for a row or a table that is not there."""
    table = getattr(model, "puzzle_emb", None)
    if table is None:
        raise UserError("this model has no puzzle embeddings: leave out --identifier")
    if not 0 <= identifier < len(table.weight):
        raise UserError(
            f"--identifier {identifier}: the model's table has the rows 0 to {len(table.weight) - 1}"
        )
    twin = copy.deepcopy(model)
    twin.puzzle_emb.weight = table.weight[identifier : identifier + 1].clone()
    return twin


class SegmentProgram(nn.Module):
    """`forward` is one segment of a network, with tensors by name."""

    def __init__(self, model: RecurrentModel):
        super().__init__()
        self.model = in_float32(model)
        _turn_weights(self.model)
        table = getattr(model, "puzzle_emb", None)
        self.takes_identifier = table is not None and len(table.weight) > 1
        self.states = STATES if model.has_low_level else STATES[:1]

    def forward(
        self, tokens: Tensor, z_h: Tensor, z_l: Tensor | None = None, identifier: Tensor | None = None
    ) -> dict[str, Tensor]:
        carry = Carry(z_h, z_h[..., :0] if z_l is None else z_l)
        row = torch.zeros_like(tokens[:, 0]) if identifier is None else identifier
        after, logits, q = self.model(carry, tokens, row)
        states = {name: getattr(after, name) for name in self.states}
        return states | {"logits": logits, "q": q}

    def example(self, slots: int) -> dict[str, Tensor]:
        """Inputs of the right shapes."""
        tokens = torch.ones(slots, len(self.model.coordinates), dtype=torch.long)
        carry = self.model.initial_carry(slots)
        given = {"tokens": tokens} | {name: getattr(carry, name).contiguous() for name in self.states}
        return given | ({"identifier": tokens[:, 0].clone()} if self.takes_identifier else {})

    @property
    def free_length(self) -> tuple[int, int] | None:
        """The least and the largest L, where L is free; else None."""
        config, prefix = self.model.config, self.model.prefix
        if config.mixer != "attention" or config.pos_encodings != "none":
            return None
        split = LONGEST_SPELLED_OUT["no gradient"]  # of S: attention is computed in one of two ways
        return (1, split - prefix) if self.model.positions <= split else (split - prefix + 1, 4096)


class _TurnedLinear(nn.Module):
    """`Linear` whose weight lies as a product wants it, (fan_in, fan_out): no program has to turn it."""

    def __init__(self, weight: Tensor):
        super().__init__()
        self.register_buffer("weight", weight.detach().t().contiguous())
        self.weight: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight


def _turn_weights(model: nn.Module) -> None:
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, Linear):
                setattr(parent, name, _TurnedLinear(child.weight))


def segment_program(model: RecurrentModel) -> ExportedProgram:
    """One segment of a network. Raises UserError for one that torch.export cannot follow."""
    segment = SegmentProgram(model).eval()
    inputs, batch = segment.example(2), Dim("batch", min=1)
    shapes: dict[str, dict[int, Any]] = {name: {0: batch} for name in inputs}
    if segment.free_length is not None:
        least, most = segment.free_length
        length = Dim("length", min=least, max=most)
        shapes["tokens"][1] = length
        for name in segment.states:
            shapes[name][1] = length + segment.model.prefix if segment.model.prefix else length
    try:
        with torch.no_grad():
            found = torch.export.export(segment, (), inputs, dynamic_shapes=shapes)
    except Exception as error:  # its errors have no common base, and what it cannot follow is the network's
        raise UserError(
            f"torch.export cannot follow the network '{model.config.name}': {one_line(error, 160)}"
        ) from None
    for node in found.graph.nodes:
        node.meta.pop("stack_trace", None)  # names the folders of this machine
    return found


def save_program(program: ExportedProgram, path: Path, about: str) -> None:
    """Write `.pt2`. about: JSON that comes with it (`extra_files` of torch.export.load)."""
    torch.export.save(program, path, extra_files={"segment.json": about})


def save_compiled(program: ExportedProgram, path: Path, about: str) -> None:
    """Write a package of AOTInductor: machine code for processors like this one. Raises UserError where no
    compiler works."""
    inductor: Any = torch._inductor
    try:
        with torch.no_grad():
            inductor.aoti_compile_and_package(
                program,
                package_path=str(path),
                inductor_configs={"aot_inductor.metadata": {"segment": about}},
            )
    except Exception as error:  # of the compiler, of inductor, of the linker
        raise UserError(f"AOTInductor cannot compile here: {one_line(error, 160)}") from None
