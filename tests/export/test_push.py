"""An exported model on the hub."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.export.conftest import Portable
from tests.helpers.fake_hub import FakeServer, QuietHandler
from tests.helpers.fake_hub import run as run_with_hub


class FakeModelHub(FakeServer):
    """Takes one upload and keeps the files of its commit, as the hub's API for models."""

    def __init__(self) -> None:
        self.created: list[dict[str, Any]] = []
        self.committed: dict[str, int] = {}
        self.token = "hf_right"
        hub = self

        class Handler(QuietHandler):
            def reply(self, status: int, values: Any) -> None:
                body = json.dumps(values).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def do_GET(self) -> None:
                self.reply(200, {"id": "o/n", "sha": "0" * 40, "siblings": [], "private": False})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                if self.headers.get("Authorization") != f"Bearer {hub.token}":
                    return self.reply(401, {"error": "Invalid username or password."})
                path = self.path.split("?")[0]
                if path == "/api/repos/create":
                    hub.created.append(json.loads(body))
                    return self.reply(200, {"url": f"{hub.url}/o/n", "name": "o/n"})
                if path == "/api/validate-yaml":
                    return self.reply(200, {"errors": [], "warnings": []})
                if path == "/api/models/o/n/preupload/main":
                    files = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                             for f in json.loads(body)["files"]]  # fmt: skip
                    return self.reply(200, {"files": files})
                if path == "/api/models/o/n/commit/main":
                    for line in body.decode().splitlines():
                        value = json.loads(line)
                        if value["key"] == "file":
                            hub.committed[value["value"]["path"]] = len(value["value"]["content"])
                    return self.reply(200, {"commitUrl": f"{hub.url}/o/n/commit/0", "commitOid": "0" * 40})
                return self.reply(404, {"error": path})

        super().__init__(Handler)


@pytest.fixture
def fake() -> Iterator[FakeModelHub]:
    fake = FakeModelHub()
    with fake.serving():
        yield fake


def test_the_folder_is_pushed_to_the_hub_and_a_refusal_is_one_line(
    fake: FakeModelHub, portable: Portable, tmp_path: Path
) -> None:
    pytest.importorskip("huggingface_hub", reason="the extra hub is not installed")
    home = tmp_path / "home"
    home.mkdir()
    folder = tmp_path / "model"
    shutil.copytree(portable.folder, folder)
    written = {path.name for path in folder.iterdir()}
    (folder / "notes.txt").write_text("for nobody")
    args = ["scripts/export.py", "--out", str(folder), "--push", "o/n", "--private"]
    done = run_with_hub(args, fake.url, home)
    assert done.returncode == 2
    assert "cannot push to 'o/n'" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr

    (home / "token").write_text(fake.token)
    done = run_with_hub(args, fake.url, home)
    assert done.returncode == 0, done.stderr
    assert f"pushed to {fake.url}/o/n" in done.stdout
    asked = fake.created[0]  # the package has had both names for it
    assert asked.get("private") is True or asked.get("visibility") == "private"
    assert set(fake.committed) == written
    assert {"config.json", "model.safetensors", "README.md", "segment.onnx", "runner.py"} < written
