"""Training with other projects' own code beside ours: how long each takes to an accuracy."""
