"""Checkpoints of other projects, made from the layouts' descriptions, and a network written for these tests
that thinks as theirs do. No published weights were at hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import yaml
from torch import Tensor

from hrm_rl.cli import convert as convert_command
from hrm_rl.models import RecurrentModel
from hrm_rl.utils.errors import UserError

D, HEADS, V, L = 32, 2, 6, 16
TASK = ("--task", "sudoku", "--size", "4")
SIZES = ("--num-heads", str(HEADS), "--h-cycles", "2", "--l-cycles", "3")
HRM_LEVELS = {"H_level": 1, "L_level": 2}


def rms(x: Tensor) -> Tensor:
    return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt()


def swiglu(x: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    half = gate_up.shape[0] // 2
    return (F.silu(x @ gate_up[:half].T) * (x @ gate_up[half:].T)) @ down.T


def attend(x: Tensor, qkv: Tensor, out: Tensor, rope: bool) -> Tensor:
    """Attention head by head, rotating pairs (i, i + half) as complex numbers."""
    width, half = D // HEADS, D // HEADS // 2
    angle = torch.outer(torch.arange(x.shape[1]), 10000.0 ** (-torch.arange(half) * 2 / width))
    turn = torch.polar(torch.ones_like(angle), angle)

    def rotated(y: Tensor) -> Tensor:
        if not rope:
            return y
        z = torch.complex(y[..., :half], y[..., half:]) * turn
        return torch.cat((z.real, z.imag), -1)

    heads = []
    for head in range(HEADS):
        rows = [slice((part * HEADS + head) * width, (part * HEADS + head + 1) * width) for part in range(3)]
        q, k, v = (x @ qkv[r].T for r in rows)
        weight = (rotated(q) @ rotated(k).transpose(1, 2) / math.sqrt(width)).softmax(-1)
        heads.append(weight @ v)
    return torch.cat(heads, -1) @ out.T


class Network:
    """The reference forward pass on a state dict with official names, in float32."""

    def __init__(self, state: dict[str, Tensor], h_cycles: int, l_cycles: int, prefix: int, rope: bool):
        self.w, self.h_cycles, self.l_cycles, self.prefix, self.rope = state, h_cycles, l_cycles, prefix, rope
        self.high = "H_level" if any(k.startswith("H_level") for k in state) else "L_level"

    def level(self, name: str, x: Tensor) -> Tensor:
        for i in range(sum(k.startswith(name) and k.endswith(".mlp.down_proj.weight") for k in self.w)):
            block = {
                k.removeprefix(f"{name}.layers.{i}.").removesuffix(".weight"): v
                for k, v in self.w.items()
                if k.startswith(f"{name}.layers.{i}.")
            }
            if "mlp_t.down_proj" in block:
                x = x.transpose(1, 2)
                x = rms(x + swiglu(x, block["mlp_t.gate_up_proj"], block["mlp_t.down_proj"])).transpose(1, 2)
            else:
                x = rms(x + attend(x, block["self_attn.qkv_proj"], block["self_attn.o_proj"], self.rope))
            x = rms(x + swiglu(x, block["mlp.gate_up_proj"], block["mlp.down_proj"]))
        return x

    def __call__(self, tokens: Tensor, identifier: Tensor, segments: int) -> tuple[Tensor, Tensor]:
        w = self.w
        x = w["embed_tokens.embedding_weight"][tokens]
        if self.prefix:
            rows = w["puzzle_emb.weights"][identifier]
            rows = F.pad(rows, (0, self.prefix * D - rows.shape[1])).view(len(x), self.prefix, D)
            x = torch.cat((rows, x), 1)
        if "embed_pos.embedding_weight" in w:
            x = 0.707106781 * (x + w["embed_pos.embedding_weight"])
        x = x * math.sqrt(D)
        h, low = w["H_init"].expand_as(x), w["L_init"].expand_as(x)
        for _ in range(segments):
            for _ in range(self.h_cycles):
                for _ in range(self.l_cycles):
                    low = self.level("L_level", low + h + x)
                h = self.level(self.high, h + low)
        return (h @ w["lm_head.weight"].T)[:, self.prefix :], h[:, 0] @ w["q_head.weight"].T + w[
            "q_head.bias"
        ]


def random_tensors(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {k: torch.randn(s, generator=generator) / math.sqrt(s[-1]) for k, s in shapes.items()}


def official(
    levels: dict[str, int], prefix: int, ndim: int = 0, learned: bool = False, mlp_t: bool = False
) -> dict[str, Tensor]:
    """A state dict of sapientinc/HRM or TinyRecursiveModels, as their modules name it;
    3 puzzle identifiers."""
    inner = 256
    shapes: dict[str, tuple[int, ...]] = {
        "H_init": (D,), "L_init": (D,), "embed_tokens.embedding_weight": (V, D), "lm_head.weight": (V, D),
        "q_head.weight": (2, D), "q_head.bias": (2,),
    }  # fmt: skip
    if ndim:
        shapes["puzzle_emb.weights"] = (3, ndim)
    if learned:
        shapes["embed_pos.embedding_weight"] = (prefix + L, D)
    for level, layers in levels.items():
        for i in range(layers):
            block = f"{level}.layers.{i}."
            if mlp_t:
                shapes[block + "mlp_t.gate_up_proj.weight"] = (2 * inner, prefix + L)
                shapes[block + "mlp_t.down_proj.weight"] = (prefix + L, inner)
            else:
                shapes[block + "self_attn.qkv_proj.weight"] = (3 * D, D)
                shapes[block + "self_attn.o_proj.weight"] = (D, D)
            shapes[block + "mlp.gate_up_proj.weight"] = (2 * inner, D)
            shapes[block + "mlp.down_proj.weight"] = (D, inner)
    return random_tensors(shapes)


def prefixed(state: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {prefix + k: v for k, v in state.items()}


def mlx(inner: int) -> dict[str, Tensor]:
    """The Swift version's parameters: 5 tokens of 4x4 Sudoku (blank 0, digits), one
    trained token before them."""
    shapes: dict[str, tuple[int, ...]] = {
        "clsToken": (D,), "inputEmbedding.embeddings": (V - 1, D), "outputHead.weight": (D, V - 1),
        "qACTHead.weight": (D, 2), "qACTHead.bias": (2,),
        "initialHiddenStatesParams.highLevel": (D,), "initialHiddenStatesParams.lowLevel": (D,),
    }  # fmt: skip
    for level in ("high", "low"):
        for i in range(2):
            block = f"{level}LevelReasoner.blocks.{i}."
            shapes[block + "selfAttn.qkvProj.weight"] = (D, 3 * D)
            shapes[block + "selfAttn.outProj.weight"] = (D, D)
            shapes[block + "mlp.gateUpProj.weight"] = (D, 2 * inner)
            shapes[block + "mlp.downProj.weight"] = (inner, D)
    angles = torch.outer(torch.arange(L + 1.0), 10000.0 ** -(torch.arange(0, D // HEADS, 2) / (D // HEADS)))
    table = torch.cat((angles, angles), -1)[
        :, None
    ]  # saved with the weights, since they are arrays of a module
    return random_tensors(shapes) | {"rotaryEmb.cos": table.cos(), "rotaryEmb.sin": table.sin()}


def saved(path: Path, state: dict[str, Any]) -> Path:
    torch.save(state, path)
    return path


def with_arch(folder: Path, state: dict[str, Any], **arch: Any) -> Path:
    """A checkpoint with its all_config.yaml beside it."""
    folder.mkdir()
    sizes = {"H_cycles": 2, "L_cycles": 3, "num_heads": HEADS}
    (folder / "all_config.yaml").write_text(yaml.safe_dump({"arch": sizes | arch}))
    return saved(folder / "step_10", state)


def run(*args: object) -> None:
    assert convert_command.main([str(a) for a in args]) == 0


def refused(*args: object) -> str:
    with pytest.raises(UserError) as error:
        convert_command.main([str(a) for a in args])
    return str(error.value)


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(7)
    return torch.randint(1, V, (4, L), generator=generator), torch.tensor([0, 1, 2, 1])


@torch.no_grad()
def thoughts(model: RecurrentModel, segments: int = 2) -> tuple[Tensor, Tensor]:
    tokens, identifier = batch()
    model.eval()
    carry = model.initial_carry(len(tokens))
    for _ in range(segments):
        carry, logits, q = model(carry, tokens, identifier)
    return logits, q
