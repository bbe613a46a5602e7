"""Make the models that come with this project again: `python scripts/make_weights.py --make all`.

This is `hrm-rl weights`; --help lists the flags."""

from hrm_rl.cli.main import run_script

if __name__ == "__main__":
    run_script("weights")
