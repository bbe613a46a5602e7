"""Make or check a folder of puzzles to train on.

`python scripts/build_dataset.py` is `hrm-rl dataset`; --help lists the flags."""

from hrm_rl.cli.main import run_script

if __name__ == "__main__":
    run_script("dataset")
