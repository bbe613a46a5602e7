"""What a sweep left in its folder: trials, curves, report and pictures."""
