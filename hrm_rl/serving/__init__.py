"""A model behind an API and a web page: an engine whose slots all requests share, and the application in
front of it. Knows no Ray (hrm_rl/distributed/serve.py does)."""

from typing import TYPE_CHECKING

from hrm_rl.utils.faces import lazily

if TYPE_CHECKING:
    from hrm_rl.serving.app import create_app
    from hrm_rl.serving.client import Client
    from hrm_rl.serving.engine import LocalBackend
    from hrm_rl.serving.settings import ServingSettings

__all__ = ["Client", "LocalBackend", "ServingSettings", "create_app"]

__getattr__ = lazily(
    __name__,
    {"Client": "client", "LocalBackend": "engine", "ServingSettings": "settings", "create_app": "app"},
)
