"""The Hierarchical Reasoning Model (arXiv 2506.21734): two recurrent modules at two speeds.

The reference is sapientinc/HRM; tests/agents/test_parity.py compares with its numbers.
"""

from __future__ import annotations

from torch import Tensor

from hrm_rl.config import ModelConfig
from hrm_rl.models.layers.positions import Rotation
from hrm_rl.models.recurrent import RecurrentModel, RecurrentModule, alternate


class HRM(RecurrentModel):
    """For each of h_cycles: l_cycles updates z_l = L(z_l, z_h + x), then z_h = H(z_h, z_l).

    As published, only the last update of each module carries gradient ("one-step gradient", section 2).
    """

    name = "hrm"

    def build(self, config: ModelConfig) -> None:
        self.h_level = RecurrentModule(config.h_layers, config, self.positions)
        self.l_level = RecurrentModule(config.l_layers, config, self.positions)

    def think(
        self, z_h: Tensor, z_l: Tensor, x: Tensor, by: Rotation | None, drop: bool
    ) -> tuple[Tensor, Tensor]:
        return alternate(self, self.l_level, self.h_level, z_h, z_l, x, by, drop)
