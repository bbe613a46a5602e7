"""A trained model for others: a folder with weights, settings and card, or the hub."""
