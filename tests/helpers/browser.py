"""The page of the service in a real browser: Debian's Chromium without a window, driven by playwright."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
REQUIRED = "HRM_RL_CHROMIUM_REQUIRED"
"""Set by .ci/run where Chromium was or could be installed: then no test may be skipped for want of it."""
FOUR = "4...1..4......21"
"""A 4x4 puzzle with one solution."""
SOLVED = "4312123421433421"
SECONDS = 60.0
"""What anything may take on a machine that does other things too."""


def chromium() -> str:
    """Where Chromium is. Skips the test where it is not, unless it is required."""
    found = next((path for path in map(shutil.which, NAMES) if path), None)
    if found is None:
        reason = "no Chromium is installed: the page is not tested in a browser (apt-get install chromium)"
        if os.environ.get(REQUIRED):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """Chromium, for many pages."""
    path = chromium()
    with sync_playwright() as driver:
        # A container's root may not use Chromium's sandbox, and its /dev/shm is small.
        flags = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        started = driver.chromium.launch(executable_path=path, args=flags, timeout=SECONDS * 1000)
        try:
            yield started
        finally:
            started.close()


@dataclass
class Visit:
    """A page that is open, and what it did that it should not."""

    page: Page
    address: str
    complaints: list[str] = field(default_factory=list)
    """Lines of the console, errors of scripts, requests to other hosts."""
    expected: str = "nothing is expected"
    """Complaints with this text are not counted."""

    def open(self, fragment: str = "") -> Page:
        """Go there, wait until the page is ready and has its first puzzle."""
        self.page.goto(self.address + fragment)
        self.page.wait_for_selector("body[data-ready]")
        self.page.wait_for_selector("#note:not(:empty)")
        return self.page

    def unexpected(self) -> list[str]:
        return [line for line in self.complaints if self.expected not in line]


@contextlib.contextmanager
def visit(browser: Browser, address: str, **options: Any) -> Iterator[Visit]:
    """A page in a profile of its own. options: of playwright's new_context. Movement is reduced if nothing
    else is said: then every segment is shown at once."""
    context = browser.new_context(
        **{"reduced_motion": "reduce", "viewport": {"width": 1280, "height": 720}, **options}
    )
    context.set_default_timeout(SECONDS * 1000 / 4)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    seen = Visit(context.new_page(), address)

    def hear(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            seen.complaints.append(f"console: {message.text}")

    def sent(request: Request) -> None:
        if not request.url.startswith((address, "data:", "blob:")):
            seen.complaints.append(f"request: {request.url}")

    seen.page.on("console", hear)
    seen.page.on("pageerror", lambda error: seen.complaints.append(f"script: {error}"))
    seen.page.on("request", sent)
    try:
        yield seen
    finally:
        context.close()


def link_to(puzzle: str, *lanes: str, task: str = "sudoku-4x4", think: bool = False) -> str:
    """The fragment of a link."""
    asked = "".join(f"&lane={lane}" for lane in lanes)
    return f"#task={task}&puzzle={puzzle}{asked}{'&think=1' * think}"


def board(page: Page, lane: str = "a") -> str:
    """What stands on a Sudoku board, with dots for blanks."""
    cells = page.locator(f"#lane-{lane} .cell .ink").all_text_contents()
    return "".join(text or "." for text in cells)


def think(page: Page) -> None:
    """Press the button and wait for the end."""
    page.get_by_role("button", name="Think", exact=True).click()
    done(page)


def done(page: Page) -> None:
    expect(page.locator("#think")).to_have_text("Think")
