"""How well a model does, and what it costs: scores, intervals, votes, stopping rules."""
