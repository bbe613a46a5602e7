"""Bring a checkpoint of another HRM or TRM implementation here, or take one there (see --help)."""

from hrm_rl.cli import run_script
from hrm_rl.convert_command import main

if __name__ == "__main__":
    run_script(main)
