"""hrm-rl: Hierarchical Reasoning Models trained as agents that decide how long to think."""

__version__ = "0.1.0"
