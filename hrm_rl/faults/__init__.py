"""Breaking things on purpose: processes killed at random moments, files damaged, disks full, odd
surroundings.

`hrm-rl benchmark --faults N` draws N faults from its seed and prints what came of them; tests/faults/ runs a
few of each kind. docs/reliability.md shows the table of a long run.
"""
