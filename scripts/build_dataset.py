"""Make or check a folder of puzzles to train on: python scripts/build_dataset.py --help."""

from hrm_rl.cli import run_script
from hrm_rl.dataset_command import main

if __name__ == "__main__":
    run_script(main)
