"""Six updates of the reference implementation, reproduced by the real learner: losses, Q-values, targets,
halting, row replacement, both optimisers and the gradient of every weight. The numbers in
data/hrm_golden.json come from sapientinc/HRM in float32."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from envs import ActVectorEnv, PuzzleBatch
from hrm_rl.agents.act import learner as learner_module
from hrm_rl.agents.act.learner import Learner
from hrm_rl.agents.act.losses import losses
from hrm_rl.config import Config, HaltingConfig, ModelConfig, OptimConfig, TrainConfig
from hrm_rl.models import HRM, build_model
from tests.helpers.paths import ROOT
from tests.helpers.tiny import grid

GOLDEN = json.loads((ROOT / "tests" / "golden" / "hrm.json").read_text())
LOSS_TOLERANCE, GRADIENT_TOLERANCE = 1e-5, 1e-4


class LabelTask:
    """A task without rules: an answer is right if it equals the labels, which the reference judges by."""

    name, vocab_size, grid_shape, levels = "labels", GOLDEN["config"]["vocab_size"], (9, 9), ("only",)
    length = 9 * 9

    def right(self, inputs: np.ndarray, answer: np.ndarray, solution: np.ndarray) -> np.ndarray:
        return ((answer == solution) | (solution == 0)).all(-1)

    def unknown(self, inputs: np.ndarray) -> np.ndarray:
        return np.ones_like(inputs, np.bool_)


class SameBatchEnv(ActVectorEnv):
    """Every slot gets its own row of the golden batch again and again."""

    def _draw(self, slots: np.ndarray) -> PuzzleBatch:
        return self.source.batch.take(slots)


class GoldenSource:
    data_wait_seconds = 0.0

    def __init__(self) -> None:
        labels = np.array(GOLDEN["labels"])
        self.batch = PuzzleBatch(
            inputs=np.array(GOLDEN["inputs"], np.uint8),
            solution=np.where(labels == -100, 0, labels).astype(np.uint8),
            level=np.zeros(len(labels), np.int64),
            identifier=np.array(GOLDEN["puzzle_identifiers"]),
        )


def golden_config(loss: str) -> Config:
    c = GOLDEN["config"]
    return Config(
        model=ModelConfig(
            hidden_size=c["hidden_size"], num_heads=c["num_heads"], h_layers=c["H_layers"],
            l_layers=c["L_layers"],
            h_cycles=c["H_cycles"], l_cycles=c["L_cycles"], expansion=c["expansion"],
            pos_encodings=c["pos_encodings"], puzzle_emb_ndim=c["puzzle_emb_ndim"],
        ),
        halting=HaltingConfig(
            halt_max_steps=c["halt_max_steps"], halt_exploration_prob=c["halt_exploration_prob"]
        ),
        optim=OptimConfig(
            name="adam_atan2", lr=GOLDEN["lr"], betas=tuple(GOLDEN["betas"]),
            weight_decay=GOLDEN["weight_decay"],
            puzzle_emb_lr=GOLDEN["puzzle_emb_lr"], puzzle_emb_weight_decay=GOLDEN["weight_decay"],
            grad_clip=0.0,
        ),
        train=TrainConfig(global_batch_size=c["batch_size"], loss=loss.split("_")[0]),
    )  # fmt: skip


def reference_name(name: str) -> str:
    """The reference's key for a tensor of ours."""
    name = name.replace("h_init", "H_init").replace("l_init", "L_init")
    name = name.replace("h_level", "H_level").replace("l_level", "L_level")
    return name.replace("embed_tokens.weight", "embed_tokens.embedding_weight").replace(
        "puzzle_emb.weight", "puzzle_emb.weights"
    )


def fill_by_rule(model: HRM) -> None:
    """The golden run's initial weights (DESIGN.md, "Golden numbers")."""
    ours = {reference_name(name): tensor for name, tensor in model.state_dict().items()}
    for i, name in enumerate(sorted(ours)):
        tensor = ours[name]
        values = np.random.RandomState(GOLDEN["weights_seed"] + i).standard_normal(tensor.numel())
        if name == "q_head.bias":
            values = np.array([0.5, 0.0])
        elif name == "q_head.weight":
            values *= 3 / np.sqrt(GOLDEN["config"]["hidden_size"])
        elif name not in ("H_init", "L_init"):
            values /= np.sqrt(tensor.shape[-1])
        tensor.copy_(torch.from_numpy(values.reshape(tensor.shape)))


class Recorder:
    """What one update of the learner saw, caught where it hands things on."""

    def __init__(self, learner: Learner, monkeypatch: pytest.MonkeyPatch):
        self.learner = learner
        self.seen: dict[str, Any] = {}
        monkeypatch.setattr(learner_module, "losses", self._losses)
        optimizer = learner.optimisation.optimizer
        monkeypatch.setattr(optimizer, "step", self._before(optimizer.step))
        monkeypatch.setattr(learner.env, "step", self._env_step(learner.env.step))

    def _losses(self, logits: Any, labels: Any, q: Any, solved: Any, target: Any, kind: Any) -> Any:
        result = losses(logits, labels, q, solved, target, kind)
        self.seen |= {
            "logits_slot0_token0": logits[0, 0], "logits_last_slot_last_token": logits[-1, -1],
            "q_halt": q[:, 0], "q_continue": q[:, 1], "target_q_continue": target,
            "loss": result.total.detach(), "lm_loss": result.lm.detach(),
            "q_halt_loss": result.q_halt.detach(),
            "q_continue_loss": result.q_continue.detach(),
        }  # fmt: skip
        return result

    def _before(self, step: Any) -> Any:
        def recorded(*args: Any) -> None:
            named = self.learner.model.named_parameters()
            self.seen["grad_norms"] = {reference_name(n): float(p.grad.norm()) for n, p in named}
            _, rows = self.learner.model.puzzle_emb.looked_up
            self.seen["puzzle_emb_grad_norm"] = float(rows.grad.norm())
            step(*args)

        return recorded

    def _env_step(self, step: Any) -> Any:
        def recorded(action: Any) -> Any:
            before = self.learner.env.state_arrays()["segment"]
            result = step(action)
            self.seen["halted"] = (result[2] | result[3]).tolist()
            self.seen["segments"] = (before + 1).tolist()
            return result

        return recorded


ON_A_GPU = pytest.param(
    "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
)


@pytest.mark.parametrize("device", ["cpu", ON_A_GPU])
@pytest.mark.parametrize("loss", ["stablemax_cross_entropy", "softmax_cross_entropy"])
def test_six_updates_agree_with_the_reference(
    loss: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, source = golden_config(loss), GoldenSource()
    env = SameBatchEnv(
        LabelTask(),
        source,
        GOLDEN["config"]["batch_size"],
        config.halting.halt_max_steps,
    )
    c = GOLDEN["config"]
    model = build_model(config.model, c["vocab_size"], grid(9, 9), c["num_puzzle_identifiers"])
    fill_by_rule(model)
    learner = Learner(model, env, config, torch.device(device))
    learner.start()
    recorder = Recorder(learner, monkeypatch)
    ends = 0
    for expected in GOLDEN[loss]["trace"]:
        learner.update()
        seen = recorder.seen
        assert seen["segments"] == expected["segments"]
        assert seen["halted"] == expected["halted"]
        ends += sum(seen["halted"])
        for name in ("loss", "lm_loss", "q_halt_loss", "q_continue_loss"):
            assert float(seen[name]) == pytest.approx(expected[name], rel=LOSS_TOLERANCE), name
        for name in ("q_halt", "q_continue", "target_q_continue", "logits_slot0_token0",
                     "logits_last_slot_last_token"):  # fmt: skip
            np.testing.assert_allclose(
                seen[name].detach().cpu(), expected[name], rtol=1e-4, atol=1e-4, err_msg=name
            )
        for name, norm in expected["grad_norms"].items():
            assert seen["grad_norms"][name] == pytest.approx(norm, rel=GRADIENT_TOLERANCE), name
        assert set(seen["grad_norms"]) == set(expected["grad_norms"])
        assert seen["puzzle_emb_grad_norm"] == pytest.approx(
            expected["puzzle_emb_grad_norm"], rel=GRADIENT_TOLERANCE
        )
    assert ends > 6, "the trace holds halts and budget ends; none was seen"
    for name, tensor in model.state_dict().items():
        total = float(tensor.abs().sum())
        expected = GOLDEN[loss]["weight_abs_sums_after"][reference_name(name)]
        assert total == pytest.approx(expected, rel=LOSS_TOLERANCE), name
