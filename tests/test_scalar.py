"""The executable specification (hrm_rl/scalar.py) computes what the torch code computes, in float64."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor

from envs import ActVectorEnv, PuzzleBatch
from hrm_rl import scalar
from hrm_rl.agents.act import halting
from hrm_rl.agents.act import losses as torch_losses
from hrm_rl.agents.act.learner import Learner
from hrm_rl.agents.optim import AdamATan2
from hrm_rl.config import ModelConfig
from hrm_rl.models import Carry, RecurrentModel, build_model, recurrent
from tests.helpers.learners import recorded_losses
from tests.helpers.tiny import CPU, grid, make_decisive, tiny_config

TOLERANCE = 1e-9


@pytest.fixture(autouse=True, scope="module")
def _in_float64() -> Iterator[None]:
    """What the torch code does in float32 by name: the logits of a loss, and the angles of RoPE."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tensor, "float", Tensor.double)
        patch.setattr(
            recurrent,
            "rope_frequencies",
            lambda n, theta: theta ** -(torch.arange(n, dtype=torch.float64) / n),
        )
        yield


def in_double(model: RecurrentModel) -> RecurrentModel:
    model.compute_dtype = torch.float64
    return model.double()


def twin(model: scalar.HRM, length: int) -> RecurrentModel:
    """A torch network with the same settings and weights, for boards of `length` tokens."""
    vocab_size = len(model.state_dict["embed_tokens.weight"])
    other = in_double(build_model(ModelConfig(**asdict(model.config)), vocab_size, grid(1, length)))
    stored = {name: torch.tensor(rows, dtype=torch.float64) for name, rows in plain(model).items()}
    other.load_state_dict({name: stored[name].view(t.shape) for name, t in other.state_dict().items()})
    return other


def plain(model: scalar.HRM) -> dict[str, scalar.Matrix]:
    return {name: [scalar.numbers(row) for row in rows] for name, rows in model.state_dict.items()}


def rows_of(tensor: Tensor) -> list[list[float]]:
    return tensor.detach().view(-1, tensor.shape[-1]).tolist()


def close(found: Any, expected: Tensor | Any) -> None:
    """Numbers of the specification (Values or floats) and of torch."""
    rows = found if isinstance(found, list) and isinstance(found[0], list) else [np.ravel(found).tolist()]
    mine = np.array([[scalar.number(x) for x in row] for row in rows])
    other = torch.as_tensor(expected).detach().numpy()
    np.testing.assert_allclose(mine.reshape(other.shape), other, rtol=TOLERANCE, atol=TOLERANCE)


def decisive(model: scalar.HRM, seed: int = 0) -> scalar.HRM:
    """With Q-values that depend on the puzzle."""
    draw = random.Random(seed)
    for name in ("q_head.weight", "q_head.bias"):
        for value in (v for row in model.state_dict[name] for v in row):
            value.data = draw.gauss(0, 1)
    return model


CONFIGS = st.builds(
    lambda heads, half, **rest: scalar.ModelConfig(hidden_size=2 * half * heads, num_heads=heads, **rest),
    heads=st.integers(1, 3), half=st.integers(1, 2), causal=st.booleans(),
    h_layers=st.integers(1, 2), l_layers=st.integers(1, 2),
    h_cycles=st.integers(1, 3), l_cycles=st.integers(1, 3),
    expansion=st.sampled_from([1.0, 2.5, 4.0]), swiglu_multiple=st.integers(1, 5),
    rope_theta=st.sampled_from([10.0, 10000.0]),
)  # fmt: skip


@settings(
    max_examples=20,
    deadline=None,
    phases=[Phase.reuse, Phase.generate],  # all are small, and shrinking them takes minutes
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    config=CONFIGS,
    length=st.integers(1, 5),
    vocab_size=st.integers(2, 5),
    kind=st.sampled_from(["softmax", "stablemax"]),
    solved=st.booleans(),
    last=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_segments_losses_targets_and_every_gradient_are_torchs(
    config: scalar.ModelConfig, length: int, vocab_size: int, kind: str, solved: bool, last: bool, seed: int
) -> None:
    random.seed(seed)
    model = decisive(scalar.HRM(config, vocab_size), seed)
    other = twin(model, length)
    tokens, labels = ([random.randrange(vocab_size) for _ in range(length)] for _ in range(2))
    for i in random.sample(range(length), random.randrange(length)):
        labels[i] = scalar.IGNORE
    board, none = torch.tensor([tokens]), torch.zeros(1, dtype=torch.long)

    carry, expected = model.initial_carry(length), other.initial_carry(1)
    for _ in range(2):  # the second segment goes on from the carry of the first
        carry, logits, q = model.forward(carry, tokens)
        expected, torch_logits, torch_q = other(expected, board, none)
        for found, wanted in (
            (carry[0], expected.z_h),
            (carry[1], expected.z_l),
            (logits, torch_logits),
            (q, torch_q),
        ):
            close(found, wanted)

    segment, budget = (4 if last else 3), 4
    with scalar.set_grad_enabled(False), torch.no_grad():
        next_q = model.forward(carry, tokens)[2]
        target = scalar.continue_value(next_q, segment, budget)
        wanted = halting.Q_TARGETS["bootstrap"].targets(
            other(expected, board, none)[2], torch.tensor([segment]), budget
        )
    assert not isinstance(next_q[0], scalar.Value)
    close(target, wanted)
    for floor in (0, 5):
        decision = halting.decide(
            torch_q, torch.tensor([segment]), torch.tensor([floor]), halting.Q_TARGETS["bootstrap"]
        )
        assert scalar.decide(q, segment, floor) == bool(decision)

    parts = scalar.losses(logits, labels, q, solved, target, kind)
    result = torch_losses.losses(
        torch_logits,
        torch.tensor([labels]),
        torch_q,
        torch.tensor([solved]),
        wanted,
        kind,  # type: ignore[arg-type]
    )
    for found, wanted in zip(parts, (result.lm, result.q_halt, result.q_continue), strict=True):
        close(found, wanted)
    (parts[0] + (parts[1] + parts[2]) * 0.5).backward()
    result.total.backward()
    for name, parameter in other.named_parameters():
        close([[value.grad for value in row] for row in model.state_dict[name]], parameter.grad)


@pytest.mark.parametrize("x", [0.0, -0.0, 1e-12, -1e-12, 700.0, -700.0])
def test_stablemax_and_the_cross_entropy_of_q_hold_at_the_seam_and_far_out(x: float) -> None:
    value, tensor = scalar.Value(x), torch.tensor([x], dtype=torch.float64, requires_grad=True)
    zero = torch.zeros_like(tensor)
    total = scalar.cross_entropy([value, 0.0], 0, "stablemax") + scalar.bce(value, 0.3)
    logits = torch.cat((tensor, zero)).view(1, 1, 2)
    expected = torch_losses.cross_entropy(logits, torch.tensor([[0]]), "stablemax").sum()
    expected = expected + torch.nn.functional.binary_cross_entropy_with_logits(tensor, zero + 0.3)
    total.backward()
    expected.backward()
    close(total, expected)
    close(value.grad, tensor.grad)


@pytest.mark.parametrize(
    ("name", "weight_decay"),
    [("AdamATan2", 0.0), ("AdamATan2", 0.1), ("AdamW", 0.1), ("Adam", 0.0)],
)
def test_optimisers_step_as_torchs(name: str, weight_decay: float) -> None:
    kinds: dict[str, Any] = {"AdamATan2": AdamATan2, "AdamW": torch.optim.AdamW, "Adam": torch.optim.Adam}
    draw = random.Random(1)
    values = [scalar.Value(draw.gauss(0, 1)) for _ in range(5)]
    tensor = torch.tensor([v.data for v in values], dtype=torch.float64, requires_grad=True)
    mine = (scalar.AdamATan2 if name == "AdamATan2" else scalar.AdamW)(
        values, 0.02, (0.8, 0.95), weight_decay
    )
    other = kinds[name]([tensor], lr=0.02, betas=(0.8, 0.95), weight_decay=weight_decay)
    for _ in range(8):
        for value in values:
            value.grad = draw.gauss(0, 1) * 10 ** draw.randint(-6, 2)
        values[0].grad = 0.0
        tensor.grad = torch.tensor([v.grad for v in values], dtype=torch.float64)
        mine.step()
        other.step()
        close([v.data for v in values], tensor)
        assert not any(v.grad for v in values)


class RowTask:
    """A row of a 4x4 Sudoku with one blank. Token 0 is no label, 1 the blank, 2 to 5 the digits."""

    name, vocab_size, grid_shape, levels, length = "row", 6, (1, 4), ("only",), 4

    def right(self, inputs: np.ndarray, answer: np.ndarray, solution: np.ndarray) -> np.ndarray:
        kept = ((inputs == answer) | (inputs == 1)).all(-1)
        return kept & (np.sort(answer, -1) == np.arange(2, 6)).all(-1)

    def unknown(self, inputs: np.ndarray) -> np.ndarray:
        return inputs == 1


class RowSource:
    data_wait_seconds = 0.0

    def __init__(self) -> None:
        self.draw_from = np.random.default_rng(0)
        self.drawn: deque[tuple[list[int], list[int]]] = deque()
        """Inputs and labels that nobody else has taken yet."""

    def draw(self, count: int) -> PuzzleBatch:
        solution = np.array([self.draw_from.permutation(4) + 2 for _ in range(count)], np.uint8)
        inputs = solution.copy()
        inputs[np.arange(count), self.draw_from.integers(4, size=count)] = 1
        labels = np.where(inputs == 1, solution.astype(int), scalar.IGNORE)
        self.drawn += zip(inputs.tolist(), labels.tolist(), strict=True)
        zeros = np.zeros(count, np.int64)
        return PuzzleBatch(inputs=inputs, solution=solution, level=zeros, identifier=zeros)


@pytest.mark.parametrize(("loss", "name"), [("softmax", "adamw"), ("stablemax", "adam_atan2")])
def test_six_updates_of_the_learner_are_torchs(loss: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real slots: some halt, some run to the budget, some answers are right."""
    config = tiny_config(
        model={"hidden_size": 8, "num_heads": 2, "swiglu_multiple": 8, "expansion": 2.0},
        halting={"halt_max_steps": 3, "halt_exploration_prob": 0.0},
        optim={"name": name, "lr": 0.01, "grad_clip": 0.0, "ema_decay": 0.0, "weight_decay": 0.1},
        train={"global_batch_size": 5, "loss": loss, "loss_on": "blanks"},
    )
    source, task = RowSource(), RowTask()
    torch.manual_seed(3)
    other = build_model(config.model, task.vocab_size, grid(1, 4))
    make_decisive(other)
    env = ActVectorEnv(task, source, 5, config.halting.halt_max_steps)  # type: ignore[arg-type]
    learner = Learner(in_double(other), env, config, CPU)
    learner.start()
    model = scalar.HRM(scalar.ModelConfig(expansion=2.0), task.vocab_size)
    model.load_state_dict({name: rows_of(tensor) for name, tensor in other.state_dict().items()})
    kind = {"adamw": scalar.AdamW, "adam_atan2": scalar.AdamATan2}[name]
    mine = scalar.Learner(
        model, kind(model.parameters(), 0.01, weight_decay=0.1), iter(source.drawn.popleft, None),
        batch_size=5, halt_max_steps=3, halt_exploration_prob=0.0, loss=loss,
    )  # fmt: skip
    seen, right, ends = recorded_losses(monkeypatch), 0, [0, 0]
    for _ in range(6):
        learner.update()
        before = [slot.segment for slot in mine.slots]
        found = mine.update()
        result = seen[-1]["result"]
        right += int(seen[-1]["solved"].sum())
        for part, wanted in zip(
            zip(*found, strict=True), (result.lm, result.q_halt, result.q_continue), strict=True
        ):
            close(sum(map(scalar.number, part)), wanted)
        after = [slot.segment for slot in mine.slots]
        assert after == learner.slots.segment.tolist()
        for i, slot in enumerate(mine.slots):
            assert slot.inputs == learner.slots.puzzle[i].tolist()
            close(slot.carry[0], learner.slots.carry.z_h[i])
            ends[before[i] == 2] += after[i] == 0
        for tensor_name, tensor in other.state_dict().items():
            close(plain(model)[tensor_name], tensor)
    assert right
    assert all(ends), "slots should halt early, and at the budget"


def test_exploring_only_ever_lengthens_thinking() -> None:
    """With p = 0.1 drawn at every segment, a policy that always halts thinks 1.11 segments (budget 16)."""
    random.seed(0)
    model = scalar.HRM(
        scalar.ModelConfig(hidden_size=2, num_heads=1, h_cycles=1, l_cycles=1, swiglu_multiple=1), 2
    )
    model.state_dict["q_head.bias"][0][0].data = 5.0
    taken = []

    def puzzles() -> Iterator[tuple[list[int], list[int]]]:
        while True:
            taken.append(1)
            yield [0], [1]

    optimizer = scalar.AdamW(model.parameters(), 0.0)
    learner = scalar.Learner(model, optimizer, puzzles(), 40, 16, halt_exploration_prob=0.1)
    for _ in range(25):
        learner.update()
    assert 1.05 < 40 * 25 / (len(taken) - 40) < 1.18


@pytest.mark.parametrize("causal", [False, True])
def test_answers_and_generated_tokens_are_torchs(causal: bool) -> None:
    random.seed(5)
    config = scalar.ModelConfig(causal=causal, swiglu_multiple=4, expansion=2.0)
    model = decisive(scalar.HRM(config, vocab_size=5), seed=2)

    def torch_solve(tokens: list[int]) -> tuple[list[int], int]:
        other, board, none = (
            twin(model, len(tokens)),
            torch.tensor([tokens]),
            torch.zeros(1, dtype=torch.long),
        )
        carry: Carry = other.initial_carry(1)
        segment, halts = 0, False
        with torch.no_grad():
            while segment < 5 and not halts:
                carry, logits, q = other(carry, board, none)
                segment += 1
                halts = bool(halting.Q_TARGETS["bootstrap"].wants_to_halt(q))
        return logits[0].argmax(-1).tolist(), segment

    spent = set()
    for _ in range(12):
        tokens = [random.randrange(5) for _ in range(random.randint(1, 6))]
        assert scalar.solve(model, tokens, budget=5) == torch_solve(tokens)
        spent.add(scalar.solve(model, tokens, budget=5)[1])
    assert len(spent) > 1, "all puzzles took the same number of segments"
    if causal:
        expected = [1, 3]
        while len(expected) < 6:
            expected.append(torch_solve(expected)[0][-1])
        assert scalar.generate(model, [1, 3], 6, budget=5) == expected


def test_a_folder_of_torch_is_read_and_written(tmp_path: Path) -> None:
    config = ModelConfig(hidden_size=8, num_heads=2, h_layers=2, l_layers=1, swiglu_multiple=8)
    torch.manual_seed(0)
    other = build_model(config, 5, grid(2, 2))
    make_decisive(other)
    other.save_pretrained(tmp_path)
    tensors = scalar.read_safetensors(tmp_path / "model.safetensors")
    model = scalar.HRM(scalar.ModelConfig(h_layers=2), vocab_size=5)
    model.load_state_dict(tensors)
    for name, tensor in other.state_dict().items():
        assert tensors[name] == rows_of(tensor)
    answer = model.forward(model.initial_carry(4), [1, 2, 3, 4])

    def assert_thinks_alike(found: RecurrentModel) -> None:
        found = in_double(found)
        carry, logits, q = found(
            found.initial_carry(1), torch.tensor([[1, 2, 3, 4]]), torch.zeros(1, dtype=torch.long)
        )
        for mine, wanted in ((answer[0][0], carry.z_h), (answer[1], logits), (answer[2], q)):
            close(mine, wanted)

    assert_thinks_alike(RecurrentModel.from_pretrained(tmp_path))
    learner = scalar.Learner(
        model, scalar.AdamW(model.parameters(), 0.01), iter(lambda: ([1, 2, 3, 4], [4, 3, 2, 1]), None), 1, 2
    )
    learner.update()
    for dtype, kind in (("F64", torch.float64), ("F32", torch.float32)):
        scalar.write_safetensors(tmp_path / "model.safetensors", model.state_dict, dtype)
        stored = safetensors.torch.load_file(tmp_path / "model.safetensors")
        assert {name: tensor.shape for name, tensor in stored.items()} == {
            name: tensor.shape for name, tensor in other.state_dict().items()
        }
        for name, rows in plain(model).items():
            assert stored[name].dtype == kind
            torch.testing.assert_close(
                stored[name].flatten(), torch.tensor(rows, dtype=kind).flatten(), rtol=0, atol=0
            )
    model.load_state_dict(scalar.read_safetensors(tmp_path / "model.safetensors"))
    answer = model.forward(model.initial_carry(4), [1, 2, 3, 4])
    assert_thinks_alike(RecurrentModel.from_pretrained(tmp_path))

    RecurrentModel.from_pretrained(tmp_path).save_pretrained(tmp_path, dtype="float16")
    half = scalar.read_safetensors(tmp_path / "model.safetensors")
    assert half["h_init"][0] == other.h_init.half().tolist()


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"num_heads": 1, "hidden_size": 4}, "embed_tokens.weight"),
        ({"l_layers": 2}, "l_level.layers.1.mlp.down_proj"),
    ],
)
def test_weights_of_another_network_are_refused_by_name(changed: dict[str, Any], name: str) -> None:
    model = scalar.HRM(scalar.ModelConfig(), 3)
    with pytest.raises(ValueError, match=name):
        model.load_state_dict(scalar.HRM(scalar.ModelConfig(**changed), 3).state_dict)
