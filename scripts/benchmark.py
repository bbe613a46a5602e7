"""Time puzzle generation, environment, update and evaluation: python scripts/benchmark.py (see --help)."""

from hrm_rl.cli.benchmark import main
from hrm_rl.cli.flags import run_script

if __name__ == "__main__":
    run_script(main)
