"""A folder laid out like a checkout of HRM or TinyRecursiveModels, with code of ours that learns nothing."""

from __future__ import annotations

from pathlib import Path

PRETRAIN = """
import coolname, hydra, torch, tqdm, wandb
from adam_atan2 import AdamATan2
from flash_attn import flash_attn_func
from omegaconf import DictConfig
from types import SimpleNamespace
from models.losses import GOOD_AT

class EMAHelper:
    def __init__(self, mu):
        self.mu = mu
    def ema_copy(self, model):
        model = torch.nn.Linear(1, 1)
        model.averaged = True
        return model

def create_dataloader(config, split, **keys):
    return [split], config["arch"]

def train_batch(config, state, batch):
    state.step += 1
    assert torch.zeros(1, device="cuda").cuda().device.type == "cpu"
    sum(range(100_000))

def evaluate(config, train_state, eval_loader, eval_metadata, rank, world_size):
    assert eval_loader == ["test"] and eval_metadata is config["arch"]
    assert not train_state.model.training
    right = train_state.step >= GOOD_AT and getattr(train_state.model, "averaged", False) == config["ema"]
    return {"all": {"exact_accuracy": float(right)}}

@hydra.main(config_path="config", config_name="cfg_pretrain", version_base=None)
def launch(config: DictConfig):
    loader, _ = create_dataloader(config, "train")
    create_dataloader(config, "test")
    state = SimpleNamespace(step=0, model=torch.nn.Linear(1, 1))
    helper = EMAHelper(mu=0.5) if config["ema"] else None
    bar = tqdm.tqdm(total=10**9)
    wandb.init(project="p")
    for _ in range(config["epochs"]):
        assert state.model.train().training
        train_batch(config, state, loader)
        bar.update(state.step - bar.n)
        if state.step % 10 == 0:
            assert evaluate(config, state, loader, None, 0, 1) is None
"""
CONFIG = """
defaults:
  - arch: tiny
  - _self_
data_path: data
lr: 1e-4
ema: False
"""
ARCH = "hidden_size: 8\npuzzle_emb_ndim: ${.hidden_size}\nhalt_max_steps: 16\n"


def checkout(folder: Path, good_at: int) -> Path:
    """One whose evaluation says that all is right from update `good_at` on."""
    files = {
        "pretrain.py": PRETRAIN,
        "puzzle_dataset.py": "",
        "models/losses.py": f"GOOD_AT = {good_at}\n",
        "config/cfg_pretrain.yaml": CONFIG,
        "config/arch/tiny.yaml": ARCH,
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder
