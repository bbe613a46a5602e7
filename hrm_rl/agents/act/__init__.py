"""The agent that halts or continues: HRM's adaptive computation time."""
