"""The training loop of one worker, its telemetry, and the plan printed before it."""
