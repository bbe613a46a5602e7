"""ARC."""

from __future__ import annotations

from hrm_rl.config.presets.base import SMALL, every, preset

ARC_PRESETS = (
    preset(
        "arc-mini",
        "twelve rules of ARC-AGI-1 on 10x10 canvases; hidden 128, two blocks; ten minutes on two cores",
        SMALL,
        env=dict(task="arc", options={"dataset": "mini"}),
        model=dict(
            name="transformer", hidden_size=128, h_layers=1, l_layers=1, h_cycles=1, swiglu_multiple=64
        )
        | dict(pos_encodings="axial", gradient="last_cycle", puzzle_emb_ndim=128),
        halting=dict(q_target="delayed"),
        optim=dict(name="muon", lr=2e-3, warmup_updates=50, lr_min_ratio=0.05, ema_decay=0.99),
        train=dict(max_updates=1200, **every(300)),
        curriculum=dict(stages=("small=0.35,medium=0.4,large=0.25",)),
    ),
)
