"""The models that come with this project: a folder each, with weights, settings and card."""
