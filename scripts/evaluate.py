"""Judge a trained model on held-out puzzles: python scripts/evaluate.py --checkpoint runs/NAME (see --help)."""

from hrm_rl.cli import run_script
from hrm_rl.evaluate_command import main

if __name__ == "__main__":
    run_script(main)
