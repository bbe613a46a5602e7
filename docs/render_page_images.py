"""Write docs/images/page-*.png: `PYTHONPATH=. python docs/render_page_images.py`.

The page of the service with the shipped models, in Chromium. It takes some twenty seconds.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from envs.sudoku import SudokuTask
from hrm_rl.runs.loading import load_model
from hrm_rl.serving.engine import LocalBackend
from hrm_rl.weights import shipped
from tests.helpers.browser import browser, link_to, visit
from tests.helpers.live import live

IMAGES = Path(__file__).parent / "images"
COLOURS = 200
"""In a picture; with more it is larger, and looks the same."""
SEED = 5
"""Of the Sudoku."""
HARDEST = "8..........36......7..9.2...5...7.......457.....1...3...1....68..85...1..9....4.."
"""By Arto Inkala; too hard for the shipped model."""
MAZE = ".#.#../.S.#.#/.#...#/.##.#./...#.#/.#...G"


def save(page: Page, name: str, whole: bool = False) -> None:
    """A picture of the page, or of what is seen of it."""
    shot = Image.open(io.BytesIO(page.screenshot(full_page=whole))).convert("RGB")
    shot.quantize(COLOURS, dither=Image.Dither.NONE).save(IMAGES / f"{name}.png", optimize=True)
    print(f"{name}.png: {(IMAGES / f'{name}.png').stat().st_size // 1000} kB")


def shoot(started: Browser, address: str) -> None:
    """All pictures."""
    task = SudokuTask(9)
    puzzle = task.write_text(task.generate("hard", 1, np.random.default_rng(SEED)).inputs[0])
    pictures = [
        ("page-light", link_to(puzzle, "sudoku9,search,64", task="sudoku-9x9", think=True), 2, {}),
        ("page-dark", link_to(puzzle, "sudoku9,search,64", task="sudoku-9x9", think=True), None,
         {"color_scheme": "dark"}),
        ("page-phone", link_to(puzzle, "sudoku9,search,64", task="sudoku-9x9", think=True), 1,
         {"viewport": {"width": 360, "height": 780}}),
        ("page-maze", link_to(MAZE, "maze6,adaptive,8", task="maze-6x6", think=True), 1, {}),
        ("page-compare", link_to(HARDEST, "sudoku9,search,64", "sudoku9,adaptive,16", task="sudoku-9x9",
         think=True), 16, {}),
    ]  # fmt: skip
    for name, link, position, options in pictures:
        with visit(started, address, **options) as seen:
            page = seen.open(link)
            expect(page.locator("#think")).to_have_text("Think", timeout=60_000)
            if position is not None:
                page.get_by_role("slider", name="Segment").fill(str(position))
            doubtful = page.locator("#lane-a .cell.doubtful")
            page.locator("#lane-a .cell").nth(2).hover() if not doubtful.count() else doubtful.first.hover()
            page.evaluate("() => document.activeElement.blur()")  # no ring of focus in the picture
            page.wait_for_timeout(200)
            save(page, name, whole=name == "page-phone")
            assert seen.unexpected() == []


def main() -> None:
    names = shipped()
    backend = LocalBackend([load_model(name) for name in names], names=names)
    with live(backend) as address, browser() as started:
        shoot(started, f"{address}/")


if __name__ == "__main__":
    main()
