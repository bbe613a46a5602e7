"""ARC."""

from __future__ import annotations

from typing import Any

from hrm_rl.config.presets.base import PAPER, SMALL, TRM, every, merged, preset

MINI = dict(task="arc", options={"dataset": "mini", "translate": False})

FIELD: dict[str, Any] = dict(
    data=dict(augment=False),
    optim=dict(weight_decay=0.1, puzzle_emb_lr=1e-2, puzzle_emb_weight_decay=0.1),
)
"""What the published runs on ARC have apart from those on Sudoku and mazes."""


def _arc(dataset: str) -> dict[str, Any]:
    return dict(task="arc", options={"dataset": dataset, "augmentations": 1000})


ARC1: dict[str, Any] = dict(
    env=_arc("arc1"),
    train=dict(max_updates=399_000, **every(40_000)),
    curriculum=dict(stages=("small=0.43,medium=0.43,large=0.14",)),
)
"""100,000 epochs of the 3,064 pairs; levels as they occur where every puzzle is drawn alike."""
ARC2: dict[str, Any] = dict(
    env=_arc("arc2"),
    train=dict(max_updates=608_000, **every(60_000)),
    curriculum=dict(stages=("small=0.39,medium=0.44,large=0.17",)),
)
"""100,000 epochs of the 4,667 pairs."""

ARC_PRESETS = (
    preset(
        "arc-mini",
        "twelve rules of ARC-AGI-1, 10x10; hidden 128, two blocks; minutes on two cores",
        SMALL,
        "83.5 % exact in 7 min 17 s on one busy core; a copy of the input 5.3 %",
        env=MINI,
        model=dict(
            name="transformer", hidden_size=128, h_layers=1, l_layers=1, h_cycles=1, swiglu_multiple=64
        )
        | dict(pos_encodings="axial", gradient="last_cycle", puzzle_emb_ndim=128),
        halting=dict(q_target="delayed"),
        optim=dict(name="muon", lr=2e-3, warmup_updates=50, lr_min_ratio=0.05, ema_decay=0.99),
        train=dict(global_batch_size=32, max_updates=1000, **every(250)),
        curriculum=dict(stages=("small=0.35,medium=0.4,large=0.25",)),
    ),
    preset(
        "arc1",
        "ARC-AGI-1, 1,000 forms a puzzle; HRM's hidden 512, 4+4 layers, 900 tokens; wants several GPUs",
        merged(PAPER, **FIELD),
        **ARC1,
    ),
    preset(
        "arc2",
        "ARC-AGI-2, 1,000 forms a puzzle; HRM's hidden 512, 4+4 layers, 900 tokens; wants several GPUs",
        merged(PAPER, **FIELD),
        **ARC2,
    ),
    preset(
        "trm-arc1",
        "ARC-AGI-1, 1,000 forms a puzzle; TRM's hidden 512, one network of 2 layers; wants several GPUs",
        merged(TRM, model=dict(l_cycles=4), **FIELD),
        **ARC1,
    ),
    preset(
        "trm-arc2",
        "ARC-AGI-2, 1,000 forms a puzzle; TRM's hidden 512, one network of 2 layers; wants several GPUs",
        merged(TRM, model=dict(l_cycles=4), **FIELD),
        **ARC2,
    ),
)
