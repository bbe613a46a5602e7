"""hrm-rl: Hierarchical Reasoning Models trained as agents that decide how long to think."""

__version__: str


def __getattr__(name: str) -> str:
    """`__version__`, looked up when it is asked for: a command must hear Ctrl-C before it imports anything
    else (hrm_rl/utils/stops.py)."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("hrm-rl")
    except PackageNotFoundError:  # a checkout on PYTHONPATH that is not installed
        return "unknown"
