"""Train a recurrent reasoning model.

`python scripts/train_ray.py` is `hrm-rl train`; --help lists the flags."""

from hrm_rl.cli.main import run_script

if __name__ == "__main__":
    run_script("train")
