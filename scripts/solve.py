"""Watch a trained model solve one puzzle.

`python scripts/solve.py` is `hrm-rl solve`; --help lists the flags."""

from hrm_rl.cli.main import run_script

if __name__ == "__main__":
    run_script("solve")
