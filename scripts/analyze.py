"""Report on how a trained model thinks: python scripts/analyze.py --checkpoint
runs/NAME --out DIR (see --help)."""

from hrm_rl.cli.analyze import main
from hrm_rl.cli.flags import run_script

if __name__ == "__main__":
    run_script(main)
