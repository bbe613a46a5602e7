"""The Tiny Recursive Model (arXiv 2510.04871): HRM with one network for both levels.

The reference is SamsungSAILMontreal/TinyRecursiveModels, models/recursive_reasoning/trm.py.
"""

from __future__ import annotations

from torch import Tensor

from hrm_rl.config import ModelConfig
from hrm_rl.models.layers.positions import Rotation
from hrm_rl.models.recurrent import RecurrentModel, RecurrentModule, alternate


class TRM(RecurrentModel):
    """For each of h_cycles: l_cycles updates z_l = net(z_l, z_h + x), then z_h = net(z_h, z_l).

    z_h is the paper's answer y, z_l its latent z. As published, the whole last h_cycle carries gradient. The
    network has l_layers blocks and the reference's name for it, l_level. The published runs put 16 puzzle
    positions before the board, halt where q_halt > 0 and leave q_continue untrained.
    """

    name = "trm"
    published_gradient = "last_cycle"

    def build(self, config: ModelConfig) -> None:
        self.l_level = RecurrentModule(config.l_layers, config, self.positions)

    def think(
        self, z_h: Tensor, z_l: Tensor, x: Tensor, by: Rotation | None, drop: bool
    ) -> tuple[Tensor, Tensor]:
        return alternate(self, self.l_level, self.l_level, z_h, z_l, x, by, drop)
