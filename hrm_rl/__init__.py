"""hrm-rl: Hierarchical Reasoning Models trained as agents that decide how long to think."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("hrm-rl")
except PackageNotFoundError:  # a checkout on PYTHONPATH that is not installed
    __version__ = "unknown"
