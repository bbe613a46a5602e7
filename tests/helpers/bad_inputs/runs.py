"""Bad inputs: names and folders of runs, and resuming them."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.helpers.bad_inputs.kinds import bad
from tests.helpers.bad_inputs.place import settings_of

TRAIN = "train --preset sudoku4-quick --num-workers 0"
RESUME = "train --resume --run-name r --num-workers 0"
LAST = Path("runs/r/checkpoints/update-00000004")


def cut(path: Path | str) -> None:
    """Leave half of a file."""
    content = Path(path).read_bytes()
    Path(path).write_bytes(content[: len(content) // 2])


NAMES = (
    bad(f"{TRAIN} --run-name r"),
    bad(f"{TRAIN} --run-name ''"),
    bad(f"{TRAIN} --run-name runs/s"),
    bad(f"{TRAIN} --run-name ../s"),
    bad(f"{TRAIN} --run-name /runs/s"),
    bad(f"{TRAIN} --run-name .s"),
    bad(f"{TRAIN} --run-name .."),
    bad(f"{TRAIN} --run-name 'two\nlines'", "the name has a line break in it"),
    bad(f"{TRAIN} --run-name {'long' * 70}", "a name of 280 letters"),
    bad(f"{TRAIN} --run-name s", "`runs/s` is a file", {"runs/s": "x"}),
    bad(f"{TRAIN} --storage-path notes.txt"),
    bad(f"{TRAIN} --storage-path notes.txt/runs"),
    bad(f"{TRAIN} --storage-path ''"),
    bad(f"{TRAIN} --storage-path runs/r --run-name checkpoints"),
)

RESUMING = (
    bad("train --resume"),
    bad("train --resume --run-name"),
    bad("train --resume --run-name q"),
    bad("train --resume --run-name runs/r"),
    bad("train --resume --run-name r --storage-path old"),
    bad("train --resume r"),
    bad(f"{RESUME} --preset sudoku4-quick"),
    bad(f"{RESUME} --config s.yaml", "", {"s.yaml": "seed: 1"}),
    bad(RESUME),
    bad(f"{RESUME} --max-updates 2"),
    bad(f"{RESUME} --max-updates 9 --seed 7"),
    bad(f"{RESUME} --max-updates 9 --model.hidden-size 32"),
    bad(f"{RESUME} --max-updates 9 --train.global-batch-size 8"),
    bad(f"{RESUME} --max-updates 9 --env.size 6"),
    bad(f"{RESUME} --max-updates 9 --env.task maze"),
    bad(f"{RESUME} --max-updates 9 --data.path puzzles.csv"),
    bad(f"{RESUME} --max-updates 9 --data.eval-puzzles 16"),
    bad(
        f"{RESUME} --max-updates 9",
        "another number of layers was written into `runs/r/config.yaml` since",
        make=lambda: settings_of("runs/r", model={"h_layers": 2}),
    ),
    bad(
        f"{RESUME} --max-updates 9",
        "`runs/r/config.yaml` is gone",
        make=lambda: Path("runs/r/config.yaml").unlink(),
    ),
    bad(f"{RESUME} --max-updates 9", "`runs/r/config.yaml` was emptied", {"runs/r/config.yaml": ""}),
    bad(
        f"{RESUME} --max-updates 9",
        "`runs/r/config.yaml` is half there",
        make=lambda: cut("runs/r/config.yaml"),
    ),
    bad(
        f"{RESUME} --max-updates 9",
        "the weights of the only checkpoint are half there",
        make=lambda: cut(LAST / "model.safetensors"),
    ),
    bad(
        f"{RESUME} --max-updates 9",
        "the only checkpoint has no manifest",
        make=lambda: (LAST / "manifest.json").unlink(),
    ),
    bad(
        f"{RESUME} --max-updates 9",
        "the only checkpoint has the state of another run's",
        make=lambda: shutil.copy("runs/maze/checkpoints/update-00000004/state.json", LAST),
    ),
    bad("train --resume --run-name s --storage-path sweeps --num-workers 0"),
    bad("train --resume --run-name shared --storage-path . --num-workers 0"),
    bad("train --resume --run-name 4x4 --storage-path data --num-workers 0"),
)
