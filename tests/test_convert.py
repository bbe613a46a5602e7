"""Checkpoints of other projects. The files are made here from the layouts' descriptions, with networks written for
these tests: what the converter makes of them must think as they do. No published weights were at hand."""

from __future__ import annotations

import json
import math
import pickle
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
import yaml
from torch import Tensor

from hrm_rl import convert_command, evaluate_command
from hrm_rl.errors import UserError
from hrm_rl.layouts import read
from hrm_rl.models import RecurrentModel

D, HEADS, V, L = 32, 2, 6, 16
TASK = ("--task", "sudoku", "--size", "4")
SIZES = ("--num-heads", str(HEADS), "--h-cycles", "2", "--l-cycles", "3")


def rms(x: Tensor) -> Tensor:
    return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt()


def swiglu(x: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    half = gate_up.shape[0] // 2
    return (F.silu(x @ gate_up[:half].T) * (x @ gate_up[half:].T)) @ down.T


def attend(x: Tensor, qkv: Tensor, out: Tensor, rope: bool) -> Tensor:
    """Attention head by head, rotating pairs (i, i + half) as complex numbers."""
    width, half = D // HEADS, D // HEADS // 2
    angle = torch.outer(torch.arange(x.shape[1]), 10000.0 ** (-torch.arange(half) * 2 / width))
    turn = torch.polar(torch.ones_like(angle), angle)

    def rotated(y: Tensor) -> Tensor:
        if not rope:
            return y
        z = torch.complex(y[..., :half], y[..., half:]) * turn
        return torch.cat((z.real, z.imag), -1)

    heads = []
    for head in range(HEADS):
        rows = [slice((part * HEADS + head) * width, (part * HEADS + head + 1) * width) for part in range(3)]
        q, k, v = (x @ qkv[r].T for r in rows)
        weight = (rotated(q) @ rotated(k).transpose(1, 2) / math.sqrt(width)).softmax(-1)
        heads.append(weight @ v)
    return torch.cat(heads, -1) @ out.T


class Network:
    """The reference forward pass on a state dict with official names, in float32."""

    def __init__(self, state: dict[str, Tensor], h_cycles: int, l_cycles: int, prefix: int, rope: bool):
        self.w, self.h_cycles, self.l_cycles, self.prefix, self.rope = state, h_cycles, l_cycles, prefix, rope
        self.high = "H_level" if any(k.startswith("H_level") for k in state) else "L_level"

    def level(self, name: str, x: Tensor) -> Tensor:
        for i in range(sum(k.startswith(name) and k.endswith(".mlp.down_proj.weight") for k in self.w)):
            block = {
                k.removeprefix(f"{name}.layers.{i}.").removesuffix(".weight"): v
                for k, v in self.w.items()
                if k.startswith(f"{name}.layers.{i}.")
            }
            if "mlp_t.down_proj" in block:
                x = x.transpose(1, 2)
                x = rms(x + swiglu(x, block["mlp_t.gate_up_proj"], block["mlp_t.down_proj"])).transpose(1, 2)
            else:
                x = rms(x + attend(x, block["self_attn.qkv_proj"], block["self_attn.o_proj"], self.rope))
            x = rms(x + swiglu(x, block["mlp.gate_up_proj"], block["mlp.down_proj"]))
        return x

    def __call__(self, tokens: Tensor, identifier: Tensor, segments: int) -> tuple[Tensor, Tensor]:
        w = self.w
        x = w["embed_tokens.embedding_weight"][tokens]
        if self.prefix:
            rows = w["puzzle_emb.weights"][identifier]
            rows = F.pad(rows, (0, self.prefix * D - rows.shape[1])).view(len(x), self.prefix, D)
            x = torch.cat((rows, x), 1)
        if "embed_pos.embedding_weight" in w:
            x = 0.707106781 * (x + w["embed_pos.embedding_weight"])
        x = x * math.sqrt(D)
        h, low = w["H_init"].expand_as(x), w["L_init"].expand_as(x)
        for _ in range(segments):
            for _ in range(self.h_cycles):
                for _ in range(self.l_cycles):
                    low = self.level("L_level", low + h + x)
                h = self.level(self.high, h + low)
        return (h @ w["lm_head.weight"].T)[:, self.prefix :], h[:, 0] @ w["q_head.weight"].T + w[
            "q_head.bias"
        ]


def random_tensors(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {k: torch.randn(s, generator=generator) / math.sqrt(s[-1]) for k, s in shapes.items()}


def official(
    levels: dict[str, int], prefix: int, ndim: int = 0, learned: bool = False, mlp_t: bool = False
) -> dict[str, Tensor]:
    """A state dict of sapientinc/HRM or TinyRecursiveModels, as their modules name it; 3 puzzle identifiers."""
    inner = 256
    shapes: dict[str, tuple[int, ...]] = {
        "H_init": (D,), "L_init": (D,), "embed_tokens.embedding_weight": (V, D), "lm_head.weight": (V, D),
        "q_head.weight": (2, D), "q_head.bias": (2,),
    }  # fmt: skip
    if ndim:
        shapes["puzzle_emb.weights"] = (3, ndim)
    if learned:
        shapes["embed_pos.embedding_weight"] = (prefix + L, D)
    for level, layers in levels.items():
        for i in range(layers):
            block = f"{level}.layers.{i}."
            if mlp_t:
                shapes[block + "mlp_t.gate_up_proj.weight"] = (2 * inner, prefix + L)
                shapes[block + "mlp_t.down_proj.weight"] = (prefix + L, inner)
            else:
                shapes[block + "self_attn.qkv_proj.weight"] = (3 * D, D)
                shapes[block + "self_attn.o_proj.weight"] = (D, D)
            shapes[block + "mlp.gate_up_proj.weight"] = (2 * inner, D)
            shapes[block + "mlp.down_proj.weight"] = (D, inner)
    return random_tensors(shapes)


def prefixed(state: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {prefix + k: v for k, v in state.items()}


def saved(path: Path, state: dict[str, Any]) -> Path:
    torch.save(state, path)
    return path


def run(*args: object) -> None:
    assert convert_command.main([str(a) for a in args]) == 0


def refused(*args: object) -> str:
    with pytest.raises(UserError) as error:
        convert_command.main([str(a) for a in args])
    return str(error.value)


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(7)
    return torch.randint(1, V, (4, L), generator=generator), torch.tensor([0, 1, 2, 1])


@torch.no_grad()
def thoughts(model: RecurrentModel, segments: int = 2) -> tuple[Tensor, Tensor]:
    tokens, identifier = batch()
    model.eval()
    carry = model.initial_carry(len(tokens))
    for _ in range(segments):
        carry, logits, q = model(carry, tokens, identifier)
    return logits, q


HRM_LEVELS = {"H_level": 1, "L_level": 2}
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


def with_arch(folder: Path, state: dict[str, Any], **arch: Any) -> Path:
    """A checkpoint with its all_config.yaml beside it."""
    folder.mkdir()
    sizes = {"H_cycles": 2, "L_cycles": 3, "num_heads": HEADS}
    (folder / "all_config.yaml").write_text(yaml.safe_dump({"arch": sizes | arch}))
    return saved(folder / "step_10", state)


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


def mlx(inner: int) -> dict[str, Tensor]:
    """The Swift version's parameters: 5 tokens of 4x4 Sudoku (blank 0, digits), one trained token before them."""
    shapes: dict[str, tuple[int, ...]] = {
        "clsToken": (D,), "inputEmbedding.embeddings": (V - 1, D), "outputHead.weight": (D, V - 1),
        "qACTHead.weight": (D, 2), "qACTHead.bias": (2,),
        "initialHiddenStatesParams.highLevel": (D,), "initialHiddenStatesParams.lowLevel": (D,),
    }  # fmt: skip
    for level in ("high", "low"):
        for i in range(2):
            block = f"{level}LevelReasoner.blocks.{i}."
            shapes[block + "selfAttn.qkvProj.weight"] = (D, 3 * D)
            shapes[block + "selfAttn.outProj.weight"] = (D, D)
            shapes[block + "mlp.gateUpProj.weight"] = (D, 2 * inner)
            shapes[block + "mlp.downProj.weight"] = (inner, D)
    return random_tensors(shapes)


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


def test_all_missing_unexpected_and_misshapen_keys_are_named_in_one_error(tmp_path: Path) -> None:
    state = official(HRM_LEVELS, 0)
    del state["lm_head.weight"], state["L_level.layers.1.self_attn.o_proj.weight"]
    state |= {"lm_haed.weight": torch.zeros(V, D), "rotary_emb.cos": torch.zeros(2)}
    state["q_head.bias"] = torch.zeros(3)
    state["H_level.layers.0.mlp.gate_up_proj.weight"] = torch.zeros(100, D)
    message = refused("--from", saved(tmp_path / "f", state), *TASK, *SIZES, "--out", tmp_path / "out")
    _, missing, unexpected, misshapen = message.splitlines()
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
    _, missing, unexpected, misshapen = message.splitlines()
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
