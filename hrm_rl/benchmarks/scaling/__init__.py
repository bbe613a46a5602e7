"""How cost grows with what is no setting of an update: puzzles held out, the length of a run, workers."""
