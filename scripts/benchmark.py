"""Time puzzle generation, environment, update and evaluation: python scripts/benchmark.py (see --help)."""

from hrm_rl.benchmark_command import main
from hrm_rl.cli import run_script

if __name__ == "__main__":
    run_script(main)
