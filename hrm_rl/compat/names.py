"""Others' checkpoint files: reading them without unpickling anything but tensors, and
their names for our weights.

Our state dict's names are the middle: a layout maps a file's tensors to them, hrm_rl/compat/convert.py does
the rest. Legend: D hidden size, V vocabulary.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from hrm_rl.utils.errors import UserError

LayoutName = Literal["hrm", "trm", "mlx"]

PREFIXES = ("_orig_mod.", "model.", "inner.", "module.")
"""What torch.compile, the loss head, the ACT wrapper and DDP put before a name, in any order."""
WRITTEN_PREFIX = "_orig_mod.model.inner."
"""Under which upstream's evaluate.py finds its weights, compiled or not."""

_OFFICIAL = {
    "H_init": "h_init",
    "L_init": "l_init",
    "embed_tokens.embedding_weight": "embed_tokens.weight",
    "embed_pos.embedding_weight": "embed_pos",
    "puzzle_emb.weights": "puzzle_emb.weight",
    "lm_head.weight": "lm_head.weight",
    "q_head.weight": "q_head.weight",
    "q_head.bias": "q_head.bias",
}
_MLX = {
    "clsToken": "cls_token",
    "inputEmbedding.embeddings": "embed_tokens.weight",
    "outputHead.weight": "lm_head.weight",
    "qACTHead.weight": "q_head.weight",
    "qACTHead.bias": "q_head.bias",
    "initialHiddenStatesParams.highLevel": "h_init",
    "initialHiddenStatesParams.lowLevel": "l_init",
}
_MLX_TABLES = ("rotaryEmb.cos", "rotaryEmb.sin")
"""Of the Swift version's rotary positions, (S, 1, H) each: it saves them among its weights."""
_MLX_LAYERS = {
    "selfAttn.qkvProj": "self_attn.qkv_proj",
    "selfAttn.outProj": "self_attn.o_proj",
    "mlp.gateUpProj": "mlp.gate_up_proj",
    "mlp.downProj": "mlp.down_proj",
}


@dataclass(frozen=True)
class Source:
    """A file's tensors under our names."""

    layout: LayoutName
    tensors: dict[str, Tensor]
    """By our names; what the layout does not know keeps its own name."""
    names: Callable[[str], str]
    """The layout's name for one of ours."""
    dtype: Literal["float32", "bfloat16"]
    """Of the computation that the weights were trained in, as far as the file shows it."""
    tables: tuple[Tensor, ...] = ()
    """cos and sin of the rotary positions, (S, 1, H) each, where the file holds them."""


def read_tensors(path: Path) -> dict[str, Any]:
    """What a file of torch.save or safetensors holds, by name. Raises UserError.

    torch.load(weights_only=True) unpickles tensors and plain containers; anything else is refused.
    """
    try:
        with path.open("rb") as file:
            head = file.read(9)
        if head[8:] == b"{":  # safetensors: the length of a JSON header, then the header
            return dict(safetensors.torch.load_file(path))
        with warnings.catch_warnings():  # it remarks on the protocol of what it then refuses
            warnings.simplefilter("ignore")
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
    except SafetensorError as error:
        raise UserError(f"{path} is no sound safetensors file: {error}") from None
    except Exception as error:  # UnpicklingError, RuntimeError, EOFError, ...: whatever the bytes provoke
        raise UserError(
            f"{path} is refused: it is damaged, or holds more than tensors, which could run code "
            f"({_reason(error)}); have its owner save model.state_dict() alone"
        ) from None
    for key in ("model_state_dict", "state_dict", "model"):
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not isinstance(loaded, dict) or not all(isinstance(key, str) for key in loaded):
        raise UserError(f"{path} holds no state dict of named tensors")
    return dict(loaded)


def _reason(error: Exception) -> str:
    found = re.search(r"Unsupported (?:global|operand|class)[^.\n]*\S*", str(error))
    text = found.group() if found else (str(error).strip().splitlines() or [type(error).__name__])[0]
    return text[:120]


def recognise(names: list[str]) -> LayoutName:
    """The layout that these names belong to."""
    if any(name.endswith(("clsToken", "inputEmbedding.embeddings")) for name in names):
        return "mlx"
    return "hrm" if any("H_level." in name for name in names) else "trm"


def read(path: Path, layout: LayoutName | None = None) -> Source:
    """The tensors of a checkpoint file under our names. layout: found out if not given. Raises UserError."""
    found = read_tensors(path)
    entries = {name: value for name, value in found.items() if isinstance(value, Tensor)}
    others = sorted(set(found) - set(entries))
    layout = layout or recognise(list(entries))
    rename = _from_mlx if layout == "mlx" else from_official
    tensors: dict[str, Tensor] = {}
    origin: dict[str, str] = {}
    for name, value in entries.items():
        ours = rename(strip(name))
        if ours in tensors:
            raise UserError(f"{path} holds '{origin[ours]}' and '{name}', which are the same weight")
        tensors[ours], origin[ours] = value, name
    if others:
        raise UserError(f"{path} holds entries that are no tensors: {', '.join(others)}")
    start = tensors.get("h_init")
    dtype: Literal["float32", "bfloat16"] = (
        "bfloat16" if start is not None and start.dtype == torch.bfloat16 else "float32"
    )
    names: Callable[[str], str] = to_official
    tables: tuple[Tensor, ...] = ()
    if layout == "mlx":
        names, tables = to_mlx, _take_tables(tensors)
        tensors = {k: _from_mlx_order(k, v) for k, v in tensors.items()}
    return Source(layout, {k: v.float() for k, v in tensors.items()}, names, dtype, tables)


def _take_tables(tensors: dict[str, Tensor]) -> tuple[Tensor, ...]:
    """The rotary tables, taken out of the tensors; none unless both are there and have the shape of such."""
    found = [tensors[name] for name in _MLX_TABLES if name in tensors]
    shapes = {tuple(table.shape) for table in found}
    if len(found) < len(_MLX_TABLES) or len(shapes) > 1 or found[0].ndim != 3 or found[0].shape[1] != 1:
        return ()
    return tuple(tensors.pop(name).float() for name in _MLX_TABLES)


def strip(name: str) -> str:
    """A name without the prefixes of its wrappers."""
    while name.startswith(PREFIXES):
        name = name.split(".", 1)[1]
    return name


def from_official(name: str) -> str:
    """Our name of a tensor of sapientinc's or TinyRecursiveModels', given without prefixes; what the layout
    does not know, ours among it, stays as it is."""
    if name in _OFFICIAL:
        return _OFFICIAL[name]
    return re.sub(r"^([HL])_level\.", lambda m: f"{m.group(1).lower()}_level.", name)


def to_official(name: str) -> str:
    """sapientinc's and TinyRecursiveModels' name of one of our tensors."""
    backwards = {ours: theirs for theirs, ours in _OFFICIAL.items()}
    if name in backwards:
        return backwards[name]
    return re.sub(r"^([hl])_level\.", lambda m: f"{m.group(1).upper()}_level.", name)


def _from_mlx(name: str) -> str:
    if name in _MLX:
        return _MLX[name]
    match = re.fullmatch(r"(high|low)LevelReasoner\.blocks\.(\d+)\.(\w+\.\w+)\.weight", name)
    if match is None or match.group(3) not in _MLX_LAYERS:
        return name
    level, index, part = match.groups()
    return f"{level[0]}_level.layers.{index}.{_MLX_LAYERS[part]}.weight"


def to_mlx(name: str) -> str:
    """The Swift version's name of one of our tensors."""
    backwards = {ours: theirs for theirs, ours in _MLX.items()}
    match = re.fullmatch(r"([hl])_level\.layers\.(\d+)\.(\w+\.\w+)\.weight", name)
    if match is None:
        return backwards.get(name, name)
    level, index, part = match.groups()
    theirs = {ours: name for name, ours in _MLX_LAYERS.items()}.get(part, part)
    return f"{'high' if level == 'h' else 'low'}LevelReasoner.blocks.{index}.{theirs}.weight"


def _from_mlx_order(name: str, value: Tensor) -> Tensor:
    """A tensor of the Swift version in our order: matrices are (in, out) there, and there is no PAD token.

    PAD, our token 0, is in no puzzle of the Swift version. Its embedding is zero; its logit is that of blank,
    which is never a right answer, so that it takes no place from a digit.
    """
    if name == "embed_tokens.weight" and value.ndim == 2:
        return torch.cat((torch.zeros_like(value[:1]), value))
    if value.ndim == 2:
        value = value.T.contiguous()
    if name == "lm_head.weight" and value.ndim == 2:
        return torch.cat((value[:1], value))
    return value
