"""Modules in place of what other projects import and a CPU, or a bare machine, does not have.

None changes what is computed: attention is torch's own, AdamATan2 is ours (the same formula, without its CUDA
extension), and the rest reports or parses.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from hrm_rl.agents.optim import AdamATan2


def flash_attn_func(q: Tensor, k: Tensor, v: Tensor, causal: bool = False) -> Tensor:
    """FlashAttention's interface over torch's attention. q, k, v and the result: (B, S, heads, size)."""
    query, key, value = (x.transpose(1, 2) for x in (q, k, v))
    return scaled_dot_product_attention(query, key, value, is_causal=causal).transpose(1, 2).contiguous()


def rearrange(x: Tensor, pattern: str) -> Tensor:
    """The one thing that they ask of einops: swap the two axes in the middle. Raises
    NotImplementedError for another pattern."""
    before, _, after = (part.split() for part in pattern.partition("->"))
    if len(before) != 4 or after != [before[0], before[2], before[1], before[3]]:
        raise NotImplementedError(pattern)
    return x.transpose(1, 2)


def _main(**_: Any) -> Callable[[Any], Any]:
    """hydra.main, of a program that is given its configuration."""
    return lambda function: function


def _nothing(*_: Any, **__: Any) -> None:
    """Logging that nobody reads."""


MODULES: dict[str, dict[str, Any]] = {
    "adam_atan2": {"AdamATan2": AdamATan2},
    "argdantic": {"ArgParser": object},
    "coolname": {"generate_slug": lambda words: "run"},
    "einops": {"rearrange": rearrange},
    "flash_attn": {"flash_attn_func": flash_attn_func},
    "hydra": {"main": _main},
    "omegaconf": {"DictConfig": dict},
    "wandb": {"run": None, "init": _nothing, "log": _nothing, "finish": _nothing, "Settings": _nothing},
}


def install() -> None:
    """Put the stand-ins in the place of the modules, for this process."""
    for name, attributes in MODULES.items():
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)  # torch looks at those of what it might use
        vars(module).update(attributes)
        sys.modules[name] = module
    sys.modules.pop("flash_attn_interface", None)
