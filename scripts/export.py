"""Make a folder of a run's model that others can load: python scripts/export.py --checkpoint runs/NAME --out DIR."""

from hrm_rl.cli import run_script
from hrm_rl.export_command import main

if __name__ == "__main__":
    run_script(main)
