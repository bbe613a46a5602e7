"""All that knows Ray: Train, Tune and the curriculum's actor."""
