"""Make a folder of a run's model that others can load: python scripts/export.py
--checkpoint runs/NAME --out DIR."""

from hrm_rl.cli.export import main
from hrm_rl.cli.flags import run_script

if __name__ == "__main__":
    run_script(main)
