"""A browser for each module of tests of the page, and one service of scripted models for all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.helpers.browser import Visit, browser, visit
from tests.helpers.live import live
from tests.helpers.scripted_backend import ScriptedBackend


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Skips where there is none. As long as it lives, its driver's event loop runs in this thread, so that no
    other test could use asyncio.run: hence it ends with its module."""
    with browser() as started:
        yield started


@pytest.fixture(scope="session")
def scripted_service() -> Iterator[str]:
    """The address of a service whose models are scripts."""
    with live(ScriptedBackend()) as address:
        yield f"{address}/"


@pytest.fixture
def visitor(chromium: Browser, scripted_service: str) -> Iterator[Visit]:
    """A page that is closed after the test, and that must not have complained."""
    with visit(chromium, scripted_service) as seen:
        yield seen
        assert seen.unexpected() == []
