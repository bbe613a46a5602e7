"""Let a trained model go on with a text.

`python scripts/generate.py` is `hrm-rl generate`; --help lists the flags."""

from hrm_rl.cli.main import run_script

if __name__ == "__main__":
    run_script("generate")
