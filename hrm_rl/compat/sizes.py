"""What the shapes of a foreign checkpoint tell about its network."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError
from torch import Tensor

from hrm_rl.compat.names import Source
from hrm_rl.config import HaltingConfig, ModelConfig, Positive, Probability, Section
from hrm_rl.utils.errors import UserError, first_problem
from hrm_rl.utils.files import read_yaml

ARCH_FILE = "all_config.yaml"
"""Beside a checkpoint, both upstream projects write the run's configuration, with the
network under `arch`."""


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
    """0: as many as the embedding needs."""
    expansion: float = 4.0
    dtype: str | None = None


class Arch(Section):
    """What is read of the section `arch`, by upstream's names and with its defaults; shapes tell the rest."""

    model_config = ConfigDict(extra="ignore")

    num_heads: Positive | None = None
    H_cycles: Positive | None = None
    L_cycles: Positive | None = None
    pos_encodings: Literal["rope", "learned", "none"] | None = None
    rope_theta: Annotated[float, Field(gt=0.0)] = 10000.0
    rms_norm_eps: Annotated[float, Field(ge=1e-5, le=1e-5)] = 1e-5
    """The only value there is here."""
    puzzle_emb_len: Annotated[int, Field(ge=0)] | None = None
    expansion: Annotated[float, Field(gt=0.0)] = 4.0
    forward_dtype: Literal["float32", "bfloat16"] | None = None
    halt_max_steps: Positive = 16
    halt_exploration_prob: Probability = 0.1
    no_ACT_continue: bool | None = None
    """Halt where q_halt > 0 instead of q_halt > q_continue; if not given, as a TRM does
    and an HRM does not."""

    def sizes(self) -> dict[str, Any]:
        """The fields of Sizes."""
        return {
            "num_heads": self.num_heads,
            "h_cycles": self.H_cycles,
            "l_cycles": self.L_cycles,
            "pos_encodings": self.pos_encodings,
            "rope_theta": self.rope_theta,
            "puzzle_emb_len": self.puzzle_emb_len,
            "expansion": self.expansion,
            "dtype": self.forward_dtype,
        }

    def halting(self, name: str) -> HaltingConfig:
        """By which rule and within which budget a network of this name halts."""
        halt_only = name == "trm" if self.no_ACT_continue is None else self.no_ACT_continue
        return HaltingConfig(
            halt_max_steps=self.halt_max_steps,
            halt_exploration_prob=self.halt_exploration_prob,
            q_target="halt_only" if halt_only else "bootstrap",
        )


def read_arch(path: Path) -> Arch:
    """`arch` of an all_config.yaml; upstream's defaults if there is no such file. Raises UserError
    that names the file and the key."""
    if not path.exists():
        return Arch()
    values = read_yaml(path, "the settings")
    arch = values.get("arch") if isinstance(values, dict) else None
    if not isinstance(arch, dict):
        raise UserError(f"{path} has no section 'arch'")
    try:
        return Arch.model_validate(
            {k: v for k, v in arch.items() if k in Arch.model_fields and v is not None}
        )
    except ValidationError as error:
        name, _, reason = first_problem(error).partition(": ")
        raise UserError(f"{path}: arch.{name}={arch[name]}: {reason}") from None


def infer(source: Source, sizes: Sizes) -> tuple[ModelConfig, int]:
    """The network's settings and L, from shapes and, where they do not tell, from
    `sizes`. Raises UserError."""
    tensors = source.tensors
    mlp = next((name for name in tensors if name.endswith(".mlp_t.gate_up_proj.weight")), None)
    downs = sorted(name for name in tensors if name.endswith(".mlp.down_proj.weight"))
    down = downs[0] if downs else "l_level.layers.0.mlp.down_proj.weight"
    _refuse_unmeasurable(source, ["embed_tokens.weight", down, *([mlp] if mlp else [])])
    sizes = _from_tables(source, sizes, tensors["embed_tokens.weight"].shape[1])
    _refuse_unknown_sizes(source, sizes, needs_heads=mlp is None)

    width = tensors["embed_tokens.weight"].shape[1]
    ndim = tensors["puzzle_emb.weight"].shape[1] if "puzzle_emb.weight" in tensors else 0
    emb_len = None
    if source.layout == "trm" and ndim:
        upstreams = max(16, math.ceil(ndim / width))
        emb_len = upstreams if sizes.puzzle_emb_len is None else sizes.puzzle_emb_len or None
    prefix = 1 if source.layout == "mlx" else emb_len or math.ceil(ndim / width)
    length = _length(source, sizes, prefix, mlp)
    expansion, multiple = _expansion(tensors[down].shape[1], width, sizes.expansion)
    pos_encodings = "learned" if "embed_pos" in tensors else sizes.pos_encodings
    if mlp is not None and pos_encodings in (None, "rope"):
        pos_encodings = "none"  # upstream makes the rotations all the same, and nothing asks for them
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
            pos_encodings=pos_encodings or "rope",  # type: ignore[arg-type]
            rope_theta=sizes.rope_theta,
            prefix="cls" if source.layout == "mlx" else None,
            puzzle_emb_ndim=ndim,
            puzzle_emb_len=emb_len,
            dtype=sizes.dtype or source.dtype,  # type: ignore[arg-type]
        )
    except ValidationError as error:
        raise UserError(first_problem(error)) from None
    return config, length


_FORMS: dict[str, tuple[int | str, ...]] = {
    "h_init": ("D",), "l_init": ("D",), "embed_tokens.weight": ("V", "D"), "lm_head.weight": ("V", "D"),
    "q_head.weight": (2, "D"), "q_head.bias": (2,),
}  # fmt: skip
"""Shapes that every network has, as far as they are known before its sizes are."""


_SOME_FORMS: dict[str, tuple[int | str, ...]] = {
    "cls_token": ("D",), "embed_pos": ("S", "D"), "puzzle_emb.weight": ("identifiers", "ndim"),
}  # fmt: skip


_MATRIX = re.compile(
    r"[hl]_level\.layers\.\d+\.(self_attn\.(qkv|o)_proj|mlp(_t)?\.(gate_up|down)_proj)\.weight"
)


def _form(name: str) -> tuple[int | str, ...] | None:
    """A tensor's shape, as far as it is certain whatever the sizes; None if no network
    has one of this name."""
    return (_FORMS | _SOME_FORMS).get(name) or (("out", "in") if _MATRIX.fullmatch(name) else None)


def _has_form(value: Tensor, form: tuple[int | str, ...]) -> bool:
    sizes = zip(value.shape, form, strict=False)
    return value.ndim == len(form) and all(n == f for n, f in sizes if isinstance(f, int))


def _refuse_unmeasurable(source: Source, measured: list[str]) -> None:
    """Raise UserError if one of the tensors that sizes are read from is missing or has another number of
    dimensions, and name whatever else is wrong for certain."""
    tensors = source.tensors
    forms = {name: _form(name) for name in tensors}
    misshapen = [name for name, form in forms.items() if form and not _has_form(tensors[name], form)]
    measured = [*measured, *(name for name in _SOME_FORMS if name in tensors)]
    required = [*measured, *_FORMS, *(["cls_token"] if source.layout == "mlx" else [])]
    if not any(name not in tensors or name in misshapen for name in measured):
        return
    refuse(
        source,
        missing=[name for name in dict.fromkeys(required) if name not in tensors],
        unexpected=[name for name, form in forms.items() if form is None],
        misshapen={name: forms[name] for name in misshapen},
        hint=" (is it another --format?)",
    )


MOST_NAMED = 8
"""Tensors that an error names of each kind."""


def refuse(
    source: Source,
    missing: list[str],
    unexpected: list[str],
    misshapen: Mapping[str, tuple[int | str, ...] | None],
    hint: str = "",
) -> None:
    """Raise UserError that names these tensors, if there are any. misshapen: what they should be."""
    lines = {
        "missing": [source.names(name) for name in missing],
        "unexpected": [source.names(name) for name in unexpected],
        "misshapen": [
            f"{source.names(name)} {_shown(source.tensors[name].shape)} for {_shown(shape or ())}"
            for name, shape in misshapen.items()
        ],
    }
    report = [f"{what}: {_listed(names)}" for what, names in lines.items() if names]
    if report:
        order = " (shapes in PyTorch's order, with PAD)" if source.layout == "mlx" and misshapen else ""
        raise UserError(
            f"the checkpoint does not fit the layout {source.layout}{order}{hint}: " + "; ".join(report)
        )


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + f" and {more} more" * (more > 0)


def _shown(shape: Sequence[int | str]) -> str:
    """(3,) or (V, D)"""
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def _from_tables(source: Source, sizes: Sizes, width: int) -> Sizes:
    """The sizes with what the rotary tables of a file tell: heads and tokens. Raises UserError where they
    contradict what was given."""
    if not source.tables:
        return sizes
    places, _, head = source.tables[0].shape
    told = replace(sizes, num_heads=width // head, length=places - 1)
    for name in ("num_heads", "length"):
        value, given = getattr(told, name), getattr(sizes, name)
        if given not in (None, value):
            raise UserError(
                f"the checkpoint's rotary tables are those of {name.replace('_', ' ')} {value}, not {given}: "
                "name the task it was trained on, and leave out --num-heads"
            )
    return told


def _refuse_unknown_sizes(source: Source, sizes: Sizes, needs_heads: bool) -> None:
    flags = {"--h-cycles": sizes.h_cycles, "--l-cycles": sizes.l_cycles}
    if needs_heads:
        flags = {"--num-heads": sizes.num_heads, **flags}
    asked = [flag for flag, value in flags.items() if value is None]
    if asked:
        raise UserError(
            f"a checkpoint's shapes do not tell {', '.join(asked)}: give them, or its {ARCH_FILE} with "
            f"--config (the published runs have {PUBLISHED[source.layout]})"
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
            f"the checkpoint has {found} positions, which is not {prefix} before the board and "
            f"{sizes.length} on it: name the task it was trained on, and for a TRM --puzzle-emb-len"
        )
    length = sizes.length if sizes.length is not None else (found or 0) - prefix
    if length < 1:
        raise UserError(f"the checkpoint has {found} positions, fewer than the {prefix} before the board")
    return length


def _layers(tensors: Mapping[str, Tensor], level: str) -> int:
    found = [re.match(rf"{level}\.layers\.(\d+)\.", name) for name in tensors]
    return max((int(match.group(1)) + 1 for match in found if match), default=0)


def _expansion(inner: int, width: int, expansion: float) -> tuple[float, int]:
    """expansion and swiglu_multiple that give this SwiGLU width: the published 256 where it does, else
    exactly what is there (the Swift version rounds down to 256)."""
    if math.ceil(round(expansion * width * 2 / 3) / 256) * 256 == inner:
        return expansion, 256
    return 1.5 * inner / width, 1


def _some_heads(width: int) -> int:
    return next((n for n in (8, 4, 2) if width % (2 * n) == 0), 1)
