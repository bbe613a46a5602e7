"""A causal model as a small language model: reading, and continuing with adaptive thought for every token."""

from hrm_rl.text.model import Generated, Spoken, TextModel, TokenOutput
from hrm_rl.text.sampling import Sampling

__all__ = ["Generated", "Sampling", "Spoken", "TextModel", "TokenOutput"]
