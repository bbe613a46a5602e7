"""Train a model: python scripts/train_ray.py --preset NAME --num-workers N (see --help and the README)."""

from hrm_rl.cli.flags import run_script
from hrm_rl.cli.train import main

if __name__ == "__main__":
    run_script(main)
