"""The settings of the network (hrm_rl/config/sections.py has the others)."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from hrm_rl.config.base import Decay, Positive, Section


class ModelConfig(Section):
    """The network (hrm_rl/models/)."""

    name: str = "hrm"
    """Name of the model, as in hrm_rl.models.MODELS."""
    hidden_size: Positive = 256
    """Width D of the hidden states."""
    mixer: Literal["attention", "mlp"] = "attention"
    """How a block lets positions see each other: attention, or SwiGLU over the positions."""
    num_heads: Positive = 4
    """Attention heads; must divide hidden_size into even parts."""
    num_kv_heads: Positive | None = None
    """Heads of keys and values (grouped-query attention); must divide num_heads; as
    many as these if not given."""
    causal: bool = False
    """Attend only to positions before; the Q-values are then read from the last
    position instead of the first."""
    h_layers: Positive = 4
    """Blocks of the high-level module; `trm` has none, `transformer` one network of h_layers + l_layers."""
    l_layers: Positive = 4
    """Blocks of the low-level module, or of trm's only one."""
    h_cycles: Positive = 2
    """High-level updates a segment."""
    l_cycles: Positive = 2
    """Low-level updates for each high-level one; `transformer` is applied h_cycles * l_cycles times."""
    gradient: Literal["one_step", "last_cycle", "full"] | None = None
    """Which updates of a segment run with gradient: the last of each module, the last h_cycle, or all. If not
    given, as the model was published: one_step for hrm and transformer, last_cycle for trm."""
    checkpoint_activations: bool = False
    """Keep only what goes into each block for the backward pass and compute the rest again: less memory, more
    time."""
    expansion: Annotated[float, Field(gt=0.0)] = 4.0
    """SwiGLU width is expansion * hidden_size * 2/3, rounded up to swiglu_multiple."""
    swiglu_multiple: Positive = 256
    """Multiple to which the SwiGLU width is rounded up; 256 wastes most of a small model's work."""
    dropout: Decay = 0.0
    """Share of what a block adds to the state that is left out in training."""
    init_std: Annotated[float, Field(ge=0.0)] = 0.0
    """Standard deviation of normal noise on the initial state of an episode in training, and of rollouts."""
    state_noise: Annotated[float, Field(ge=0.0)] = 0.0
    """Standard deviation of normal noise on the state before each segment in training, and of rollouts."""
    pos_encodings: Literal["rope", "learned", "axial", "none"] = "rope"
    """Positions: rotary along the flattened board; a learned vector for each cell; rotary in each coordinate
    of a cell (row, column and, in Sudoku, box), which share the numbers of a head; or none."""
    rope_theta: Annotated[float, Field(gt=0.0)] = 10000.0
    """Base of the rotary frequencies."""
    prefix: Literal["none", "puzzle", "cls"] | None = None
    """What is put before the board: nothing, the puzzle's embedding, or one trained token. If not given, the
    puzzle's embedding where puzzle_emb_ndim is above 0."""
    puzzle_emb_ndim: Annotated[int, Field(ge=0)] = 0
    """Numbers in a puzzle's embedding; 0 for none."""
    puzzle_emb_len: Positive | None = None
    """Positions before the board that the embedding fills, with zeros after it;
    ceil(ndim / hidden_size) if not given."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of the computation; the weights and the optimiser stay float32."""

    @property
    def prefix_positions(self) -> int:
        """Positions before the board: P."""
        if self.prefix == "cls":
            return 1
        return self.puzzle_emb_len or math.ceil(self.puzzle_emb_ndim / self.hidden_size)

    @model_validator(mode="after")
    def _heads_divide(self) -> ModelConfig:
        if self.hidden_size % self.num_heads or (self.hidden_size // self.num_heads) % 2:
            fits = [n for n in range(1, self.hidden_size + 1) if self.hidden_size % (2 * n) == 0]
            near = sorted(sorted(fits, key=lambda n: abs(n - self.num_heads))[:4])
            advice = f"num_heads could be {', '.join(map(str, near))}" if near else "hidden_size must be even"
            raise ValueError(
                f"num_heads={self.num_heads} does not divide hidden_size={self.hidden_size} into heads of "
                f"even width; {advice}"
            )
        if self.num_kv_heads is not None and self.num_heads % self.num_kv_heads:
            fits = [n for n in range(1, self.num_heads + 1) if self.num_heads % n == 0]
            near = sorted(sorted(fits, key=lambda n: abs(n - (self.num_kv_heads or 0)))[:4])
            raise ValueError(
                f"num_kv_heads={self.num_kv_heads} does not divide num_heads={self.num_heads}; it could be "
                f"{', '.join(map(str, near))}"
            )
        return self

    @model_validator(mode="after")
    def _mixer_has_what_it_needs(self) -> ModelConfig:
        if self.mixer == "mlp":
            for name, value, right in (
                ("num_kv_heads", self.num_kv_heads, None),
                ("causal", self.causal, False),
                ("pos_encodings", self.pos_encodings in ("rope", "axial") and self.pos_encodings, "none"),
            ):
                if value:
                    raise ValueError(
                        f"{name}={value} is for attention and does nothing with mixer=mlp; set {name} to "
                        f"{str(right).lower()}"
                    )
        return self

    @model_validator(mode="after")
    def _prefix_is_one_thing(self) -> ModelConfig:
        ndim, length = self.puzzle_emb_ndim, self.puzzle_emb_len
        if self.prefix == "puzzle" and not ndim:
            raise ValueError(
                f"prefix=puzzle needs an embedding: set puzzle_emb_ndim, for example to {self.hidden_size}"
            )
        if self.prefix in ("none", "cls") and ndim:
            raise ValueError(
                f"prefix={self.prefix} leaves no place for a puzzle's embedding: puzzle_emb_ndim={ndim} "
                "must be 0"
            )
        if length is None:
            return self
        if not ndim:
            raise ValueError(
                f"puzzle_emb_len={length} needs an embedding to place: set puzzle_emb_ndim above 0"
            )
        least = math.ceil(ndim / self.hidden_size)
        if length < least:
            raise ValueError(
                f"puzzle_emb_len={length} positions of {self.hidden_size} do not hold "
                f"puzzle_emb_ndim={ndim}; it must be at least {least}"
            )
        return self
