"""Measure how fast models and Q-targets learn small Sudokus: python scripts/compare_recipes.py --help."""

from hrm_rl.cli.flags import run_script
from hrm_rl.cli.recipes import main

if __name__ == "__main__":
    run_script(main)
