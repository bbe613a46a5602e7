"""Patterns of strings: trained on short ones, judged on longer ones too."""

from __future__ import annotations

from typing import Any

from hrm_rl.config.presets.base import Preset, Settings, every, preset

LENGTHS = tuple(f"n{length}" for length in range(6, 25, 3))
"""Levels of strings of 4 to 24, on which a run is judged; there are too few shorter ones to hold any out."""

BY_LENGTH = ("n3=2,n6=2,n9=1,n12=1", "n3=1,n6=1,n9=2,n12=3")
"""More and more long ones, up to half of the longest that are held out."""

PATTERNS: Settings = dict(
    data=dict(eval_levels=LENGTHS, eval_puzzles=256),
    model=dict(name="transformer", hidden_size=64, num_heads=4, h_layers=1, l_layers=1)
    | dict(h_cycles=1, l_cycles=1, swiglu_multiple=32, pos_encodings="axial", gradient="last_cycle"),
    halting=dict(q_target="delayed", halt_max_steps=16),
    optim=dict(name="muon", lr=2e-3, warmup_updates=50, lr_min_ratio=0.05, ema_decay=0.99),
    train=dict(global_batch_size=32, loss_on="blanks", log_every=50, max_updates=1400, **every(700)),
    curriculum=dict(stages=BY_LENGTH, metric="solved", threshold=0.5, window=50, min_updates=50)
    | dict(min_episodes=100),
)
"""Two blocks, applied once a segment: what one segment cannot do has to be done in steps."""


def _of(pattern: str, purpose: str, reaches: str = "", l_cycles: int = 1, **options: Any) -> Preset:
    """l_cycles: applications of the blocks in a segment."""
    env = dict(task="patterns", size=24, options={"pattern": pattern, "strings": 4, **options})
    return preset(f"patterns-{pattern}", purpose, PATTERNS, reaches, env=env, model=dict(l_cycles=l_cycles))


PATTERN_PRESETS = (
    _of(
        "anbn",
        "a^n b^n: complete the string, and say whether it belongs; to 12 letters",
        "90.7 % solved to length 12, 76.3 % of 13 to 24, in 1 min 08 s on one busy core",
    ),
    _of(
        "anbncn",
        "a^n b^n c^n: complete the string, and say whether it belongs; to 12 letters",
        "96.2 % solved to length 12, 83.1 % of 13 to 24, in 39 s on one core",
    ),
    _of(
        "balanced",
        "two kinds of brackets: say whether all match; to 12 brackets",
        "100.0 % solved to length 12, 72.8 % of 13 to 24, in 1 min 04 s on one busy core",
    ),
    _of(
        "partner",
        "two kinds of brackets: mark the partner of one; to 12 brackets",
        "94.0 % solved to length 12, 60.0 % of 13 to 24, in 1 min 01 s on one busy core",
    ),
    _of(
        "repair",
        "two kinds of brackets: exchange one so that all match; to 12 brackets",
        "82.2 % solved to length 12, 43.3 % of 13 to 24, in 1 min 29 s on one busy core",
    ),
    _of(
        "parity",
        "the parity of the bits up to each; to 12 bits",
        "100.0 % solved to length 12, 83.3 % of 13 to 24, in 1 min 14 s on one busy core",
    ),
    _of(
        "copy",
        "ten symbols, again; to 12 symbols",
        "100.0 % solved to length 12, none of 13 to 24, in 1 min 33 s on one busy core",
        l_cycles=2,
        strings=1,
    ),
    _of(
        "reverse",
        "ten symbols, backwards; to 12 symbols",
        "100.0 % solved to length 12, 2.2 % of 13 to 24, in 1 min 14 s on one busy core",
    ),
    _of(
        "sort",
        "ten symbols, in order; to 12 symbols",
        "99.3 % solved to length 12, 14.4 % of 13 to 24, in 1 min 08 s on one busy core",
    ),
    _of(
        "addition",
        "the sum of two numbers, in base 2; to 12 digits",
        "100.0 % solved to length 12, 93.9 % of 13 to 24, in 1 min 53 s on one busy core",
        kinds=2,
    ),
)
