"""How ARC is scored: votes over forms of a puzzle, two attempts a test grid, the tables and files of that."""
