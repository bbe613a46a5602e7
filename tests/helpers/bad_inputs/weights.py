"""Bad inputs: checkpoints and weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from tests.helpers.bad_inputs.kinds import BadInput, bad
from tests.helpers.bad_inputs.runs import LAST, cut

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 109051904\n"
BERT = '{"architectures": ["BertForMaskedLM"], "model_type": "bert", "hidden_size": 768}'


def evaluate(checkpoint: str, about: str = "", **kinds: Any) -> BadInput:
    return bad(f"evaluate --checkpoint {checkpoint}", about, **kinds)


def described(**changes: object) -> None:
    """Change config.json of the exported folder."""
    path = Path("shared/config.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def with_nan(path: Path) -> None:
    """A number that is none in the weights of a folder."""
    tensors = safetensors.torch.load_file(path)
    next(iter(tensors.values())).view(-1)[0] = torch.nan
    safetensors.torch.save_file(tensors, path, {"format": "pt"})


def without_one(path: Path) -> None:
    tensors = safetensors.torch.load_file(path)
    del tensors["q_head.weight"]
    safetensors.torch.save_file(tensors, path, {"format": "pt"})


SHARED = Path("shared/model.safetensors")

WEIGHTS = (
    evaluate("run/r"),
    evaluate("r"),
    evaluate("runs"),
    evaluate("runs/r/metrics.jsonl"),
    evaluate("runs/r/checkpoints/update-00000008"),
    evaluate("runs/r/checkpoints/update-00000004/model.safetensors"),
    evaluate("data/4x4"),
    evaluate("sweeps/s"),
    evaluate("puzzles.csv"),
    evaluate("''"),
    evaluate("sapientinc/HRM-checkpoint-sudoku-extreme"),
    evaluate("https://huggingface.co/sapientinc/HRM-checkpoint-maze-30x30-hard"),
    evaluate(
        "step_26040",
        "`step_26040` is a checkpoint of sapientinc/HRM",
        make=lambda: torch.save({"_orig_mod.model.inner.H_init": torch.zeros(4)}, "step_26040"),
    ),
    evaluate("runs/new", "`runs/new` is an empty folder", make=lambda: Path("runs/new").mkdir()),
    evaluate(
        "runs/r",
        "`runs/r` stopped before its first checkpoint",
        make=lambda: shutil.rmtree("runs/r/checkpoints"),
    ),
    evaluate(str(LAST), "its weights are half there", make=lambda: cut(LAST / "model.safetensors")),
    evaluate(
        str(LAST),
        "a byte of its `state.json` has changed",
        make=lambda: (LAST / "state.json").write_text((LAST / "state.json").read_text().replace("4", "5", 1)),
    ),
    evaluate(
        str(LAST),
        "its `averaged.safetensors` was deleted to save space",
        make=lambda: (LAST / "averaged.safetensors").unlink(),
    ),
    evaluate(str(LAST), "its `manifest.json` is empty", make=lambda: (LAST / "manifest.json").write_text("")),
    evaluate("runs/r --weights best"),
    evaluate("shared --weights raw"),
    evaluate("runs/r runs/maze"),
    evaluate("shared", "`shared` has no `model.safetensors`", make=SHARED.unlink),
    evaluate("shared", "`shared` has no `config.json`", make=Path("shared/config.json").unlink),
    evaluate("shared", "its `model.safetensors` is half there", make=lambda: cut(SHARED)),
    evaluate("shared", "its `model.safetensors` is empty", files={"shared/model.safetensors": ""}),
    evaluate(
        "shared",
        "cloned without Git LFS: `model.safetensors` is a pointer",
        files={"shared/model.safetensors": LFS},
    ),
    evaluate("shared", "its weights hold a NaN", make=lambda: with_nan(SHARED)),
    evaluate("shared", "one tensor is not in its weights", make=lambda: without_one(SHARED)),
    evaluate("shared", "its `config.json` is half there", make=lambda: cut("shared/config.json")),
    evaluate("shared", "its `config.json` is BERT's", files={"shared/config.json": BERT}),
    evaluate("shared", "its `config.json` is of version 1", make=lambda: described(version=1)),
    evaluate("shared", "its `config.json` says nothing of the task", make=lambda: described(run=None)),
    evaluate("shared", "its `config.json` has `vocab_size: many`", make=lambda: described(vocab_size="many")),
    bad("train --preset sudoku4-quick --num-workers 0 --train.init-from runs/q"),
    bad("train --preset sudoku4-quick --num-workers 0 --train.init-from runs/r"),
    bad("train --preset sudoku4-quick --num-workers 0 --train.init-from shared/model.safetensors"),
    bad("solve --checkpoint runs/q --random easy"),
    bad("solve --model sudoku5 --random easy"),
    bad("evaluate --model sudoku4 --weights raw"),
    bad("analyze --compare runs/r runs/maze --out report"),
    bad("evaluate --checkpoint runs/r --checkpoint runs/r/checkpoints/update-00000004x"),
)
