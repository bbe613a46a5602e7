"""Bad inputs: export and convert."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import yaml

from tests.helpers.bad_inputs.kinds import BadInput, bad
from tests.helpers.bad_inputs.runs import cut
from tests.helpers.foreign import HRM_LEVELS, official

STATE = {f"_orig_mod.model.inner.{name}": tensor for name, tensor in official(HRM_LEVELS, 1, 32).items()}
CONVERT = "convert --from step_10 --task sudoku --size 4 --out ours"
SIZES = "--num-heads 2 --h-cycles 2 --l-cycles 2"
ABOUT = "`step_10` is a checkpoint of sapientinc/HRM"


def converted(
    flags: str, about: str = ABOUT, change: dict[str, Any] | None = None, arch: Any = None
) -> BadInput:
    """A checkpoint of sapientinc/HRM, some of its tensors changed; None leaves one out."""
    changed = {f"_orig_mod.model.inner.{name}": value for name, value in (change or {}).items()}

    def make() -> None:
        state = {name: value for name, value in (STATE | changed).items() if value is not None}
        torch.save(state, "step_10")
        if arch is not None:
            Path("all_config.yaml").write_text(yaml.safe_dump(arch))

    return bad(f"convert --from step_10 {flags}".strip(), about, make=make)


def read(content: str | bytes, about: str) -> BadInput:
    return bad(CONVERT, about, {"step_10": content})


def half_saved() -> None:
    torch.save(STATE, "step_10")
    cut("step_10")


def half_safetensors() -> None:
    safetensors.torch.save_file({"a": torch.zeros(9)}, "w.safetensors")
    cut("w.safetensors")


class Own:
    """What pickles of whole models hold."""


NAN = STATE["_orig_mod.model.inner.lm_head.weight"].clone().fill_(torch.nan)
TASK = f"--task sudoku --size 4 {SIZES}"

EXPORTS = (
    bad("export"),
    bad("export --checkpoint runs/r"),
    bad("export --out out"),
    bad("export --checkpoint runs/q --out out"),
    bad("export --checkpoint shared --out out"),
    bad("export --checkpoint runs/r --out shared"),
    bad("export --checkpoint runs/r --out notes.txt"),
    bad("export --checkpoint runs/r --out notes.txt/out"),
    bad("export --checkpoint runs/r --out out --weights averaged"),
    bad("export --out runs/r --push me/sudoku"),
    bad("export --out shared --push sudoku"),
    bad("export --checkpoint runs/r --formats onnx"),
    bad("export --checkpoint runs/r --out out --formats tflite"),
    bad("export --checkpoint runs/r --out out --formats onnx --opset 9"),
    bad("export --checkpoint runs/r --out out --formats pt2 --identifier 3"),
    bad("export --checkpoint runs/r --out out --opset 20"),
    bad("export --checkpoint runs/r --out out --to trm"),
    bad("export --checkpoint runs/r --out out --to sapientinc --report"),
    bad("export --page out --checkpoint runs/r --push me/sudoku"),
    bad("export --page shared"),
    bad("export --checkpoint runs/r shared --out out"),
    bad("convert"),
    bad("convert --from step_10 --task sudoku"),
    bad(CONVERT),
    bad("convert --from runs/r --task sudoku --size 4 --out ours"),
    bad("convert --from runs/r/checkpoints/update-00000004/model.safetensors --task sudoku --out ours"),
    read("", "`step_10` is empty"),
    read("404: Not Found", "`step_10` is a web page that says 404"),
    read(pickle.dumps(Own()), "`step_10` is a pickle of a whole model, which could run code"),
    bad(CONVERT, "`step_10` is half there", make=half_saved),
    bad(CONVERT, "`step_10` is a list of tensors", make=lambda: torch.save([torch.zeros(2)], "step_10")),
    bad(
        CONVERT,
        "`step_10` is a ResNet's state dict",
        make=lambda: torch.save({"conv1.weight": torch.zeros(2), "fc.bias": torch.zeros(2)}, "step_10"),
    ),
    bad(
        "convert --from w.safetensors --task sudoku --size 4 --out ours",
        "`w.safetensors` is half there",
        make=half_safetensors,
    ),
    converted("--task sudoku --size 4 --out ours"),
    converted(f"{SIZES} --out ours"),
    converted(f"{TASK} --out shared"),
    converted(f"{TASK} --out ours --format trm"),
    converted(f"{TASK} --out ours --format safetensors"),
    converted(f"--task sudoku --size 9 {SIZES} --out ours"),
    converted(f"--task sudoko {SIZES} --out ours"),
    converted(f"{TASK} --seq-len 81 --out ours"),
    converted(f"{TASK} --num-heads 3 --out ours"),
    converted(f"{TASK} --dtype float16 --out ours"),
    converted(f"{TASK} --config all_config.yaml --out ours"),
    converted(
        "--task sudoku --size 4 --out ours", "`all_config.yaml` has no section `arch`", arch={"lr": 1e-4}
    ),
    converted(
        "--task sudoku --size 4 --out ours",
        "`all_config.yaml` has `num_heads: eight`",
        arch={"arch": {"num_heads": "eight", "H_cycles": 2, "L_cycles": 2}},
    ),
    converted(f"{TASK} --out ours", "`step_10` lacks its `lm_head`", {"lm_head.weight": None}),
    converted(
        f"{TASK} --out ours", "`step_10` has a tensor that no HRM has", {"decoder.weight": torch.zeros(2)}
    ),
    converted(
        f"{TASK} --out ours", "a matrix of `step_10` has another size", {"lm_head.weight": torch.zeros(6, 30)}
    ),
    converted(f"{TASK} --out ours", "the weights of `step_10` hold a NaN", {"lm_head.weight": NAN}),
    bad("export --model sudoku4 --out ours"),
    bad("export --checkpoint runs/r --out ours --dtype float8"),
    bad("convert --to official --from runs/q --out theirs"),
    bad(
        "convert --to official --from step_10 --out theirs", ABOUT, make=lambda: torch.save(STATE, "step_10")
    ),
    bad("convert --to official --from runs/r --out notes.txt"),
    bad("convert --to trm --from runs/r --out theirs"),
)
