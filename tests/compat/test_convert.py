"""Checkpoints of other projects: what the converter makes of them must think as they
do, and go back as they came."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import yaml

from hrm_rl.cli import evaluate as evaluate_command
from hrm_rl.compat.names import read
from hrm_rl.models import RecurrentModel
from tests.helpers.foreign import (
    HEADS,
    HRM_LEVELS,
    SIZES,
    TASK,
    D,
    L,
    Network,
    batch,
    mlx,
    official,
    prefixed,
    refused,
    run,
    saved,
    thoughts,
    with_arch,
)

CASES: dict[str, tuple[dict[str, Any], int, bool]] = {
    "hrm": ({"levels": HRM_LEVELS, "prefix": 0}, 0, True),
    "hrm, puzzle rows": ({"levels": HRM_LEVELS, "prefix": 2, "ndim": 40}, 2, True),
    "hrm, learned": ({"levels": HRM_LEVELS, "prefix": 1, "ndim": D, "learned": True}, 1, False),
    "trm": ({"levels": {"L_level": 2}, "prefix": 16, "ndim": D}, 16, True),
    "trm, mlp": ({"levels": {"L_level": 2}, "prefix": 16, "ndim": D, "mlp_t": True}, 16, False),
}


@pytest.mark.parametrize("case", CASES)
def test_a_converted_network_thinks_as_the_official_one(case: str, tmp_path: Path) -> None:
    made, prefix, rope = CASES[case]
    state = official(**made)
    file = saved(tmp_path / "step_10", prefixed(state, "_orig_mod.model.inner."))
    run("--from", file, *TASK, *SIZES, "--out", tmp_path / "out")
    model = RecurrentModel.from_pretrained(tmp_path / "out")
    logits, q = thoughts(model)
    expected_logits, expected_q = Network(state, 2, 3, prefix, rope)(*batch(), segments=2)
    assert torch.allclose(logits, expected_logits, atol=1e-4)
    assert torch.allclose(q, expected_q, atol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_there_and_back_every_bit_of_the_official_file_returns(case: str, tmp_path: Path) -> None:
    state = official(**CASES[case][0])
    state |= {k: state[k].bfloat16() for k in ("H_init", "L_init")}  # as upstream stores them
    file = saved(tmp_path / "step_10", prefixed(state, "_orig_mod.model.inner."))
    run("--from", file, *TASK, *SIZES, "--out", tmp_path / "ours", "--halt-max-steps", "5")
    run("--from", tmp_path / "ours", "--to", "official", "--out", tmp_path / "theirs")
    (back,) = [p for p in (tmp_path / "theirs").iterdir() if p.name.startswith("step_")]
    returned = torch.load(back, weights_only=True)
    assert returned.keys() == prefixed(state, "_orig_mod.model.inner.").keys()
    for name, value in state.items():
        assert returned["_orig_mod.model.inner." + name].dtype == value.dtype, name
        assert torch.equal(returned["_orig_mod.model.inner." + name], value), name

    arch = yaml.safe_load((tmp_path / "theirs" / "all_config.yaml").read_text())["arch"]
    assert (arch["halt_max_steps"], arch["H_cycles"], arch["L_cycles"]) == (5, 2, 3)
    run("--from", back, *TASK, "--out", tmp_path / "again")  # all_config.yaml beside it says the rest
    one, other = (RecurrentModel.from_pretrained(tmp_path / name) for name in ("ours", "again"))
    assert one.config == other.config
    assert all(torch.equal(a, b) for a, b in zip(thoughts(one), thoughts(other), strict=True))


def test_a_puzzle_emb_len_of_0_is_as_many_rows_as_the_embedding_needs_as_upstream(tmp_path: Path) -> None:
    state = official({"L_level": 2}, 2, ndim=40)  # 40 numbers in rows of 32
    file = with_arch(tmp_path / "theirs", state, puzzle_emb_len=0)
    run("--from", file, *TASK, "--out", tmp_path / "ours")
    model = RecurrentModel.from_pretrained(tmp_path / "ours")
    for found, expected in zip(
        thoughts(model), Network(state, 2, 3, 2, True)(*batch(), segments=2), strict=True
    ):
        assert torch.allclose(found, expected, atol=1e-4)

    run("--from", tmp_path / "ours", "--to", "official", "--out", tmp_path / "back")
    assert arch_of(tmp_path / "back")["puzzle_emb_len"] == 0
    run("--from", file, *TASK, "--puzzle-emb-len", 3, "--out", tmp_path / "three")
    assert RecurrentModel.from_pretrained(tmp_path / "three").prefix == 3, "a flag goes before the file"
    file = with_arch(tmp_path / "absent", state)
    run("--from", file, *TASK, "--out", tmp_path / "sixteen")
    assert RecurrentModel.from_pretrained(tmp_path / "sixteen").prefix == 16, "upstream's default"


def arch_of(folder: Path) -> dict[str, Any]:
    return yaml.safe_load((folder / "all_config.yaml").read_text())["arch"]


def rule_of(folder: Path) -> str:
    return json.loads((folder / "config.json").read_text())["run"]["config"]["halting"]["q_target"]


@pytest.mark.parametrize("no_continue", [False, True])
@pytest.mark.parametrize("layout", ["hrm", "trm"])
def test_the_halting_rule_goes_there_and_back(
    layout: str, no_continue: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = official(HRM_LEVELS if layout == "hrm" else {"L_level": 2}, 0)
    file = with_arch(tmp_path / "theirs", state, no_ACT_continue=no_continue)
    run("--from", file, *TASK, "--out", tmp_path / "ours")
    assert rule_of(tmp_path / "ours") == ("halt_only" if no_continue else "bootstrap")
    run("--from", tmp_path / "ours", "--to", "official", "--out", tmp_path / "back")
    warned = capsys.readouterr().err
    if layout == "hrm" and no_continue:
        assert "sapientinc/HRM compares with q_continue" in warned
        assert warned.count("\n") == 1
    else:
        assert not warned
    assert arch_of(tmp_path / "back").get("no_ACT_continue", False) is no_continue
    run("--from", tmp_path / "back" / "step_0", *TASK, "--out", tmp_path / "again")
    assert rule_of(tmp_path / "again") == rule_of(tmp_path / "ours")


def test_a_network_of_which_no_rule_is_known_is_written_with_its_projects_own(tmp_path: Path) -> None:
    file = saved(tmp_path / "f", official({"L_level": 2}, 0))
    run("--from", file, "--seq-len", L, *SIZES, "--out", tmp_path / "ours")
    run("--from", tmp_path / "ours", "--to", "official", "--out", tmp_path / "back")
    assert arch_of(tmp_path / "back")["no_ACT_continue"] is True


def test_what_all_config_leaves_empty_or_says_of_other_things_is_passed_over(tmp_path: Path) -> None:
    file = with_arch(
        tmp_path / "theirs", official(HRM_LEVELS, 0), expansion="4", halt_max_steps=None, loss={"name": "x"}
    )
    run("--from", file, *TASK, "--out", tmp_path / "out")
    assert RecurrentModel.from_pretrained(tmp_path / "out").config.expansion == 4.0


def test_rotary_positions_of_a_trm_without_attention_are_none(tmp_path: Path) -> None:
    state = official({"L_level": 2}, 16, ndim=D, mlp_t=True)
    file = with_arch(tmp_path / "theirs", state, mlp_t=True, pos_encodings="rope")
    run("--from", file, *TASK, "--out", tmp_path / "out")
    assert RecurrentModel.from_pretrained(tmp_path / "out").config.pos_encodings == "none"


@pytest.mark.parametrize(
    "prefix",
    ["", "model.inner.", "_orig_mod.model.inner.", "model._orig_mod.inner.", "module.model.inner.", "inner."],
)
def test_prefixes_are_taken_off_in_any_order(prefix: str, tmp_path: Path) -> None:
    state = official(HRM_LEVELS, 0)
    source = read(saved(tmp_path / "file", prefixed(state, prefix)))
    assert source.layout == "hrm"
    assert torch.equal(
        source.tensors["h_level.layers.0.mlp.down_proj.weight"],
        state["H_level.layers.0.mlp.down_proj.weight"],
    )
    assert len(source.tensors) == len(state)


def test_the_swift_versions_network_thinks_the_same_with_its_tokens_one_higher(tmp_path: Path) -> None:
    state = mlx(inner=64)  # which no rounding up to 256 gives
    safetensors.torch.save_file(state, tmp_path / "checkpoint.safetensors")
    run("--from", tmp_path / "checkpoint.safetensors", *TASK, *SIZES, "--out", tmp_path / "out")
    model = RecurrentModel.from_pretrained(tmp_path / "out")
    names = {
        "H_init": state["initialHiddenStatesParams.highLevel"],
        "L_init": state["initialHiddenStatesParams.lowLevel"],
        "embed_tokens.embedding_weight": state["inputEmbedding.embeddings"],
        "lm_head.weight": state["outputHead.weight"].T,
        "q_head.weight": state["qACTHead.weight"].T,
        "q_head.bias": state["qACTHead.bias"],
        "puzzle_emb.weights": state["clsToken"].expand(3, D),  # one vector before the board, whoever asks
    }
    theirs = {"selfAttn.qkvProj": "self_attn.qkv_proj", "selfAttn.outProj": "self_attn.o_proj",
              "mlp.gateUpProj": "mlp.gate_up_proj", "mlp.downProj": "mlp.down_proj"}  # fmt: skip
    for level, short in (("high", "H"), ("low", "L")):
        for i in range(2):
            for one, other in theirs.items():
                value = state[f"{level}LevelReasoner.blocks.{i}.{one}.weight"].T
                names[f"{short}_level.layers.{i}.{other}.weight"] = value
    tokens, identifier = batch()
    expected, expected_q = Network(names, 2, 3, 1, True)(tokens - 1, identifier, segments=2)
    logits, q = thoughts(model)
    assert torch.allclose(logits[..., 1:], expected, atol=1e-4)
    assert torch.allclose(q, expected_q, atol=1e-4)
    assert torch.allclose(logits[..., 0], logits[..., 1]), "PAD takes only what blank would take"
    assert model.config.prefix == "cls"


def test_the_swift_versions_rotary_tables_tell_heads_and_tokens_and_whether_they_were_rounded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cycles = ("--h-cycles", 2, "--l-cycles", 2)
    file = tmp_path / "checkpoint-250.safetensors"
    safetensors.torch.save_file(mlx(64), file)
    run("--from", file, *cycles, "--out", tmp_path / "exact")  # neither --task nor --num-heads
    assert RecurrentModel.from_pretrained(tmp_path / "exact").config.num_heads == HEADS
    assert capsys.readouterr().err == ""
    # As there: weights of attention in float32, all else in bfloat16, angles rounded before cos and sin.
    state = {name: value if "Proj" in name else value.bfloat16() for name, value in mlx(64).items()}
    turns = 10000.0 ** -(torch.arange(0, D // HEADS, 2) / (D // HEADS)).bfloat16()
    angles = torch.outer(torch.arange(L + 1).bfloat16(), turns)
    for name, table in (("cos", angles.cos()), ("sin", angles.sin())):
        state[f"rotaryEmb.{name}"] = torch.cat((table, table), -1)[:, None].contiguous()
    safetensors.torch.save_file(state, file)
    run("--from", file, *TASK, *cycles, "--out", tmp_path / "rounded")
    warned = capsys.readouterr().err
    assert "warning: the network was trained with rotary positions that are off by up to 0.0" in warned
    assert RecurrentModel.from_pretrained(tmp_path / "rounded").config.dtype == "bfloat16"
    message = refused("--from", file, *TASK, "--num-heads", 4, *cycles, "--out", tmp_path / "x")
    assert "rotary tables are those of num heads 2, not 4" in message


@pytest.mark.parametrize("layout", ["hrm", "trm", "mlx"])
def test_a_converted_folder_is_judged_by_evaluate(
    layout: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    if layout == "mlx":
        safetensors.torch.save_file(mlx(64), file)
    else:
        levels = HRM_LEVELS if layout == "hrm" else {"L_level": 2}
        saved(file, official(levels, 16 if layout == "trm" else 1, ndim=D))
    run("--from", file, *TASK, *SIZES, "--halt-max-steps", 2, "--out", tmp_path / "out")
    capsys.readouterr()
    evaluate_command.main(["--checkpoint", str(tmp_path / "out"), "--puzzles", "20", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["all"]["puzzles"] == 20
    assert found["budget"] == 2
    assert found["puzzles"].startswith("generated")
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"converted from file, layout {layout}" in card
    assert "optim:" not in card, "how it was trained is not known"
    rule = json.loads((tmp_path / "out" / "config.json").read_text())["run"]["config"]["halting"]["q_target"]
    assert rule == ("halt_only" if layout == "trm" else "bootstrap")
