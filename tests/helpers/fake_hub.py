"""Servers on this machine that answer as the hub does, and processes that know no other hub."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.helpers.paths import ROOT


class QuietHandler(BaseHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


class FakeServer:
    """What handles its requests is the subclass's to say."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    @contextmanager
    def serving(self) -> Iterator[None]:
        """It answers, in a thread of its own, until the end."""
        thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        thread.start()
        yield
        self.server.shutdown()
        self.server.server_close()
        thread.join()


def run(args: list[str], endpoint: str, home: Path) -> subprocess.CompletedProcess[str]:
    """A process of its own: huggingface_hub looks at its environment when it is imported."""
    unset = (
        "HF_TOKEN",
        "HUGGING_FACE_HUB_TOKEN",
        "HF_HUB_OFFLINE",
        "HF_HUB_CACHE",
        "http_proxy",
        "HTTP_PROXY",
        "ALL_PROXY",
        "all_proxy",
    )
    environment = {key: value for key, value in os.environ.items() if key not in unset}
    environment |= {
        "HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1",
        "NO_PROXY": "127.0.0.1",
        "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, *args], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
