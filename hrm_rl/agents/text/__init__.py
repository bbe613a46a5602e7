"""An agent that continues text: every token is an episode of its own, which halts by itself."""
