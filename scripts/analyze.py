"""Report on how a trained model thinks.

`python scripts/analyze.py` is `hrm-rl analyze`; --help lists the flags."""

from hrm_rl.cli.main import run_script

if __name__ == "__main__":
    run_script("analyze")
