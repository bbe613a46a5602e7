"""One browser and one service of scripted models for all tests of the page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.helpers.browser import Visit


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Skips where there is none."""
    from tests.helpers.browser import browser

    with browser() as started:
        yield started


@pytest.fixture(scope="session")
def scripted_service() -> Iterator[str]:
    """The address of a service whose models are scripts."""
    from tests.helpers.browser import served
    from tests.helpers.scripted_backend import ScriptedBackend

    with served(ScriptedBackend()) as address:
        yield address


@pytest.fixture
def visitor(chromium: Browser, scripted_service: str) -> Iterator[Visit]:
    """A page that is closed after the test, and that must not have complained."""
    from tests.helpers.browser import visit

    with visit(chromium, scripted_service) as seen:
        yield seen
        assert seen.unexpected() == []
