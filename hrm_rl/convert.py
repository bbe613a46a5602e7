"""Checkpoints of other projects to ours and back: the network's sizes from the shapes, every key accounted for.

Legend: D hidden size, V vocabulary, L tokens, P positions before them, S = P + L.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from pydantic import ValidationError
from torch import Tensor

from hrm_rl.config import ModelConfig
from hrm_rl.errors import UserError
from hrm_rl.files import write_atomically
from hrm_rl.layouts import WRITTEN_PREFIX, Source, to_official
from hrm_rl.models import RecurrentModel, build_model

ARCH_FILE = "all_config.yaml"
"""Beside a checkpoint, both upstream projects write the run's configuration, with the network under `arch`."""

PUBLISHED = {
    "hrm": "--num-heads 8 --h-cycles 2 --l-cycles 2",
    "trm": "--num-heads 8 --h-cycles 3 --l-cycles 6 (mazes: --l-cycles 4)",
    "mlx": "--num-heads 4 --h-cycles 2 --l-cycles 2",
}


@dataclass(frozen=True)
class Sizes:
    """What shapes do not tell; None where it is not known."""

    length: int | None = None
    """L."""
    num_heads: int | None = None
    h_cycles: int | None = None
    l_cycles: int | None = None
    pos_encodings: str | None = None
    """`none` or `rope`, where there are no learned positions."""
    rope_theta: float = 10000.0
    puzzle_emb_len: int | None = None
    expansion: float = 4.0
    dtype: str | None = None


def read_arch(path: Path) -> dict[str, Any]:
    """`arch` of an all_config.yaml; empty if there is no such file. Raises UserError."""
    if not path.exists():
        return {}
    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {' '.join(str(error).split())}") from None
    arch = values.get("arch") if isinstance(values, dict) else None
    if not isinstance(arch, dict):
        raise UserError(f"{path} has no section 'arch'")
    return arch


def sizes_from_arch(arch: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of Sizes that an `arch` section states."""
    names = {
        "num_heads": "num_heads", "H_cycles": "h_cycles", "L_cycles": "l_cycles", "pos_encodings": "pos_encodings",
        "rope_theta": "rope_theta", "puzzle_emb_len": "puzzle_emb_len", "expansion": "expansion",
        "forward_dtype": "dtype",
    }  # fmt: skip
    found = {ours: arch[theirs] for theirs, ours in names.items() if arch.get(theirs) is not None}
    return {k: v for k, v in found.items() if not (k == "puzzle_emb_len" and v == 0)}


def convert(source: Source, sizes: Sizes, vocab_size: int | None = None) -> RecurrentModel:
    """Our network with the file's weights.

    vocab_size: of the task it is for. Raises UserError that names all missing, unexpected and misshapen keys, one
    line for each of the three.
    """
    config, length = infer(source, sizes)
    tensors = source.tensors
    tokens, identifiers = len(tensors["embed_tokens.weight"]), 1
    if "puzzle_emb.weight" in tensors:
        identifiers = len(tensors["puzzle_emb.weight"])
    if vocab_size is not None and tokens != vocab_size:
        raise UserError(
            f"the checkpoint knows {tokens} tokens, the task has {vocab_size}: name the task it was trained on"
        )
    model = build_model(config, tokens, np.zeros((length, 1), np.int64), identifiers)
    refuse_misfits(source, model)
    model.load_state_dict(tensors)
    return model


def refuse_misfits(source: Source, model: RecurrentModel) -> None:
    """Raise UserError if the file's tensors are not exactly those of the model."""
    expected = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    given = {name: tuple(t.shape) for name, t in source.tensors.items()}
    lines = {
        "missing": [source.names(name) for name in expected if name not in given],
        "unexpected": [source.names(name) for name in given if name not in expected],
        "misshapen": [
            f"{source.names(name)} {given[name]} for {shape}"
            for name, shape in expected.items()
            if given.get(name, shape) != shape
        ],
    }
    report = [f"{what}: {', '.join(names)}" for what, names in lines.items() if names]
    if report:
        order = (
            " (shapes in PyTorch's order, with PAD)" if source.layout == "mlx" and lines["misshapen"] else ""
        )
        raise UserError(
            f"the checkpoint does not fit the layout {source.layout}{order}\n" + "\n".join(report)
        )


def infer(source: Source, sizes: Sizes) -> tuple[ModelConfig, int]:
    """The network's settings and L, from shapes and, where they do not tell, from `sizes`. Raises UserError."""
    tensors = source.tensors
    mlp = next((name for name in tensors if name.endswith(".mlp_t.gate_up_proj.weight")), None)
    down = next((name for name in sorted(tensors) if name.endswith(".mlp.down_proj.weight")), None)
    needed = {"embed_tokens.weight": 2} | ({"puzzle_emb.weight": 2} if "puzzle_emb.weight" in tensors else {})
    lost = [source.names(name) for name in needed if name not in tensors]
    lost += ["*.layers.0.mlp.down_proj.weight"] if down is None else []
    if lost:
        raise UserError(
            f"the checkpoint does not fit the layout {source.layout}\nmissing: {', '.join(lost)} (sizes are read "
            "from these; is it another --format?)"
        )
    flat = [source.names(n) for n in [*needed, str(down), *([mlp] if mlp else [])] if tensors[n].ndim != 2]
    if flat:
        raise UserError(
            f"the checkpoint does not fit the layout {source.layout}\nmisshapen: {', '.join(flat)}"
        )
    _refuse_unknown_sizes(source, sizes, needs_heads=mlp is None)

    width = tensors["embed_tokens.weight"].shape[1]
    ndim = tensors["puzzle_emb.weight"].shape[1] if "puzzle_emb.weight" in tensors else 0
    emb_len = None
    if source.layout == "trm" and ndim:
        emb_len = sizes.puzzle_emb_len or max(16, math.ceil(ndim / width))
    prefix = 1 if source.layout == "mlx" else emb_len or math.ceil(ndim / width)
    length = _length(source, sizes, prefix, mlp)
    expansion, multiple = _expansion(tensors[str(down)].shape[1], width, sizes.expansion)
    learned = "embed_pos" in tensors
    try:
        config = ModelConfig(
            name="trm" if source.layout == "trm" else "hrm",
            hidden_size=width,
            mixer="attention" if mlp is None else "mlp",
            # With the MLP mixer there are no heads; the setting must divide all the same.
            num_heads=sizes.num_heads if mlp is None else _some_heads(width),  # type: ignore[arg-type]
            h_layers=max(1, _layers(tensors, "h_level")),
            l_layers=max(1, _layers(tensors, "l_level")),
            h_cycles=sizes.h_cycles or 1,
            l_cycles=sizes.l_cycles or 1,
            expansion=expansion,
            swiglu_multiple=multiple,
            pos_encodings="learned"
            if learned
            else sizes.pos_encodings or ("rope" if mlp is None else "none"),  # type: ignore[arg-type]
            rope_theta=sizes.rope_theta,
            prefix="cls" if source.layout == "mlx" else None,
            puzzle_emb_ndim=ndim,
            puzzle_emb_len=emb_len,
            dtype=sizes.dtype or source.dtype,  # type: ignore[arg-type]
        )
    except ValidationError as error:
        raise UserError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None
    return config, length


def _refuse_unknown_sizes(source: Source, sizes: Sizes, needs_heads: bool) -> None:
    flags = {"--h-cycles": sizes.h_cycles, "--l-cycles": sizes.l_cycles}
    if needs_heads:
        flags = {"--num-heads": sizes.num_heads, **flags}
    asked = [flag for flag, value in flags.items() if value is None]
    if asked:
        raise UserError(
            f"a checkpoint's shapes do not tell {', '.join(asked)}: give them, or its {ARCH_FILE} with --config (the "
            f"published runs have {PUBLISHED[source.layout]})"
        )


def _length(source: Source, sizes: Sizes, prefix: int, mlp: str | None) -> int:
    """L, from the task or --seq-len, and from what knows S; these must agree."""
    found = None
    if "embed_pos" in source.tensors:
        found = len(source.tensors["embed_pos"])
    elif mlp is not None:
        found = source.tensors[mlp].shape[1]
    if found is None and sizes.length is None:
        raise UserError(
            "a checkpoint's shapes do not tell the number of tokens: give --task and --size, or --seq-len"
        )
    if found is not None and sizes.length is not None and found != prefix + sizes.length:
        raise UserError(
            f"the checkpoint has {found} positions, which is not {prefix} before the board and {sizes.length} on it: "
            "name the task it was trained on, and for a TRM --puzzle-emb-len"
        )
    length = sizes.length if sizes.length is not None else (found or 0) - prefix
    if length < 1:
        raise UserError(f"the checkpoint has {found} positions, fewer than the {prefix} before the board")
    return length


def _layers(tensors: Mapping[str, Tensor], level: str) -> int:
    found = [re.match(rf"{level}\.layers\.(\d+)\.", name) for name in tensors]
    return max((int(match.group(1)) + 1 for match in found if match), default=0)


def _expansion(inner: int, width: int, expansion: float) -> tuple[float, int]:
    """expansion and swiglu_multiple that give this SwiGLU width: the published 256 where it does, else exactly
    what is there (the Swift version rounds down to 256)."""
    if math.ceil(round(expansion * width * 2 / 3) / 256) * 256 == inner:
        return expansion, 256
    return 1.5 * inner / width, 1


def _some_heads(width: int) -> int:
    return next((n for n in (8, 4, 2) if width % (2 * n) == 0), 1)


def to_upstream(model: RecurrentModel, out: Path, halting: Mapping[str, Any]) -> list[Path]:
    """Write a network as sapientinc/HRM or TinyRecursiveModels load it: a state dict and the `arch` for it.

    out: the state dict's file. halting: `halt_max_steps` and `halt_exploration_prob`. Raises UserError for a
    network that they do not have.
    """
    config = model.config
    obstacles = [
        what
        for what, there in (
            (f"name={config.name}", config.name not in ("hrm", "trm")),
            ("prefix=cls", config.prefix == "cls"),
            ("pos_encodings=axial", config.pos_encodings == "axial"),
            ("pos_encodings=none", config.pos_encodings == "none" and config.name == "hrm"),
            ("mixer=mlp", config.mixer == "mlp" and config.name == "hrm"),
            ("causal", config.causal),
            (f"num_kv_heads={config.num_kv_heads}", config.num_kv_heads not in (None, config.num_heads)),
            (f"swiglu_multiple={config.swiglu_multiple}", not _rounds_as_upstream(model)),
            (
                "puzzle_emb_len",
                config.name == "hrm" and config.puzzle_emb_len not in (None, _ceil_len(config)),
            ),
        )
        if there
    ]
    if obstacles:
        raise UserError(f"upstream has no network with model.{', model.'.join(obstacles)}")
    dtype = getattr(torch, config.dtype)
    state = {
        # The initial states are in the type of the computation there.
        WRITTEN_PREFIX + to_official(name): t.to(dtype) if name in ("h_init", "l_init") else t.float()
        for name, t in model.state_dict().items()
        if name != "dropout_stream"
    }
    temporary = out.with_name(f".{out.name}.tmp")
    torch.save(state, temporary)
    temporary.replace(out)
    write_atomically(
        out.with_name(ARCH_FILE), yaml.safe_dump({"arch": _arch(config, halting)}, sort_keys=False)
    )
    return [out, out.with_name(ARCH_FILE)]


def _ceil_len(config: ModelConfig) -> int:
    return math.ceil(config.puzzle_emb_ndim / config.hidden_size)


def _rounds_as_upstream(model: RecurrentModel) -> bool:
    """Whether the SwiGLU widths are those that upstream derives from `expansion`."""
    for name, weight in model.state_dict().items():
        if name.endswith("down_proj.weight"):
            width, inner = weight.shape
            if math.ceil(round(model.config.expansion * width * 2 / 3) / 256) * 256 != inner:
                return False
    return True


def _arch(config: ModelConfig, halting: Mapping[str, Any]) -> dict[str, Any]:
    hrm = config.name == "hrm"
    names = {
        True: "hrm.hrm_act_v1@HierarchicalReasoningModel_ACTV1",
        False: "recursive_reasoning.trm@TinyRecursiveReasoningModel_ACTV1",
    }
    arch = {
        "name": names[hrm],
        "H_cycles": config.h_cycles, "L_cycles": config.l_cycles,
        "H_layers": config.h_layers if hrm else 0, "L_layers": config.l_layers,
        "hidden_size": config.hidden_size, "num_heads": config.num_heads, "expansion": config.expansion,
        "puzzle_emb_ndim": config.puzzle_emb_ndim, "pos_encodings": config.pos_encodings,
        "rope_theta": config.rope_theta, "forward_dtype": config.dtype, **halting,
    }  # fmt: skip
    if not hrm:
        length = config.prefix_positions if config.puzzle_emb_ndim else 0
        arch |= {"mlp_t": config.mixer == "mlp", "puzzle_emb_len": length}
    return arch
