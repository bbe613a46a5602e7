"""Serve models: an API, and a page on which one watches them think.

`python scripts/serve.py` is `hrm-rl serve`; --help lists the flags."""

from hrm_rl.cli.main import run_script

if __name__ == "__main__":
    run_script("serve")
