"""Downloads from the hub, against a server on this machine that answers as the hub does."""

from __future__ import annotations

import builtins
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from envs import make_task
from envs.folders.folder import PuzzleFolder
from hrm_rl.utils import hub
from hrm_rl.utils.errors import UserError
from tests.helpers.fake_hub import FakeServer, QuietHandler, run
from tests.helpers.tiny import puzzles, write_csv

COMMIT = "0123456789abcdef0123456789abcdef01234567"

pytest.importorskip("huggingface_hub", reason="the extra hub is not installed")


class FakeHub(FakeServer):
    """Data sets by name; a repository may also stand for an error: its status and X-Error-Code."""

    def __init__(self) -> None:
        self.files: dict[str, dict[str, bytes]] = {}
        self.errors: dict[str, tuple[int, str]] = {}
        self.requests: list[str] = []
        hub = self

        class Handler(QuietHandler):
            def answer(self, with_body: bool) -> None:
                hub.requests.append(f"{self.command} {self.path}")
                parts = self.path.split("?")[0].strip("/").split("/")
                name, file = "/".join(parts[1:3]), "/".join(parts[5:])
                if name in hub.errors:
                    status, code = hub.errors[name]
                    body, headers = b"", {"X-Error-Code": code} if code else {}
                elif parts[0] != "datasets" or name not in hub.files:
                    status, body, headers = 401, b"", {"X-Error-Code": "RepoNotFound"}
                elif file not in hub.files[name]:
                    status, body = 404, b""
                    headers = {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}
                else:
                    status, body = 200, hub.files[name][file]
                    headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha1(body).hexdigest()}"'}
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if with_body:
                    self.wfile.write(body)

            def do_HEAD(self) -> None:
                self.answer(with_body=False)

            def do_GET(self) -> None:
                self.answer(with_body=True)

        super().__init__(Handler)


@pytest.fixture
def fake() -> Iterator[FakeHub]:
    fake = FakeHub()
    with fake.serving():
        yield fake


DOWNLOAD = """
import sys
import time
time.sleep = lambda seconds: None  # the client waits longer and longer before it tries again
from hrm_rl.utils.errors import UserError
from hrm_rl.utils.hub import download
for repository, name in (word.split(":") for word in sys.argv[1:]):
    try:
        print(download(repository, name).read_text())
    except UserError as error:
        print(type(error).__name__, error, sep="|")
"""


def downloads(fake: FakeHub, home: Path, *wanted: str, endpoint: str | None = None) -> list[str]:
    done = run(["-c", DOWNLOAD, *wanted], endpoint or fake.url, home)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_file_is_downloaded_once_and_then_comes_from_the_cache(fake: FakeHub, tmp_path: Path) -> None:
    fake.files["o/n"] = {"train.csv": b"content"}
    assert downloads(fake, tmp_path, "o/n:train.csv", "o/n:train.csv") == ["content", "content"]
    assert (
        fake.requests.count("GET /datasets/o/n/resolve/main/train.csv")
        + fake.requests.count(f"GET /datasets/o/n/resolve/{COMMIT}/train.csv")
        == 1
    )
    fake.errors["o/n"] = (503, "")
    assert downloads(fake, tmp_path, "o/n:train.csv") == ["content"], "the hub is down, the cache is not"


def test_what_goes_wrong_is_one_line_that_says_what_to_do(fake: FakeHub, tmp_path: Path) -> None:
    fake.files["o/n"] = {"train.csv": b"content"}
    fake.errors["o/gated"] = (403, "GatedRepo")
    fake.errors["o/odd"] = (400, "")
    wanted = [
        "o/n:test.csv",
        "o/nowhere:train.csv",
        "o/gated:train.csv",
        "o/odd:train.csv",
        "name:train.csv",
        "a/b c:train.csv",
    ]
    expected = [
        "NotInRepository|the data set 'o/n' has no file test.csv",
        "UserError|the hub has no data set 'o/nowhere', or it is private: check OWNER/NAME",
        "UserError|the data set 'o/gated' asks you to accept its terms first",
        "UserError|cannot ",
        "UserError|'name' is no name of a data set on the hub: it looks like OWNER/NAME",
        "UserError|'a/b c' is no name of a data set on the hub: it looks like OWNER/NAME",
    ]
    found = downloads(fake, tmp_path, *wanted)
    assert len(found) == len(expected), "one line each"
    for line, beginning in zip(found, expected, strict=True):
        assert line.startswith(beginning)


@pytest.mark.slow  # the package tries for about 20 seconds
def test_without_a_network_the_line_says_so(fake: FakeHub, tmp_path: Path) -> None:
    (line,) = downloads(fake, tmp_path, "o/n:train.csv", endpoint="http://127.0.0.1:9")
    assert line.startswith("UserError|cannot get train.csv of the data set 'o/n': the hub cannot be reached")
    assert line.endswith("give it with --csv")


def test_a_missing_package_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any) -> Any:
        if name.startswith("huggingface_hub"):
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"pip install 'hrm-rl\[hub\]'"):
        hub.download("o/n", "train.csv")


def test_a_folder_is_built_from_a_data_set_on_the_hub(fake: FakeHub, tmp_path: Path) -> None:
    task = make_task("sudoku", size=4)
    easy, medium = puzzles(30, "easy"), puzzles(12, "medium")
    fake.files["o/n"] = {
        "train.csv": write_csv(tmp_path / "a.csv", easy).read_bytes(),
        "test.csv": write_csv(tmp_path / "b.csv", medium).read_bytes(),
    }
    out = tmp_path / "data"
    flags = "scripts/build_dataset.py --task sudoku --size 4 --hub o/n --subsample 8 --num-aug 2 --out"
    done = run([*flags.split(), str(out)], fake.url, tmp_path / "home")
    assert done.returncode == 0, done.stderr
    assert "train 24 examples of 8 puzzles" in done.stdout
    test = PuzzleFolder(out / "test", task).take(slice(None))
    assert {row.tobytes() for row in test.inputs} == {row.tobytes() for row in medium.inputs}
    train = PuzzleFolder(out / "train", task)
    known = {row.tobytes() for row in easy.inputs}
    firsts = np.unique(train.groups, return_index=True)[1]
    assert all(row.tobytes() in known for row in train.take(firsts).inputs)

    del fake.files["o/n"]["test.csv"]
    done = run([*flags.split(), str(tmp_path / "two")], fake.url, tmp_path / "other home")
    assert done.returncode == 0, done.stderr
    assert "test 3 puzzles" in done.stdout, "held out of train.csv"

    done = run([*flags.replace("o/n", "o/gone").split(), str(tmp_path / "x")], fake.url, tmp_path / "home")
    assert done.returncode == 2
    assert "error: the hub has no data set 'o/gone'" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "x").exists()
