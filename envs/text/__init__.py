"""Text: what comes next, byte by byte, of generated names or of any file."""

from envs.text.task import TextTask
from envs.text.vocabulary import Vocabulary

__all__ = ["TextTask", "Vocabulary"]
