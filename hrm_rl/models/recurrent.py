"""What all networks share: the embedded puzzle, the carry, the heads, dropout.

A network is a subclass with its modules (`build`) and the order in which they update the state (`think`).

Legend: B slots, L tokens, P positions before them, S = P + L, D hidden size, V
vocabulary, K coordinates of a cell.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from hrm_rl.config import ModelConfig
from hrm_rl.models import saving
from hrm_rl.models.carry import Carry
from hrm_rl.models.layers.block import Block
from hrm_rl.models.layers.linear import Linear, hold_weights, init_truncated_normal_
from hrm_rl.models.layers.positions import Rotation, board_frequencies, rope_frequencies, rotation, shares
from hrm_rl.models.layers.puzzle_embedding import PuzzleEmbedding
from hrm_rl.utils.errors import UserError, nearest
from hrm_rl.utils.seeds import seed_of

Gradient = Literal["one_step", "last_cycle", "full"]
Self = TypeVar("Self", bound="RecurrentModel")

LEAST_ROWS = 16
"""Rows that the product of the q-head has at least on a CPU, without gradient: one of fewer rows is rounded
otherwise. All other products have a row for every cell."""


class RecurrentModule(nn.Module):
    """One recurrent module: the injected input is added to the state, then the blocks run."""

    def __init__(self, layers: int, config: ModelConfig, positions: int):
        super().__init__()
        self.layers = nn.ModuleList(Block(config, positions) for _ in range(layers))
        self.checkpoint_activations = config.checkpoint_activations
        self.announce: Callable[[Tensor], None] | None = None
        """Told of the state before each block; hrm_rl/models/compiled.py sets it."""

    def forward(self, state: Tensor, injection: Tensor, by: Rotation | None, drop: bool = False) -> Tensor:
        """(B, S, D) -> (B, S, D). drop: whether the blocks drop out."""
        state = state + injection
        for layer in self.layers:
            if self.announce is not None:
                self.announce(state)
            if self.checkpoint_activations and torch.is_grad_enabled():
                state = checkpoint(layer, state, by, drop, use_reentrant=False, preserve_rng_state=drop)
            else:
                state = layer(state, by, drop)
        return state


class RecurrentModel(nn.Module, ABC):
    """`forward` is one segment: (carry, tokens, identifier) -> (carry, logits, q)."""

    name: ClassVar[str]
    """What `model.name` calls this network."""
    published_gradient: ClassVar[Gradient] = "one_step"
    """What `model.gradient` is if not given."""
    has_low_level: ClassVar[bool] = True
    """Whether there is a state z_l; if not, it has width 0."""

    h_init: Tensor
    l_init: Tensor
    rope_cos: Tensor
    rope_sin: Tensor
    recorded: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor, Tensor]] | None = None
    """`segment` without dropout as recorded kernels (hrm_rl/models/graphs.py), on a GPU."""
    dropout_stream: Tensor
    """(2,) seed of the dropout, and segments that dropped out so far. In the state dict, so that a resumed
    run drops what it would have dropped."""

    def __init__(self, config: ModelConfig, vocab_size: int, coordinates: NDArray[Any], identifiers: int = 1):
        """coordinates: (L, K) integers from 0 that say where each cell is. identifiers: rows of the puzzle
        embedding."""
        super().__init__()
        width = config.hidden_size
        self.config = config
        self.coordinates = coordinates  # save_pretrained keeps them
        self.compute_dtype = getattr(torch, config.dtype)
        self.gradient: Gradient = config.gradient or self.published_gradient
        self.prefix = config.prefix_positions  # P
        self.positions = self.prefix + len(coordinates)  # S

        # The order in which weights are drawn is part of a seed's meaning: add to it at places of your own
        # only.
        self.embed_tokens = nn.Embedding(
            vocab_size, width, _weight=init_truncated_normal_(torch.empty(vocab_size, width), width**-0.5)
        )
        if config.puzzle_emb_ndim:
            self.puzzle_emb = PuzzleEmbedding(identifiers, config.puzzle_emb_ndim)
        if config.prefix == "cls":
            self.cls_token = nn.Parameter(init_truncated_normal_(torch.empty(width), width**-0.5))
        self._build_positions(coordinates)
        self.build(config)
        self.lm_head = Linear(width, vocab_size)
        self.q_head = nn.Linear(width, 2)
        # Both Q-values begin near 0 in probability, so that at first every episode runs to the budget.
        nn.init.zeros_(self.q_head.weight)
        nn.init.constant_(self.q_head.bias, -5.0)
        self.register_buffer("h_init", init_truncated_normal_(torch.empty(width), 1.0))
        low_width = width if self.has_low_level else 0
        low = init_truncated_normal_(torch.empty(low_width), 1.0)
        self.register_buffer("l_init", low, persistent=self.has_low_level)
        if config.dropout:
            seed = torch.initial_seed() & (2**63 - 1)
            self.register_buffer("dropout_stream", torch.tensor([seed, 0]))

    def flat(self: Self) -> Self:
        """The same weights without recurrence: every block once in a segment, if the low and the high level
        differ. What is done to the weights of one is done to both."""
        twin = copy.copy(self)
        twin.config = self.config.model_copy(update={"h_cycles": 1, "l_cycles": 1})
        return twin

    def unchanging(self) -> AbstractContextManager[None]:
        """Inside, the weights do not change and are made ready for the type of the computation once, not in
        every pass of every layer. `forward` does so for one segment; an update, for all that it thinks."""
        if self.lm_head.weight.dtype == self.compute_dtype:
            return nullcontext()
        return hold_weights(self, self.compute_dtype)

    @abstractmethod
    def build(self, config: ModelConfig) -> None:
        """Make the recurrent modules."""

    @abstractmethod
    def think(
        self, z_h: Tensor, z_l: Tensor, x: Tensor, by: Rotation | None, drop: bool
    ) -> tuple[Tensor, Tensor]:
        """All updates of one segment: the new z_h and z_l. x: (B, S, D) the embedded puzzle."""

    def _build_positions(self, coordinates: NDArray[Any]) -> None:
        """Positions count those of the prefix: position p of it is at p in every coordinate, and the cells
        follow.

        Axial positions rotate: a learned vector for each coordinate instead learned little or nothing on 4x4
        Sudoku (docs/recipes.md).
        """
        config, pairs = self.config, self.config.hidden_size // self.config.num_heads // 2
        if config.pos_encodings == "learned":
            vectors = torch.empty(self.positions, config.hidden_size)
            self.embed_pos = nn.Parameter(init_truncated_normal_(vectors, config.hidden_size**-0.5))
        if self.rotates:
            # On the CPU first: on a model's way there by the device "meta", which has shapes only, torch's
            # operations would import its compiler.
            with torch.device("cpu"):
                self._build_rotation(coordinates, pairs)

    def _build_rotation(self, coordinates: NDArray[Any], pairs: int) -> None:
        config = self.config
        if config.pos_encodings == "rope":
            places = torch.arange(self.positions)[:, None]
            frequencies = [rope_frequencies(pairs, config.rope_theta)]
        else:
            kinds = coordinates.shape[1]
            if pairs < kinds:
                raise UserError(_too_narrow(config, kinds))
            before = torch.arange(self.prefix)[:, None].expand(-1, kinds)
            places = torch.cat((before, self.prefix + torch.tensor(coordinates)))
            extents = (self.prefix + coordinates.max(0) + 1).tolist()
            frequencies = [
                board_frequencies(n, e) for n, e in zip(shares(pairs, kinds), extents, strict=True)
            ]
        cos, sin = rotation(places, frequencies)
        self.register_buffer("rope_cos", cos, persistent=False)
        self.register_buffer("rope_sin", sin, persistent=False)

    @property
    def rotates(self) -> bool:
        """Whether attention learns of positions by rotation: along the board as one row, or by coordinate."""
        return self.config.pos_encodings in ("rope", "axial")

    def initial_carry(self, slots: int) -> Carry:
        """The state of `slots` episodes that have not begun."""
        z_h, z_l = self.h_init.to(self.compute_dtype), self.l_init.to(self.compute_dtype)
        return Carry(z_h.expand(slots, self.positions, -1), z_l.expand(slots, self.positions, -1))

    def embed(self, tokens: Tensor, identifier: Tensor) -> Tensor:
        """Tokens (B, L) and puzzle identifiers (B,) as the input (B, S, D) of the recurrence."""
        x = self.embed_tokens(tokens)
        width = self.config.hidden_size
        if self.config.prefix == "cls":
            x = torch.cat((self.cls_token.expand(x.shape[0], 1, width), x), dim=1)
        elif self.prefix:
            rows = self.puzzle_emb(identifier)
            rows = nn.functional.pad(rows, (0, self.prefix * width - rows.shape[-1]))
            x = torch.cat((rows.view(-1, self.prefix, width), x), dim=1)
        if self.config.pos_encodings == "learned":
            x = 0.707106781 * (x + self.embed_pos)  # keeps the variance of a single embedding
        return (math.sqrt(width) * x).to(self.compute_dtype)

    def forward(
        self, carry: Carry, tokens: Tensor, identifier: Tensor, each: bool = False
    ) -> tuple[Carry, Tensor, Tensor]:
        """One segment.

        carry: z_h, z_l (B, S, D).  tokens: (B, L) integers.  identifier: (B,) integers.
        Returns the detached carry, logits (B, L, V) and q (B, 2) in float32: index 0 halt, 1 continue. With
        causal attention q is read from the last position, the only one that sees all others.
        each: q (B, L, 2) is read from every token instead, each of which knows those before it.
        Dropout is for segments that are trained: none in evaluation, nor in a pass without gradient.
        """
        x = self.embed(tokens, identifier)
        drop = self.config.dropout > 0 and self.training and torch.is_grad_enabled()
        watched = bool(self._forward_pre_hooks)  # by tracing, whose hooks a recorded segment would not call
        with self.unchanging():
            if self.recorded is not None and not drop and not watched and not each:
                z_h, z_l, logits, q = self.recorded(carry.z_h, carry.z_l, x)
            else:
                z_h, z_l, logits, q = self.segment(carry.z_h, carry.z_l, x, drop, each)
        return Carry(z_h, z_l), logits, q

    def segment(
        self, z_h: Tensor, z_l: Tensor, x: Tensor, drop: bool, each: bool = False
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What follows from a state and an embedded puzzle (B, S, D): the new state,
        detached, logits and q. each: as in `forward`."""
        by = (self.rope_cos, self.rope_sin) if self.rotates else None
        with self._own_random_numbers() if drop else nullcontext():
            z_h, z_l = self.think(z_h, z_l, x, by, drop)
        q = self.q_values(z_h, each)
        return z_h.detach(), z_l.detach(), self.lm_head(z_h[:, self.prefix :]), q

    def q_values(self, z_h: Tensor, each: bool = False) -> Tensor:
        """(B, 2) in float32, of states z_h (B, S, D); of every token, (B, L, 2), if each."""
        if each:
            return self.q_head(z_h[:, self.prefix :].to(self.q_head.weight.dtype))
        read = z_h[:, -1 if self.config.causal else 0].to(self.q_head.weight.dtype)
        plain = read.device.type != "cpu" or torch.is_grad_enabled() or torch.compiler.is_compiling()
        if plain or len(read) >= LEAST_ROWS:
            return self.q_head(read)
        return self.q_head(nn.functional.pad(read, (0, 0, 0, LEAST_ROWS - len(read))))[: len(read)]

    def save_pretrained(
        self,
        folder: str | Path,
        about: dict[str, Any] | None = None,
        card: str = "",
        dtype: saving.Stored = "float32",
    ) -> None:
        """Write config.json, model.safetensors and README.md into `folder`, over what is there of these.

        about: JSON values to keep under `run` in config.json.  card: the text of README.md; a short one if
        empty.  dtype: of the weights in the file. Raises UserError for weights that it cannot hold.
        """
        saving.write(self, Path(folder), about, card, dtype)

    @classmethod
    def from_pretrained(cls: type[Self], folder: str | Path) -> Self:
        """The network in `folder`. Raises UserError if it is damaged or of another kind than this class."""
        folder = Path(folder)
        blueprint = saving.read_blueprint(folder)
        name = blueprint.config.name
        kinds = {kind.name: kind for kind in RecurrentModel.__subclasses__()}
        if name not in kinds:
            raise UserError(f"{folder / saving.CONFIG}: unknown model '{name}'{nearest(name, kinds)}")
        model = kinds[name](*blueprint)
        if not isinstance(model, cls):
            raise UserError(f"{folder} holds a network '{type(model).__name__}', not '{cls.__name__}'")
        saving.read_weights_into(model, folder)
        return model

    @contextmanager
    def _own_random_numbers(self) -> Iterator[None]:
        """Inside, torch's random numbers follow from the seed, the rank and the segments dropped out so far;
        afterwards they go on as if nothing had been drawn."""
        seed, segment = self.dropout_stream.tolist()
        self.dropout_stream[1] += 1
        rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
        device = self.dropout_stream.device
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(seed_of(seed, rank, segment))
            yield


def alternate(
    model: RecurrentModel,
    low: RecurrentModule,
    high: RecurrentModule,
    z_h: Tensor,
    z_l: Tensor,
    x: Tensor,
    by: Rotation | None,
    drop: bool,
) -> tuple[Tensor, Tensor]:
    """h_cycles times: l_cycles updates z_l = low(z_l, z_h + x), then z_h = high(z_h, z_l). Only the last
    updates run with gradient: the last of each module (HRM), those of the last h_cycle (TRM), or all."""
    cycle = model.config.l_cycles + 1
    updates = model.config.h_cycles * cycle
    first = updates - {"one_step": 2, "last_cycle": cycle, "full": updates}[model.gradient]
    trained = torch.is_grad_enabled()
    for i in range(updates):
        with torch.set_grad_enabled(trained and i >= first):
            if (i + 1) % cycle:
                z_l = low(z_l, z_h + x, by, drop)
            else:
                z_h = high(z_h, z_l, by, drop)
    return z_h, z_l


def _too_narrow(config: ModelConfig, kinds: int) -> str:
    """What to say of heads with fewer pairs of numbers than a cell has coordinates."""
    width, least = config.hidden_size, 2 * kinds
    fits = [n for n in range(1, width // least + 1) if width % (2 * n) == 0]
    advice = f"num_heads could be {fits[-1]}" if fits else f"hidden_size must be at least {least}"
    return (
        f"axial positions on a board with {kinds} coordinates need heads of at least {least} numbers; with "
        f"num_heads={config.num_heads} they have {width // config.num_heads}: {advice}"
    )
