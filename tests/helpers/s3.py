"""A real S3 server on this machine, moto's, that a test can kill and start again."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

BUCKET = "bucket"
KEYS = {
    "AWS_ACCESS_KEY_ID": "mine",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class S3Server:
    """The server at one address. It forgets everything when it is killed."""

    def __init__(self, *, checks_keys: bool = False):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.extra = {"INITIAL_NO_AUTH_ACTION_COUNT": "1"} if checks_keys else {}
        self.start()

    def start(self) -> None:
        """Start it with one empty bucket."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            env=os.environ | self.extra,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(300):
            try:
                request = urllib.request.Request(f"{self.url}/{BUCKET}", method="PUT")
                urllib.request.urlopen(request, timeout=5).close()
                return
            except (urllib.error.URLError, OSError):
                assert self.process.poll() is None, (
                    "moto's server ended: pip install 'moto[s3]' flask flask-cors"
                )
                time.sleep(0.1)
        raise AssertionError("moto's server does not answer")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to find it."""
        return {"AWS_ENDPOINT_URL": self.url, **KEYS}


@contextmanager
def s3_server(*, checks_keys: bool = False) -> Iterator[S3Server]:
    server = S3Server(checks_keys=checks_keys)
    try:
        yield server
    finally:
        server.kill()
