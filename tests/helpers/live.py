"""Applications that listen at a port, in a thread of this process."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from hrm_rl.serving.app import create_app
from hrm_rl.serving.jobs import Backend
from hrm_rl.serving.settings import ServingSettings


@contextmanager
def live(backend: Backend, **settings: Any) -> Iterator[str]:
    """The address at which an application answers with this backend."""
    app = create_app(backend, ServingSettings(**settings))
    server = uvicorn.Server(
        uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1)
    )
    with socket.create_server(("127.0.0.1", 0)) as place:
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([place])))
        thread.start()
        try:
            deadline = time.monotonic() + 30
            while not server.started:
                assert time.monotonic() < deadline
                assert thread.is_alive()
                time.sleep(0.01)
            yield f"http://127.0.0.1:{place.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive()
