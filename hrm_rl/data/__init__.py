"""Which puzzles a run learns from and is evaluated on, and in which order (curriculum)."""
