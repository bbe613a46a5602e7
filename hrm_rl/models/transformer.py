"""The flat control: a looped transformer without levels, with the parameters and the outer loop of HRM.

What it does not lose against HRM, the hierarchy does not explain (ARC Prize's analysis of HRM, August 2025).
"""

from __future__ import annotations

import torch
from torch import Tensor

from hrm_rl.config import ModelConfig
from hrm_rl.models.layers.positions import Rotation
from hrm_rl.models.recurrent import RecurrentModel, RecurrentModule


class Transformer(RecurrentModel):
    """h_cycles * l_cycles times z_h = net(z_h, x), where the network has h_layers + l_layers blocks.

    With equal settings it has as many parameters as HRM; in blocks run a segment, HRM's 2 *
    (2 * 4 + 4) = 24 compare with 4 * 8 = 32. There is no z_l. gradient: the last
    application, the last l_cycles of them, or all.
    """

    name = "transformer"
    has_low_level = False

    def build(self, config: ModelConfig) -> None:
        self.level = RecurrentModule(config.h_layers + config.l_layers, config, self.positions)

    def think(
        self, z_h: Tensor, z_l: Tensor, x: Tensor, by: Rotation | None, drop: bool
    ) -> tuple[Tensor, Tensor]:
        cycle = self.config.l_cycles
        updates = self.config.h_cycles * cycle
        first = updates - {"one_step": 1, "last_cycle": cycle, "full": updates}[self.gradient]
        trained = torch.is_grad_enabled()
        for i in range(updates):
            with torch.set_grad_enabled(trained and i >= first):
                z_h = self.level(z_h, x, by, drop)
        return z_h, z_l
