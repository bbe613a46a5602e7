"""The page with puzzles whose rules it does not know: strings, and grids of colours with an identity."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.helpers.browser import FOUR, Visit, link_to, think, visit
from tests.helpers.paths import ROOT
from tests.serving.test_page import paste
from tests.serving.test_page_modules import call

CHECKS = (ROOT / "tests/helpers/accessibility.js").read_text()
FLIP, TINT = "flip-1x40", "tint-6x6"
CELLS = "#lane-a .cell"
LINKED = "12|___34|___||"
"""Two rows of two colours with their marks, on a canvas of 6 columns."""


def shown(page: Page) -> str:
    return "".join(page.locator(f"{CELLS} .ink").all_text_contents())


def colours(page: Page) -> list[str]:
    """The names of the cells' colours and marks, in order."""
    return [str(cell.get_attribute("aria-label")).partition(": ")[2] for cell in page.locator(CELLS).all()]


def test_a_string_is_typed_thought_about_and_written_on(visitor: Visit) -> None:
    page = visitor.open(link_to("0", task=FLIP))
    page.get_by_label("Your string").fill("01x 10")
    expect(page.locator("#note")).to_have_text("A string of 5 characters.")
    assert shown(page) == "01x10"
    think(page)
    expect(page.locator("#lane-a .verdict")).to_have_text("Solved in 4 segments")
    assert shown(page) == "10x01"
    expect(page.get_by_role("img", name="The question: 01x10")).to_be_visible()
    expect(page.get_by_role("gridcell", name="Character 3: x, given", exact=True)).to_be_visible()
    page.get_by_role("slider", name="Segment").fill("1")
    assert page.locator(f"{CELLS}.broken").count() == 3
    page.get_by_role("slider", name="Segment").fill("0")
    page.locator(CELLS).nth(1).click()
    page.keyboard.press("x")  # writes, and walks on
    page.keyboard.press("0")
    assert shown(page) == "0x010"
    visitor.expected = "422"
    page.get_by_label("Your string").fill("01z")
    expect(page.locator("#lane-a .message")).to_contain_text("'z'")
    assert shown(page) == "0x010"


def test_a_grid_is_pasted_painted_and_made_larger_and_only_a_label_judges(visitor: Visit) -> None:
    page = visitor.open(link_to("0", task=TINT))
    paste(page, "[[1, 2, 3],\n [4, 5, 6]]")
    expect(page.locator("#note")).to_have_text("A grid of 2×3 cells.")  # noqa: RUF001
    assert colours(page) == ["blue", "red", "green", "yellow", "grey", "magenta"]
    page.get_by_role("button", name="Paint maroon").click()
    page.locator(CELLS).first.click()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("8")
    page.keyboard.press("ArrowRight")
    page.keyboard.press(" ")
    assert colours(page)[:3] == ["maroon", "light blue", "maroon"]
    page.get_by_label("Rows").select_option("3")
    page.get_by_label("Columns").select_option("2")
    assert colours(page) == ["maroon", "light blue", "yellow", "grey", "black", "black"]
    page.get_by_label("Identity").select_option("one more")
    with page.expect_request("**/v1/solve/stream") as sent:
        think(page)
    assert sent.value.post_data_json["identifier"] == 1
    expect(page.locator("#lane-a .verdict")).to_have_text("Answered after 4 segments")
    assert [name.partition(",")[0] for name in colours(page)] == [
        "black", "maroon", "grey", "magenta", "blue", "blue"
    ]  # fmt: skip
    expect(page.get_by_role("img", name="The question: 98, 45, 00")).to_be_visible()
    expect(page.locator(f"{CELLS}.wrong")).to_have_count(0)


def test_a_random_grid_has_its_identity_and_its_label(visitor: Visit) -> None:
    page = visitor.open()
    page.get_by_label("Kind").select_option(TINT)
    expect(page.locator("#note")).to_contain_text("Its label is known.")
    assert page.get_by_label("Identity").input_value() in ("1", "2")
    think(page)
    expect(page.locator("#lane-a .verdict")).to_have_text("Solved in 4 segments")
    page.get_by_role("slider", name="Segment").fill("1")
    assert page.locator(f"{CELLS}.wrong").count() > 0
    page.get_by_label("Identity").select_option("0")  # another question: its label is not known
    expect(page.locator("#note")).not_to_contain_text("label")
    think(page)
    expect(page.locator("#lane-a .verdict")).to_have_text("Answered after 4 segments")


def test_a_run_with_an_identity_is_linked_saved_and_drawn(visitor: Visit, chromium: Browser) -> None:
    page = visitor.open(link_to(LINKED, "tinter,adaptive,8", task=TINT) + "&identity=2")
    think(page)
    assert "identity=2" in page.url
    assert f"puzzle={LINKED}" in page.url.replace("%7C", "|")
    with page.expect_download() as saved:
        page.get_by_role("button", name="JSON").click()
    text = saved.value.path().read_text()
    assert json.loads(text)["identifier"] == 2
    with page.expect_download() as drawn:
        page.get_by_role("button", name="GIF").click()
    with Image.open(io.BytesIO(drawn.value.path().read_bytes())) as image:
        assert image.n_frames == 5  # type: ignore[attr-defined]
        image.seek(4)
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
        for colour in ((0, 0, 0), (0, 116, 217), (255, 65, 54), (46, 204, 64)):
            assert (pixels == colour).all(axis=1).sum() > 2000, colour
    with visit(chromium, visitor.address) as other:
        there = other.open()
        paste(there, text)
        expect(there.get_by_label("Identity")).to_have_value("2")
        assert [name.partition(",")[0] for name in colours(there)] == ["black", "blue", "red", "green"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_names_contrast_and_width_of_strings_and_grids(
    chromium: Browser, scripted_service: str, scheme: str
) -> None:
    size = {"width": 320, "height": 700}
    with visit(chromium, scripted_service, color_scheme=scheme, viewport=size) as seen:
        page = seen.open()
        for task in (FLIP, TINT):
            page.get_by_label("Kind").select_option(task)
            expect(page.locator("#note")).to_contain_text("A string" if task == FLIP else "A grid")
            think(page)
            for position in ("0", "2", "4"):
                page.get_by_role("slider", name="Segment").fill(position)
                page.locator(CELLS).nth(1).hover()
                page.wait_for_timeout(50)
                assert page.evaluate(CHECKS) == []
                assert page.evaluate("() => document.documentElement.scrollWidth") <= 320
        assert seen.unexpected() == []


@pytest.mark.parametrize(
    ("text", "current", "task", "found"),
    [
        ("0 1\n1 0", FLIP, FLIP, "0110"),
        ("12\n34", TINT, TINT, "12|___34|___||"),
        (" [[1,2],[3,4]]", TINT, TINT, "12|___34|___||"),
        ("one less\n12\n34", TINT, TINT, "12|___34|___||"),
        ("120\n340\n210", "sudoku-4x4", TINT, "120|__340|__210|__|||"),
        ("xx0", "sudoku-4x4", FLIP, "xx0"),
        (FOUR, TINT, "sudoku-4x4", FOUR),
    ],
)
def test_texts_that_people_paste(visitor: Visit, text: str, current: str, task: str, found: str) -> None:
    visitor.expected = "422"  # the task of the page is asked first
    begin = {FLIP: "0", TINT: "0", "sudoku-4x4": "." * 16}[current]
    page = visitor.open(link_to(begin, task=current))
    paste(page, text)
    expect(page.locator("#live")).to_contain_text("A puzzle was read.")
    expect(page.locator("#task")).to_have_value(task)
    page.get_by_role("button", name="Link").click()
    assert page.evaluate("() => new URLSearchParams(location.hash.slice(1)).get('puzzle')") == found
    if text.startswith("one less"):
        expect(page.get_by_label("Identity")).to_have_value("2")


def test_a_text_that_is_no_grid_is_said_in_a_line(visitor: Visit) -> None:
    visitor.expected = "422"
    page = visitor.open(link_to("0", task=TINT))
    for text, why in (
        ("12\n3", "A grid has rows of digits, all of one length"),
        ("1234567", "The grid has 1x7 cells; the largest has 6x6"),
        ("[[1,2],[3", "The text is no list of lists of numbers."),
    ):
        paste(page, text)
        expect(page.locator("#lane-a .message")).to_have_text(why)
    assert colours(page) == ["black"]


def test_links_bring_every_token_back(visitor: Visit) -> None:
    page = visitor.open()
    moved: list[Any] = [0] * 36
    moved[8:10], moved[10], moved[14:16] = [5, 6], 1, [1, 1]  # a grid that does not begin at the corner
    for task, tokens in ((3, [1, 2, 3, *[0] * 37]), (3, [0, 0, 2, 1, *[0] * 36]), (4, moved)):
        assert call(page, "text", "m.expand(t[v[0]], m.compact(t[v[0]], v[1]))", task, tokens) == tokens
