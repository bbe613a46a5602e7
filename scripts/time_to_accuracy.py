"""Train Sudoku with HRM's and TRM's own code beside ours, and see how long each takes to an accuracy.

It needs checkouts of theirs (--hrm PATH, --trm PATH) and skips those it has not; --help lists the flags."""

import sys

from hrm_rl.benchmarks.against.command import main
from hrm_rl.cli.main import ended

if __name__ == "__main__":
    sys.exit(ended(main, sys.argv[1:]))
