"""Watch a model solve one puzzle: python scripts/solve.py --checkpoint runs/NAME
--random LEVEL (see --help)."""

from hrm_rl.cli.flags import run_script
from hrm_rl.cli.solve import main

if __name__ == "__main__":
    run_script(main)
