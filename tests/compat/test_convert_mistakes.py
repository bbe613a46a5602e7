"""Checkpoints of other projects that do not fit, or that would do harm: what the converter says of them."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from hrm_rl.cli import evaluate as evaluate_command
from hrm_rl.models import RecurrentModel
from hrm_rl.utils.errors import UserError
from tests.helpers.foreign import (
    HRM_LEVELS,
    SIZES,
    TASK,
    D,
    L,
    V,
    mlx,
    official,
    refused,
    run,
    saved,
    thoughts,
    with_arch,
)


@pytest.mark.parametrize(
    ("arch", "part"),
    [
        ({"halt_max_steps": 0}, "arch.halt_max_steps=0: "),
        ({"halt_max_steps": "abc"}, "arch.halt_max_steps=abc: "),
        ({"expansion": "wide"}, "arch.expansion=wide: "),
        ({"H_cycles": 0}, "arch.H_cycles=0: "),
        ({"num_heads": "eight"}, "arch.num_heads=eight: "),
        ({"forward_dtype": "float64"}, "arch.forward_dtype=float64: "),
        ({"pos_encodings": "sinus"}, "arch.pos_encodings=sinus: "),
        ({"rms_norm_eps": 1e-6}, "arch.rms_norm_eps=1e-06: "),
        ({"puzzle_emb_len": -1}, "arch.puzzle_emb_len=-1: "),
        ({"no_ACT_continue": "maybe"}, "arch.no_ACT_continue=maybe: "),
    ],
)
def test_a_wrong_value_in_all_config_is_named_with_its_file(
    arch: dict[str, Any], part: str, tmp_path: Path
) -> None:
    file = with_arch(tmp_path / "theirs", official(HRM_LEVELS, 0), **arch)
    message = refused("--from", file, *TASK, "--out", tmp_path / "out")
    assert f"{file.parent / 'all_config.yaml'}: {part}" in message
    assert "\n" not in message


def test_all_missing_unexpected_and_misshapen_keys_are_named_in_one_error(tmp_path: Path) -> None:
    state = official(HRM_LEVELS, 0)
    del state["lm_head.weight"], state["L_level.layers.1.self_attn.o_proj.weight"]
    state |= {"lm_haed.weight": torch.zeros(V, D), "rotary_emb.cos": torch.zeros(2)}
    state["q_head.bias"] = torch.zeros(3)
    state["H_level.layers.0.mlp.gate_up_proj.weight"] = torch.zeros(100, D)
    message = refused("--from", saved(tmp_path / "f", state), *TASK, *SIZES, "--out", tmp_path / "out")
    _, missing, unexpected, misshapen = re.split(r"[:;] (?=missing|unexpected|misshapen)", message)
    assert missing.startswith("missing: ")
    assert set(missing[9:].split(", ")) == {"lm_head.weight", "L_level.layers.1.self_attn.o_proj.weight"}
    assert set(unexpected.removeprefix("unexpected: ").split(", ")) == {"lm_haed.weight", "rotary_emb.cos"}
    assert "q_head.bias (3,) for (2,)" in misshapen
    assert "H_level.layers.0.mlp.gate_up_proj.weight (100, 32) for (512, 32)" in misshapen
    assert not (tmp_path / "out").exists()


def test_without_the_tensors_that_sizes_are_read_from_all_that_is_certain_is_named(tmp_path: Path) -> None:
    state = official(HRM_LEVELS, 0, ndim=D)
    for name in ("embed_tokens.embedding_weight", "lm_head.weight", "H_init"):
        del state[name]
    state |= {"junk": torch.zeros(2), "L_level.layers.0.norm.weight": torch.zeros(D)}
    state |= {
        "q_head.bias": torch.zeros(3),
        "L_init": torch.zeros(1, D),
        "puzzle_emb.weights": torch.zeros(3),
    }
    message = refused("--from", saved(tmp_path / "f", state), *TASK, *SIZES, "--out", tmp_path / "out")
    _, missing, unexpected, misshapen = re.split(r"[:;] (?=missing|unexpected|misshapen)", message)
    assert missing == "missing: embed_tokens.embedding_weight, H_init, lm_head.weight"
    assert unexpected == "unexpected: junk, L_level.layers.0.norm.weight"
    for wrong in (
        "q_head.bias (3,) for (2,)",
        "L_init (1, 32) for (D,)",
        "puzzle_emb.weights (3,) for (identifiers, ndim)",
    ):
        assert wrong in misshapen
    assert misshapen.count(" for ") == 3


class Malice:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        import os

        return os.system, ("touch pwned",)


@pytest.mark.parametrize("how", ["torch.save", "pickle"])
def test_a_file_that_would_run_code_is_refused_in_one_line_and_runs_none(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    state = {**official(HRM_LEVELS, 0), "extra": Malice()}
    if how == "pickle":
        Path("file").write_bytes(pickle.dumps({"extra": Malice()}))
    else:
        torch.save(state, "file")
    message = refused("--from", "file", *TASK, *SIZES, "--out", "out")
    assert "refused" in message
    assert "\n" not in message
    assert not Path("pwned").exists()
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("args", "part"),
    [
        ("", "say what to convert"),
        ("--from FILE --out OUT --task sudoku --size 4", "--num-heads, --h-cycles, --l-cycles"),
        ("--from FILE --out OUT --num-heads 2 --h-cycles 1 --l-cycles 1", "--seq-len"),
        ("--from FILE --out OUT --task sudoku --size 6 SIZES", "knows 6 tokens, the task has 8"),
        (
            "--from FILE --out OUT --task sudoku --size 4 --num-heads 5 --h-cycles 1 --l-cycles 1",
            "num_heads=5",
        ),
        ("--from LEARNED --out OUT --task sudoku --size 6 SIZES", "17 positions"),
        ("--from gone --out OUT --task sudoku SIZES", "cannot read gone"),
        ("--from FILE --out OUT --task sudoku --size 4 SIZES --config gone.yaml", "gone.yaml"),
        ("--from FILE --out HERE --task sudoku --size 4 SIZES", "exists already"),
        ("--from TEXT --out OUT --task sudoku --size 4 SIZES", "refused"),
        ("--from LIST --out OUT --task sudoku --size 4 SIZES", "no state dict"),
        ("--from NUMBER --out OUT --task sudoku --size 4 SIZES", "no tensors: step"),
        ("--from FILE --fromat hrm", "unknown flag"),
    ],
)
def test_mistakes_are_one_line(args: str, part: str, tmp_path: Path) -> None:
    saved(tmp_path / "FILE", official(HRM_LEVELS, 0))
    saved(tmp_path / "LEARNED", official(HRM_LEVELS, 1, ndim=D, learned=True))
    saved(tmp_path / "LIST", [torch.zeros(2)])  # type: ignore[arg-type]
    saved(tmp_path / "NUMBER", {**official(HRM_LEVELS, 0), "step": 3})
    (tmp_path / "TEXT").write_text("hello")
    (tmp_path / "HERE").mkdir()
    args = args.replace("SIZES", " ".join(SIZES))
    words = [str(tmp_path / w) if w.isupper() else w for w in args.split()]
    message = refused(*words)
    assert part in message
    assert "\n" not in message


def test_a_network_that_upstream_does_not_have_is_refused_by_its_settings(tmp_path: Path) -> None:
    safetensors.torch.save_file(mlx(64), tmp_path / "f")
    run("--from", tmp_path / "f", *TASK, *SIZES, "--out", tmp_path / "ours")
    message = refused("--from", tmp_path / "ours", "--to", "official", "--out", tmp_path / "theirs")
    assert "model.prefix=cls" in message
    assert not (tmp_path / "theirs").exists()


def test_without_a_task_the_folder_can_be_loaded_and_evaluate_says_what_is_missing(tmp_path: Path) -> None:
    file = saved(tmp_path / "f", official(HRM_LEVELS, 0))
    run("--from", file, "--seq-len", L, *SIZES, "--out", tmp_path / "out")
    assert thoughts(RecurrentModel.from_pretrained(tmp_path / "out"))[0].shape == (4, L, V)
    with pytest.raises(UserError, match="without its task"):
        evaluate_command.main(["--checkpoint", str(tmp_path / "out")])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_not_converted(value: float, tmp_path: Path) -> None:
    state = official(HRM_LEVELS, 0)
    state["lm_head.weight"][0, 0] = value
    file = with_arch(tmp_path / "theirs", state)
    message = refused("--from", file, *TASK, "--out", tmp_path / "out")
    assert "tensors holds NaN or infinity, the first lm_head.weight" in message
    assert not (tmp_path / "out").exists()
