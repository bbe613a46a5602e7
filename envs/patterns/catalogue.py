"""All patterns by name."""

from __future__ import annotations

from envs.patterns.arithmetic import Addition
from envs.patterns.brackets import Balanced, Partner, Repair
from envs.patterns.counting import AnBn, AnBnCn
from envs.patterns.pattern import Pattern
from envs.patterns.sequences import Copy, Parity, Reverse, Sort

PATTERNS: dict[str, type[Pattern]] = {
    kind.name: kind
    for kind in (AnBn, AnBnCn, Balanced, Partner, Repair, Parity, Copy, Reverse, Sort, Addition)
}
