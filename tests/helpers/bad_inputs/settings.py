"""Bad inputs: files of settings."""

from __future__ import annotations

import gzip
from pathlib import Path

from tests.helpers.bad_inputs.kinds import BadInput, bad


def of(content: str | bytes, about: str = "") -> BadInput:
    """A file of settings with this content."""
    return bad("train --config s.yaml", about, {"s.yaml": content})


OFFICIAL = (
    "arch:\n  name: hrm.hrm_act_v1@HierarchicalReasoningModel_ACTV1\nlr: 1e-4\nglobal_batch_size: 768\n"
)
HYDRA = "defaults:\n  - arch: hrm_v1\n  - _self_\nlr: 1e-4\n"

SETTINGS = (
    bad("train --config settings.yaml"),
    bad("train --config runs/r"),
    bad("train --config runs/r/checkpoints/update-00000004/model.safetensors"),
    bad("train --config https://example.org/settings.yaml"),
    bad(
        "train --config tune_configs/quick.yaml",
        "",
        {"tune_configs/quick.yaml": "base: sudoku4-quick\nspace: {}"},
    ),
    of("", "`s.yaml` is empty"),
    of("# preset: sudoku4-quick\n"),
    of("sudoku4-quick\n"),
    of("- optim.lr: 0.001\n"),
    of("optim:\n\tlr: 0.001\n"),
    of("optim:\n  lr: 0.001\n   name: muon\n"),
    of("model: {hidden_size: 128\n"),
    of("[optim]\nlr = 0.001\n"),
    of("import hrm_rl\nconfig = hrm_rl.Config(seed=1)\n"),
    of("optim: {lr: 0.001}\noptim: {name: muon}\n"),
    of("optim:\n  lr: 0.001\n  lr: 0.002\n"),
    of("optim: {lr: *rate}\n"),
    of("seed: 1\n---\nseed: 2\n"),
    of("optim: !!python/object:os.system {}\n"),
    of("lr: 0.001\n"),
    of("optim.lr: 0.001\n"),
    of("optim: {optim.lr: 0.001}\n"),
    of("optimizer: {lr: 0.001}\n"),
    of("optmi: {lr: 0.001}\n"),
    of("train: {seed: 3}\n"),
    of("grad-clip: 1\n"),
    of("optim: {learning_rate: 0.001}\n"),
    of("model: {optim: {lr: 0.001}}\n"),
    of("optim: 0.001\n"),
    of("optim: [lr, 0.001]\n"),
    of("optim: {lr: }\n"),
    of("optim: {lr: 0.001 # too high?}\n"),
    of("optim: {betas: 0.9}\n"),
    of("optim: {lr: '1e-3 or so'}\n"),
    of("train: {max_updates: 10_000.5}\n"),
    of("train: {compile: maybe}\n"),
    of("data: {augment: 2}\n"),
    of("curriculum: {stages: {easy: 1}}\n"),
    of("curriculum: {stages: []}\n"),
    of("preset: sudoku4-fast\n"),
    of("preset: [sudoku4-quick]\n"),
    of("halting: {rollout_segments: 4}\n"),
    of("env: {segment_cost: 0.01}\n"),
    of("search: {share: 0.5}\n"),
    of("train: {batch_warmup_updates: 100}\n"),
    of(HYDRA, "`s.yaml` is a Hydra file: `defaults: [arch: hrm_v1, _self_]`"),
    of(OFFICIAL, "`s.yaml` is `all_config.yaml` of a run of sapientinc/HRM"),
    of("model: {hidden_size: 128}  # größer".encode("latin-1"), "`s.yaml` is in Latin-1, with an ö"),
    of("seed: 1\n".encode("utf-16"), "`s.yaml` is in UTF-16, as PowerShell's `>` writes it"),
    of(gzip.compress(b"seed: 1\n", mtime=0), "`s.yaml` is compressed with gzip"),
    bad(
        "train --config s.yaml",
        "`s.yaml` is a link to itself",
        make=lambda: Path("s.yaml").symlink_to("s.yaml"),
    ),
)
