"""Which settings to try, and what they reached; knows no Ray.

file.py         a sweep's file: its keys and their types
constraints.py  conditions between settings, such as `h_cycles * l_cycles == 4`
space.py        what the file allows: draws that are valid configurations
checks.py       from the file to the space, with everything wrong with it found
search.py       which settings to try next
plan.py         processors, time and `--dry-run` of a sweep
results/        what a sweep left in its folder
"""
