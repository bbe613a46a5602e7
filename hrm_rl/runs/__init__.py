"""A run's folder: its checkpoints, its metrics, and the model in it."""
