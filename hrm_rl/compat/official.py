"""Writing a checkpoint in the format of sapientinc/HRM."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
import yaml

from hrm_rl.agents.act.halting import Q_TARGETS
from hrm_rl.compat.names import WRITTEN_PREFIX, to_official
from hrm_rl.compat.sizes import ARCH_FILE
from hrm_rl.config import HaltingConfig, ModelConfig
from hrm_rl.models import RecurrentModel
from hrm_rl.utils.errors import UserError
from hrm_rl.utils.files import write_atomically


def to_upstream(model: RecurrentModel, out: Path, halting: HaltingConfig) -> list[Path]:
    """Write a network as sapientinc/HRM or TinyRecursiveModels load it: a state dict and the `arch` for it.

    out: the state dict's file. Raises UserError for a network that they do not have.
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


def _arch(config: ModelConfig, halting: HaltingConfig) -> dict[str, Any]:
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
        "rope_theta": config.rope_theta, "forward_dtype": config.dtype,
        "halt_max_steps": halting.halt_max_steps, "halt_exploration_prob": halting.halt_exploration_prob,
    }  # fmt: skip
    halt_only = not Q_TARGETS[halting.q_target].learns_continue
    if not hrm:
        # 0 is ceil(ndim / hidden_size) there too.
        arch |= {"mlp_t": config.mixer == "mlp", "puzzle_emb_len": config.puzzle_emb_len or 0}
    if not hrm or halt_only:  # an HRM passes over the key; it is for the way back
        arch["no_ACT_continue"] = halt_only
    return arch
