"""Compare models, gradients and Q-targets on small Sudokus.

`python scripts/compare_recipes.py` is `hrm-rl recipes`; --help lists the flags."""

from hrm_rl.cli.main import run_script

if __name__ == "__main__":
    run_script("recipes")
