"""Time the parts of the system.

`python scripts/benchmark.py` is `hrm-rl benchmark`; --help lists the flags."""

from hrm_rl.cli.main import run_script

if __name__ == "__main__":
    run_script("benchmark")
