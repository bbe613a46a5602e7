"""What has nothing to do with puzzles or networks: errors, files, console lines, devices, plots, the hub."""
