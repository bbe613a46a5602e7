"""An agent: how it thinks, acts and learns in one update."""
