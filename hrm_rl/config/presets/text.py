"""Text."""

from __future__ import annotations

from hrm_rl.config.presets.base import SMALL, every, preset

TASK = dict(task="text", segment_cost=0.005)

TEXT = dict(
    SMALL,
    model=dict(hidden_size=128, num_heads=4, h_layers=1, l_layers=1, h_cycles=2, l_cycles=2)
    | dict(swiglu_multiple=64, causal=True, gradient="last_cycle", dtype="bfloat16"),
    halting=dict(q_target="delayed", halt_max_steps=4),
    optim=dict(name="muon", lr=2e-3, warmup_updates=50, lr_min_ratio=0.05, ema_decay=0.99),
)

TEXT_PRESETS = (
    preset(
        "text-names",
        "made-up names, character by character; hidden 128, 1+1 layers, causal; minutes on two cores",
        TEXT,
        "2.507 bits a byte on held-out names in 2 min 34 s on one busy core",
        env=TASK | dict(size=32),
        data=dict(eval_puzzles=256),
        train=dict(global_batch_size=64, max_updates=800, flat_share=0.25, log_every=20, **every(200)),
        curriculum=dict(stages=("short=1,long=3",), metric="cells"),
    ),
    preset(
        "text-file",
        "any UTF-8 file of `--data.path`, byte by byte; hidden 128, 1+1 layers, causal; minutes on two cores",
        TEXT,
        "2.505 bits a byte on the last tenth of 371 kB of Markdown in 5 min 12 s on one core",
        env=TASK | dict(size=64),
        data=dict(required=True, augment=False, eval_puzzles=256),
        train=dict(global_batch_size=32, max_updates=1200, flat_share=0.25, log_every=20, **every(200)),
        curriculum=dict(stages=("all=1",), metric="cells"),
    ),
)
