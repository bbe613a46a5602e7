"""Write a trained model as a folder for others, with a model card.

`python scripts/export.py` is `hrm-rl export`; --help lists the flags."""

from hrm_rl.cli.main import run_script

if __name__ == "__main__":
    run_script("export")
