"""Puzzles in files and folders on disk: read, written and checked."""
