"""Mazes: find a shortest path from S to G on a grid of walls."""
