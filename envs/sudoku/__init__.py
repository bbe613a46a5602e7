"""Sudoku on boards of 4, 6 or 9 digits: rules, solver, generator, symmetries, files, rendering."""

from envs.sudoku.generator import generate_puzzles
from envs.sudoku.solver import count_guesses, count_solutions, solve
from envs.sudoku.task import SudokuTask

__all__ = ["SudokuTask", "count_guesses", "count_solutions", "generate_puzzles", "solve"]
