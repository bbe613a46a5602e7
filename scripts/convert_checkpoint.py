"""Convert a checkpoint of another HRM or TRM implementation, or write one for it.

`python scripts/convert_checkpoint.py` is `hrm-rl convert`; --help lists the flags."""

from hrm_rl.cli.main import run_script

if __name__ == "__main__":
    run_script("convert")
