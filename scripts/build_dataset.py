"""Make or check a folder of puzzles to train on: python scripts/build_dataset.py --help."""

from hrm_rl.cli.dataset import main
from hrm_rl.cli.flags import run_script

if __name__ == "__main__":
    run_script(main)
