"""The folder that bad inputs are typed in: what somebody has after a first afternoon with hrm-rl."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from hrm_rl.config import Config
from hrm_rl.export.run import export_run
from hrm_rl.runs.folder import RunFolder
from hrm_rl.training.local import LocalWorker
from hrm_rl.training.loop import Trainer
from tests.helpers.folders import upstream
from tests.helpers.small_sweeps import make_mixed_sweep
from tests.helpers.tiny import puzzles, tiny_config, write_csv

DESCRIPTION = """\
- `runs/r`: a finished run on 4x4 Sudoku, of 4 updates, and `runs/maze`, one on mazes of 5x5
- `shared`: `runs/r` as `hrm-rl export` writes it
- `puzzles.csv`: twelve 4x4 Sudokus with their solutions, columns `puzzle,solution`
- `data/4x4`: a folder of 4x4 Sudokus with `train` and `test`
- `sweeps/s`: a sweep of four trials
- `notes.txt`: some text"""


def make_place(folder: Path) -> Path:
    """Fill `folder`, which must not exist. Returns it."""
    length = {"max_updates": 4, "eval_every": 4, "checkpoint_every": 4}
    _trained(folder / "runs" / "r", tiny_config(train=length))
    maze: dict[str, Any] = {"task": "maze", "size": 5, "options": {}}
    levels = {"stages": ("easy=1",)}
    data = {"exclude_twins": False, "eval_puzzles": 4}
    _trained(folder / "runs" / "maze", tiny_config(train=length, env=maze, curriculum=levels, data=data))
    export_run(folder / "runs" / "r", folder / "shared")
    write_csv(folder / "puzzles.csv", puzzles(12))
    upstream(folder / "data" / "4x4" / "train")
    upstream(folder / "data" / "4x4" / "test", puzzles(3, seed=1), total_groups=1)
    make_mixed_sweep(folder / "sweeps" / "s")
    (folder / "notes.txt").write_text("ask Ada about the learning rate\n")
    return folder


def _trained(folder: Path, config: Config) -> None:
    run = RunFolder(folder)
    folder.mkdir(parents=True)
    Trainer(config, LocalWorker(config, folder, lambda line: None)).run()
    run.begin(config, "hrm-rl train")


def settings_of(run: str, **sections: dict[str, Any]) -> None:
    """Change settings in the config.yaml of a run, as with an editor."""
    path = Path(run) / "config.yaml"
    values = yaml.safe_load(path.read_text())
    for name, changes in sections.items():
        values[name] |= changes
    path.write_text(yaml.safe_dump(values, sort_keys=False))
