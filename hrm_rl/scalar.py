"""HRM with ACT in plain Python numbers: read this first. The rest of this project does the same with torch.

One file, the standard library only, with the names of the torch code. docs/specification.md goes through it
beside the equations of the paper (arXiv 2506.21734); tests/test_scalar.py holds it against torch in float64.
What torch does for B slots at once stands here for one slot, and a tensor is a list of rows.
Legend: L tokens, D hidden size, H width of a head, V vocabulary.
"""

from __future__ import annotations

import json
import math
import random
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from operator import mul
from pathlib import Path
from typing import Any

Number = Any  # a Value, if it has a gradient; else a float: a constant, a state between segments
Vector = list[Number]
Matrix = list[Vector]
Tokens = list[int]
Carry = tuple[Matrix, Matrix]  # what one segment leaves to the next: z_h and z_l (L, D), floats
Losses = tuple[Number, Number, Number]  # of the answer, of q_halt, of q_continue
EPS, IGNORE = 1e-5, -100  # what RMSNorm adds to the mean square; a label that the loss does not look at
KINDS = {"F64": "d", "F32": "f", "F16": "e"}  # of numbers in a safetensors file, and for `struct`


class Value:
    """A number, the parents that it was computed from, and its slope (partial derivative) in each of them."""

    __slots__ = ("data", "grad", "order", "parents", "slopes")
    grad_enabled, made = True, count()

    def __init__(self, data: float, parents: Sequence[Value] = (), slopes: Sequence[float] = ()):
        self.data, self.grad, self.parents, self.slopes = data, 0.0, parents, slopes
        self.order = next(Value.made)  # after all of its parents

    def backward(self) -> None:
        """Add d self / d v to v.grad for every Value v that this one comes from: the chain rule."""
        reached, seen = [self], {self}
        for value in reached:  # grows on the way
            new = {*value.parents} - seen
            reached += new
            seen |= new
        self.grad = 1.0
        for value in sorted(reached, key=lambda v: v.order, reverse=True):
            for parent, slope in zip(value.parents, value.slopes, strict=True):
                parent.grad += slope * value.grad

    def __add__(self, other: Number) -> Number:
        other = other if isinstance(other, Value) else Value(other)
        return node(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other: Number) -> Number:
        other = other if isinstance(other, Value) else Value(other)
        return node(self.data * other.data, (self, other), (other.data, self.data))

    def __pow__(self, power: float) -> Number:
        return node(self.data**power, (self,), (power * self.data ** (power - 1),))

    __radd__, __rmul__ = __add__, __mul__


def node(data: float, parents: Sequence[Value], slopes: Sequence[float]) -> Number:
    return Value(data, parents, slopes) if Value.grad_enabled else data


def number(x: Number) -> float:
    return x.data if isinstance(x, Value) else x


def numbers(x: Vector) -> list[float]:
    return [v.data for v in x] if isinstance(x[0], Value) else x


@contextmanager
def set_grad_enabled(enabled: bool) -> Iterator[None]:
    before, Value.grad_enabled = Value.grad_enabled, enabled
    try:
        yield
    finally:
        Value.grad_enabled = before


def exp(x: Number) -> Number:
    y = math.exp(number(x))
    return node(y, (x,), (y,))


def log(x: Number) -> Number:
    return node(math.log(number(x)), (x,), (1 / number(x),))


def sigmoid(x: Number) -> Number:
    small = math.exp(-abs(number(x)))  # at most 1, so that nothing overflows
    y = (1 if number(x) > 0 else small) / (1 + small)
    return node(y, (x,), (y * (1 - y),))


def dot(x: Vector, y: Vector) -> Number:
    """The sum of all x y, as one number with many parents."""
    a, b = numbers(x), numbers(y)
    total = sum(map(mul, a, b))
    return Value(total, x + y, b + a) if Value.grad_enabled else total


def softmax(x: Vector) -> Vector:
    largest = max(numbers(x))
    scores = [exp(v + -largest) for v in x]
    scale = sum(scores) ** -1.0
    return [v * scale for v in scores]


def add(x: Matrix, y: Matrix) -> Matrix:
    return [[a + b for a, b in zip(*rows, strict=True)] for rows in zip(x, y, strict=True)]


def add_norm(x: Matrix, y: Matrix) -> Matrix:
    """RMSNorm, without weight, of the sum: (x + y) / sqrt(mean((x + y)^2) + EPS)."""
    total = add(x, y)
    scales = [(dot(row, row) * (1 / len(row)) + EPS) ** -0.5 for row in total]
    return [[v * scale for v in row] for row, scale in zip(total, scales, strict=True)]


def rotate(x: Vector, angles: list[float]) -> Vector:
    """A query or key (H,) turned by angles (H / 2,), multiples of its position (RoPE, arXiv 2104.09864)."""
    turned = [(math.cos(t), math.sin(t), a, b) for t, a, b in zip(angles, x, x[len(angles) :], strict=False)]
    return [a * c + b * -s for c, s, a, b in turned] + [b * c + a * s for c, s, a, b in turned]


def init_truncated_normal(rows: int, columns: int, std: float) -> Matrix:
    """Normal numbers cut at two sigma, whose standard deviation *after* the cut is `std`."""
    drawn = (x for x in iter(lambda: random.gauss(0, 1), None) if abs(x) < 2)
    return [[next(drawn) * std / 0.87962566103423978 for _ in range(columns)] for _ in range(rows)]


@dataclass
class ModelConfig:  # as in hrm_rl/config/model.py
    hidden_size: int = 8
    num_heads: int = 2
    causal: bool = False
    h_layers: int = 1
    l_layers: int = 1
    h_cycles: int = 2
    l_cycles: int = 2
    expansion: float = 4.0
    swiglu_multiple: int = 8
    rope_theta: float = 10000.0


class HRM:
    """The network. `state_dict` has its weights under their names in torch: Values, and the initial states as
    floats. A tensor of one dimension is a single row."""

    def __init__(self, config: ModelConfig, vocab_size: int):
        self.config, width, multiple = config, config.hidden_size, config.swiglu_multiple
        inner = math.ceil(round(config.expansion * width * 2 / 3) / multiple) * multiple
        shapes = {"embed_tokens.weight": (vocab_size, width), "lm_head.weight": (vocab_size, width)}
        self.layers = {"h_level": config.h_layers, "l_level": config.l_layers}
        for block in (f"{level}.layers.{i}" for level, layers in self.layers.items() for i in range(layers)):
            shapes[f"{block}.self_attn.qkv_proj.weight"] = (3 * width, width)
            shapes[f"{block}.self_attn.o_proj.weight"] = (width, width)
            shapes[f"{block}.mlp.gate_up_proj.weight"] = (2 * inner, width)
            shapes[f"{block}.mlp.down_proj.weight"] = (width, inner)
        drawn = {name: init_truncated_normal(*shape, shape[1] ** -0.5) for name, shape in shapes.items()}
        drawn |= {"q_head.weight": [[0.0] * width, [0.0] * width], "q_head.bias": [[-5.0, -5.0]]}
        self.state_dict = {name: [[Value(x) for x in row] for row in rows] for name, rows in drawn.items()}
        self.state_dict |= {name: init_truncated_normal(1, width, 1.0) for name in ("h_init", "l_init")}

    def parameters(self) -> list[Value]:
        return [x for rows in self.state_dict.values() for row in rows for x in row if isinstance(x, Value)]

    def load_state_dict(self, tensors: dict[str, Matrix]) -> None:
        """Take over the numbers of tensors with the same names and shapes. Raises ValueError."""
        for name in sorted(self.state_dict.keys() | tensors.keys()):
            mine, new = self.state_dict.get(name, [[]]), tensors.get(name, [[]])
            if (len(mine), len(mine[0])) != (len(new), len(new[0])):
                raise ValueError(f"{name} is missing, unknown, or of another shape")
            for row, values in zip(mine, new, strict=True):
                row[:] = [Value(x) if isinstance(row[0], Value) else x for x in values]

    def initial_carry(self, length: int) -> Carry:
        return self.state_dict["h_init"] * length, self.state_dict["l_init"] * length

    def forward(self, carry: Carry, tokens: Tokens) -> tuple[Carry, Matrix, Vector]:
        """One segment: the new carry, logits (L, V), and q (2,): index 0 halt, 1 continue."""
        z_h, z_l = self.think(*carry, self.embed(tokens))
        read = z_h[-1 if self.config.causal else 0]
        q = add(self.linear("q_head", [read]), self.state_dict["q_head.bias"])[0]
        return ([*map(numbers, z_h)], [*map(numbers, z_l)]), self.linear("lm_head", z_h), q

    def embed(self, tokens: Tokens) -> Matrix:
        """Tokens (L,) as the input (L, D) of the recurrence."""
        rows = [self.state_dict["embed_tokens.weight"][token] for token in tokens]
        return [[math.sqrt(self.config.hidden_size) * v for v in row] for row in rows]

    def think(self, z_h: Matrix, z_l: Matrix, x: Matrix) -> tuple[Matrix, Matrix]:
        """h_cycles times: l_cycles updates z_l = L(z_l, z_h + x), then z_h = H(z_h, z_l). Only the last
        update of each runs with gradient: the one-step gradient."""
        cycle = self.config.l_cycles + 1
        updates, trained = self.config.h_cycles * cycle, Value.grad_enabled
        for i in range(updates):
            with set_grad_enabled(trained and i >= updates - 2):
                if (i + 1) % cycle:
                    z_l = self.level("l_level", z_l, add(z_h, x))
                else:
                    z_h = self.level("h_level", z_h, z_l)
        return z_h, z_l

    def level(self, name: str, state: Matrix, injection: Matrix) -> Matrix:
        """One update of a recurrent module: the injected input is added to the state, then the blocks run."""
        state = add(state, injection)
        for i in range(self.layers[name]):
            state = add_norm(state, self.self_attn(f"{name}.layers.{i}.self_attn", state))
            state = add_norm(state, self.mlp(f"{name}.layers.{i}.mlp", state))
        return state

    def self_attn(self, name: str, x: Matrix) -> Matrix:
        size, width = self.config.hidden_size, self.config.hidden_size // self.config.num_heads
        turns = [self.config.rope_theta ** -(2 * i / width) for i in range(width // 2)]
        angles = [[position * turn for turn in turns] for position in range(len(x))]
        qkv = self.linear(f"{name}.qkv_proj", x)
        out: Matrix = [[] for _ in x]
        for n in range(0, size, width):  # one head
            query, key, value = ([row[at : at + width] for row in qkv] for at in (n, n + size, n + 2 * size))
            query, key = [*map(rotate, query, angles)], [*map(rotate, key, angles)]
            for s in range(len(x)):
                seen = s + 1 if self.config.causal else len(x)
                weights = softmax([dot(query[s], k) * width**-0.5 for k in key[:seen]])
                out[s] += [dot(weights, [*column]) for column in zip(*value[:seen], strict=True)]
        return self.linear(f"{name}.o_proj", out)

    def mlp(self, name: str, x: Matrix) -> Matrix:
        """SwiGLU: down(silu(gate) * up), with gate and up from one matrix and silu(g) = g sigmoid(g)."""
        gate_up = self.linear(f"{name}.gate_up_proj", x)
        pairs = [zip(row[: len(row) // 2], row[len(row) // 2 :], strict=True) for row in gate_up]
        return self.linear(f"{name}.down_proj", [[g * sigmoid(g) * u for g, u in row] for row in pairs])

    def linear(self, name: str, x: Matrix) -> Matrix:
        """x weight': rows (fan_in,) -> rows (fan_out,)."""
        weight: Matrix = self.state_dict[f"{name}.weight"]
        weight = weight if Value.grad_enabled else [numbers(row) for row in weight]
        return [[dot(row, weights) for weights in weight] for row in x]


def cross_entropy(logits: Vector, label: int, kind: str) -> Number:
    """-log of the label's probability, its share of the scores: e^x, or stablemax's (arXiv 2501.04697)."""
    stablemax_scores = [x + 1.0 if number(x) >= 0 else (x * -1.0 + 1.0) ** -1.0 for x in logits]
    scores = stablemax_scores if kind == "stablemax" else softmax(logits)
    return log(sum(scores) * scores[label] ** -1.0)


def bce(q: Number, target: float) -> Number:
    """Binary cross entropy: -target log p - (1 - target) log(1 - p) with p = sigmoid(q). Slope p - target."""
    x, p = number(q), number(sigmoid(q))
    return node(max(x, 0.0) - x * target + math.log1p(math.exp(-abs(x))), (q,), (p - target,))


def losses(logits: Matrix, labels: Tokens, q: Vector, solved: bool, target: float, kind: str) -> Losses:
    """Of one segment: cross entropy of the answer, binary cross entropies of q_halt and q_continue."""
    every = [cross_entropy(x, y, kind) for x, y in zip(logits, labels, strict=True) if y != IGNORE]
    return sum(every) * (1 / len(every)), bce(q[0], solved), bce(q[1], target)


def decide(q: Vector, segment: int, min_segments: int) -> bool:
    """Whether a slot chooses to halt after this segment."""
    return number(q[0]) > number(q[1]) and segment >= min_segments


def continue_value(next_q: Vector, segment: int, budget: int) -> float:
    """What continuing is worth if `next_q` are the Q-values of the next segment: the bootstrap target."""
    halt, go_on = numbers(next_q)
    return number(sigmoid(halt if segment >= budget else max(halt, go_on)))


class AdamATan2:
    """Adam with atan2 in place of the quotient (arXiv 2407.05872), so that no epsilon is needed."""

    quotient = staticmethod(math.atan2)

    def __init__(self, params: list[Value], lr: float, betas=(0.9, 0.95), weight_decay: float = 0.0):
        self.params, self.lr, self.betas, self.weight_decay = params, lr, betas, weight_decay
        self.steps, self.exp_avg, self.exp_avg_sq = 0, [0.0] * len(params), [0.0] * len(params)

    def step(self) -> None:
        """One step on the gradients there are, which are then cleared."""
        self.steps += 1
        beta1, beta2 = self.betas
        for i, p in enumerate(self.params):
            m = self.exp_avg[i] = beta1 * self.exp_avg[i] + (1 - beta1) * p.grad
            v = self.exp_avg_sq[i] = beta2 * self.exp_avg_sq[i] + (1 - beta2) * p.grad**2
            scale = math.sqrt(v) / math.sqrt(1 - beta2**self.steps)
            p.data *= 1 - self.lr * self.weight_decay
            p.data -= self.lr / (1 - beta1**self.steps) * self.quotient(m, scale)
            p.grad = 0.0


class AdamW(AdamATan2):  # without weight decay, Adam
    quotient = staticmethod(lambda m, scale: m / (scale + 1e-8))


@dataclass
class Slot:  # a puzzle, its labels (IGNORE where there are none), and how far the thinking has come
    inputs: Tokens
    labels: Tokens
    carry: Carry
    segment: int = 0


@dataclass
class Learner:
    """A network, its optimiser, and slots that take up puzzles (inputs, labels) one after the other."""

    model: HRM
    optimizer: AdamATan2
    puzzles: Iterator[tuple[Tokens, Tokens]]
    batch_size: int
    halt_max_steps: int
    halt_exploration_prob: float = 0.1
    loss: str = "softmax"

    def __post_init__(self) -> None:
        self.slots = [self.take_up() for _ in range(self.batch_size)]

    def take_up(self) -> Slot:
        inputs, labels = next(self.puzzles)
        return Slot(inputs, labels, self.model.initial_carry(len(inputs)))

    def update(self) -> list[Losses]:
        """One segment in every slot, then one step of the optimiser. Returns the losses of each slot."""
        found, budget = [], self.halt_max_steps
        for i, slot in enumerate(self.slots):
            slot.segment += 1
            slot.carry, logits, q = self.model.forward(slot.carry, slot.inputs)
            with set_grad_enabled(False):  # one more segment, only to know what continuing is worth
                next_q = self.model.forward(slot.carry, slot.inputs)[2]
            target = continue_value(next_q, slot.segment, budget)
            solved = all(y in (x, IGNORE) for x, y in zip(likeliest(logits), slot.labels, strict=True))
            lm, q_halt, q_continue = losses(logits, slot.labels, q, solved, target, self.loss)
            ((lm + (q_halt + q_continue) * 0.5) * (1 / self.batch_size)).backward()
            found.append((lm, q_halt, q_continue))
            explores = random.random() < self.halt_exploration_prob  # which only ever lengthens thinking
            min_segments = random.randint(2, budget) if explores else 0
            if decide(q, slot.segment, min_segments) or slot.segment == budget:
                self.slots[i] = self.take_up()
        self.optimizer.step()
        return found


def likeliest(logits: Matrix) -> Tokens:
    return [row.index(max(row)) for row in map(numbers, logits)]


def solve(model: HRM, tokens: Tokens, budget: int) -> tuple[Tokens, int]:
    """The answer to a puzzle, and the segments spent: until halting is worth more than continuing."""
    carry = model.initial_carry(len(tokens))
    with set_grad_enabled(False):
        for segment in range(1, budget + 1):
            carry, logits, q = model.forward(carry, tokens)
            if decide(q, segment, 0):
                break
    return likeliest(logits), segment


def generate(model: HRM, prompt: Tokens, max_length: int, budget: int) -> Tokens:
    """A prompt continued by a causal network: each token is the end of an answer to those before it."""
    tokens = [*prompt]
    while len(tokens) < max_length:
        tokens.append(solve(model, tokens, budget)[0][-1])
    return tokens


def read_safetensors(path: Path) -> dict[str, Matrix]:
    """Tensors by name. A file is the length of its header (8 bytes), the header (JSON), and all numbers."""
    data, found = path.read_bytes(), {}
    start = 8 + int.from_bytes(data[:8], "little")
    for name, about in json.loads(data[8:start]).items():
        if name != "__metadata__":
            first, last = about["data_offsets"]
            row = f"<{about['shape'][-1]}{KINDS[about['dtype']]}"
            found[name] = [[*x] for x in struct.iter_unpack(row, data[start + first : start + last])]
    return found


def write_safetensors(path: Path, tensors: dict[str, Matrix], dtype: str = "F64") -> None:
    header, body = {}, b""
    for name, rows in tensors.items():
        columns, start = len(rows[0]), len(body)
        body += b"".join(struct.pack(f"<{columns}{KINDS[dtype]}", *numbers(row)) for row in rows)
        shape = [columns] if name in ("h_init", "l_init", "q_head.bias") else [len(rows), columns]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, len(body)]}
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    path.write_bytes(len(head).to_bytes(8, "little") + head + body)
