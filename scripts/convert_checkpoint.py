"""Bring a checkpoint of another HRM or TRM implementation here, or take one there (see --help)."""

from hrm_rl.cli.convert import main
from hrm_rl.cli.flags import run_script

if __name__ == "__main__":
    run_script(main)
