"""Search over settings: python scripts/tune_ray.py --space tune_configs/quick.yaml (see
--help and the README)."""

from hrm_rl.cli.flags import run_script
from hrm_rl.cli.tune import main

if __name__ == "__main__":
    run_script(main)
