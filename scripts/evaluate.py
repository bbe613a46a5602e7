"""Evaluate trained models on puzzles.

`python scripts/evaluate.py` is `hrm-rl evaluate`; --help lists the flags."""

from hrm_rl.cli.main import run_script

if __name__ == "__main__":
    run_script("evaluate")
