"""Bad inputs: output files and places, and what measures."""

from __future__ import annotations

from pathlib import Path

from tests.helpers.bad_inputs.kinds import bad

EVALUATE = "evaluate --checkpoint runs/r"
SOLVE = "solve --checkpoint runs/r --random easy"

PLACES = (
    bad(f"{EVALUATE} --png figure.pdf"),
    bad(f"{EVALUATE} --png figures/depth.png"),
    bad(f"{EVALUATE} --png f.png", "`f.png` is a folder", make=lambda: Path("f.png").mkdir()),
    bad(f"{EVALUATE} --png"),
    bad(f"{EVALUATE} --predictions answers.json"),
    bad(f"{EVALUATE} --predictions out/answers.csv"),
    bad(f"{EVALUATE} --predictions p.csv", "`p.csv` is a folder", make=lambda: Path("p.csv").mkdir()),
    bad(f"{EVALUATE} shared --predictions answers.csv"),
    bad(f"{EVALUATE} --json answers.json"),
    bad(f"{SOLVE} --gif thoughts.png"),
    bad(f"{SOLVE} --png thoughts"),
    bad(f"{SOLVE} --gif notes.txt/thoughts.gif"),
    bad("analyze --checkpoint runs/r --out notes.txt"),
    bad("analyze --checkpoint runs/r --out notes.txt/report"),
    bad("benchmark --only speed"),
    bad("benchmark --only env --plot growth.png"),
    bad("benchmark --only growth --plot figures/growth.png"),
    bad("benchmark --only env --seconds 0.1 --json-file numbers/env.json"),
    bad("benchmark --only adaptive --checkpoint runs/q"),
    bad("benchmark --faults -5"),
    bad("benchmark --miniature"),
    bad("benchmark --gpu-check out --miniature --steps speed"),
    bad("recipes --boards 5x5 --report"),
    bad("recipes --recipes hrm --report"),
    bad("recipes --report --results results.jsonl"),
    bad("recipes --report --results r.jsonl", "", {"r.jsonl": "no results\n"}),
    bad("recipes --report --results runs"),
    bad("recipes --seconds 10"),
    bad("recipes --ablations --seconds 10 10"),
    bad("recipes --results notes.txt/r.jsonl --seeds 1 --boards 4x4"),
)
