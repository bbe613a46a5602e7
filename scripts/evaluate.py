"""Judge a trained model on held-out puzzles: python scripts/evaluate.py --checkpoint
runs/NAME (see --help)."""

from hrm_rl.cli.evaluate import main
from hrm_rl.cli.flags import run_script

if __name__ == "__main__":
    run_script(main)
