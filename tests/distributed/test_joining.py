"""Before Ray is asked: clusters that do not answer or want another token, machines it cannot start on."""

from __future__ import annotations

import os
import resource
import socket
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import ray

from hrm_rl.distributed import joining
from hrm_rl.distributed.joining import SOCKET, knock, make_ready
from hrm_rl.utils.errors import UserError
from tests.distributed.test_cluster import MOVED

TOKEN_VARIABLES = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (*TOKEN_VARIABLES, "RAY_TMPDIR", "TMPDIR", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    # A token of whoever runs the tests would switch this process to showing it.
    monkeypatch.setattr(joining, "TOKENS_SET_UP_IN", "no_such_module")


def test_what_listens_and_never_answers_is_one_line_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "ANSWER_SECONDS", 1.0)
    with socket.create_server(("", 0)) as server:
        began = time.monotonic()
        with pytest.raises(
            UserError, match="what listens there does not answer as a Ray cluster does"
        ) as error:
            knock(f"127.0.0.1:{server.getsockname()[1]}")
    assert time.monotonic() - began < 5
    assert "\n" not in str(error.value)
    assert joining.CONNECT_SECONDS + 12 < 30


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (
            "Unauthenticated: RPC error: InvalidAuthToken: Authentication token is missing",
            "RAY_AUTH_TOKEN to what",
        ),
        ("RPC error:\nReceived http2 header with status: 404", "status: 404; start one with"),
    ],
)
def test_a_cluster_that_refuses_says_why_in_one_line(
    answer: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def client(address: str) -> None:
        raise RuntimeError(answer)

    monkeypatch.setattr(import_module("ray._raylet"), "GcsClient", client)
    with socket.create_server(("", 0)) as server, pytest.raises(UserError) as error:
        knock(f"127.0.0.1:{server.getsockname()[1]}")
    assert line in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("home", "made"), [("here", False), ("/dev/null/nobody", True)])
def test_without_a_home_to_keep_it_in_the_token_is_one_for_the_processes_of_this_run(
    home: str, made: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path) if home == "here" else home)
    before = dict(os.environ)
    make_ready()
    assert len(os.environ.get("RAY_AUTH_TOKEN", "")) == (64 if made else 0)
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    assert dict(os.environ) == before
    assert list(tmp_path.iterdir()) == []


def test_a_token_that_is_given_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/dev/null/nobody")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    make_ready()
    assert "RAY_AUTH_TOKEN" not in os.environ


def test_too_few_files_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 64))
    with pytest.raises(UserError, match=r"may open 64 files, and Ray needs 256 or more: .*ulimit -n"):
        make_ready()


@pytest.mark.parametrize("variable", ["TMPDIR", "RAY_TMPDIR"])
def test_a_temporary_folder_is_as_long_as_sockets_allow(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    longest = 107 - len(SOCKET)
    monkeypatch.setenv(variable, "/" + (longest - 1) * "x")
    make_ready()
    monkeypatch.setenv(variable, "/" + longest * "x")
    with pytest.raises(UserError, match=f"^{variable} /xxx.* by 1 characters: set RAY_TMPDIR"):
        make_ready()


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_rays_longest_socket_is_what_it_is_taken_for() -> None:
    node: Any = ray._private.worker.global_worker.node
    folder = Path(node.get_session_dir_path()).parent.parent
    names = [node.plasma_store_socket_name, node.raylet_socket_name]
    found = max(len(name.split("://")[-1]) for name in names) - len(str(folder))
    assert found == len(SOCKET), f"{MOVED} joining.py: SOCKET"


def test_the_private_parts_of_ray_that_ask_a_cluster_are_still_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    for module, names in {
        "ray._private.services": ["canonicalize_bootstrap_address", "parse_address"],
        "ray._raylet": ["GcsClient"],
        joining.TOKENS_SET_UP_IN: ["maybe_enable_token_auth_if_token_available"],
    }.items():
        for name in names:
            assert hasattr(import_module(module), name), f"{MOVED} joining.py: {module}.{name}"
