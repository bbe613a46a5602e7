"""Search over settings: many runs, the worse ones stopped early.

`python scripts/tune_ray.py` is `hrm-rl tune`; --help lists the flags."""

from hrm_rl.cli.main import run_script

if __name__ == "__main__":
    run_script("tune")
