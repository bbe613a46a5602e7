"""Which settings to try, and what came of them; knows no Ray."""
