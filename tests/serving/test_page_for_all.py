"""The page without a mouse, on a phone, in the dark, for a screen reader; and how soon it is there."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.helpers.browser import FOUR, SOLVED, Visit, board, done, link_to, think, visit
from tests.helpers.paths import ROOT

CLASHING = ("1, column 1", "1, column 3", "2, column 4")
"""Row and column of all 4s in the puzzle with another 4 in row 1, column 3."""
CHECKS = (ROOT / "tests/helpers/accessibility.js").read_text()


def focused(page: Page) -> str:
    """The name of what has the focus."""
    return page.evaluate(
        "() => document.activeElement.getAttribute('aria-label') || document.activeElement.id "
        "|| document.activeElement.className"
    )


def test_the_keyboard_alone(visitor: Visit) -> None:
    page = visitor.open()
    places = []
    for _ in range(30):
        page.keyboard.press("Tab")
        places.append(focused(page))
        if places[-1].startswith("Row 1"):
            break
    assert places[1:3] == ["Dark colours", "task"]
    page.locator("#task").focus()
    page.keyboard.press("Home")
    page.keyboard.type("Sudoku 4")
    expect(page.locator("#lane-a .cell")).to_have_count(16)
    expect(page.locator("#note")).to_contain_text("exactly")
    for _ in range(5):
        page.keyboard.press("Tab")
    assert focused(page) == "clear"
    page.keyboard.press("Enter")
    assert board(page) == "." * 16
    while not focused(page).startswith("Row "):
        page.keyboard.press("Tab")
    outline = "() => getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) == "solid"  # the focus can be seen
    page.keyboard.press("Control+Home")
    for cell, digit in enumerate(FOUR):
        if digit != ".":
            page.keyboard.press(digit)
        if cell % 4 < 3:
            page.keyboard.press("ArrowRight")
        else:
            page.keyboard.press("ArrowDown")
            page.keyboard.press("Home")
    page.keyboard.press("Control+Home")
    page.keyboard.press("2")
    page.keyboard.press("Control+z")
    assert board(page) == FOUR
    page.keyboard.press("Enter")
    done(page)
    assert board(page) == SOLVED
    assert focused(page) == "Row 1, column 1: 4, given"
    page.keyboard.press("PageUp")
    expect(page.locator("#count")).to_have_text("3 / 4")
    page.keyboard.press("PageDown")
    expect(page.locator("#count")).to_have_text("4 / 4")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Delete")  # the puzzle is another one: what was thought is gone
    page.keyboard.press("3")
    assert board(page) == "43" + FOUR[2:]
    expect(page.locator("#count")).to_be_empty()


def test_a_digit_twice_is_marked_while_one_types(visitor: Visit) -> None:
    page = visitor.open(link_to(FOUR))
    page.locator("#lane-a .cell").nth(2).click()
    page.keyboard.press("4")
    names = [cell.get_attribute("aria-label") for cell in page.locator("#lane-a .cell.broken").all()]
    assert names == [f"Row {place}: 4, given, breaks the rule" for place in CLASHING]


def test_a_screen_reader_is_told_every_segment(visitor: Visit) -> None:
    page = visitor.open(link_to(FOUR, "steady4,adaptive,8", think=True))
    done(page)
    live = page.locator("#live")
    expect(live).to_contain_text("Solved in 4 segments. Segment 4:")
    page.get_by_role("slider", name="Segment").fill("1")
    expect(live).to_contain_text("Segment 1: filled afresh, ")
    slider = page.get_by_role("slider", name="Segment")
    assert slider.get_attribute("aria-valuetext") == "Segment 1"
    expect(page.get_by_role("gridcell", name=re.compile("Row 1, column 2: 3, .*% sure"))).to_be_visible()
    expect(page.get_by_role("grid", name="Sudoku 4×4, steady4, segment 1")).to_be_visible()  # noqa: RUF001
    name = page.locator("#chart-a svg").get_attribute("aria-label") or ""
    assert name.startswith("Q-values of steady4, adaptive, 4 segments, 0 times started over.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_names_roles_and_contrast(chromium: Browser, scripted_service: str, scheme: str) -> None:
    with visit(chromium, scripted_service, color_scheme=scheme) as seen:
        page = seen.open(link_to(FOUR, "wrong4,adaptive,8", "searcher4,search,16", think=True))
        done(page)
        ground = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
        assert ground == ("rgb(250, 248, 243)" if scheme == "light" else "rgb(21, 23, 27)")
        for position in ("0", "1", "2", "4"):
            page.get_by_role("slider", name="Segment").fill(position)
            page.locator("#lane-a .cell").nth(1).hover()
            page.wait_for_timeout(50)
            assert page.evaluate(CHECKS) == []
        page.get_by_text("Keys", exact=True).click()
        page.get_by_role("button", name="Paste or open").click()
        assert page.evaluate(CHECKS) == []
        page.keyboard.press("Escape")
        page.get_by_label("Kind").select_option("maze-6x6")
        expect(page.locator("#note")).to_contain_text("shortest")
        assert page.evaluate(CHECKS) == []
        page.get_by_role("button", name="colours").click()  # the other scheme by hand
        assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") != ground
        assert seen.unexpected() == []


@pytest.mark.parametrize("width", [320, 400])
def test_on_a_phone(chromium: Browser, scripted_service: str, width: int) -> None:
    size = {"width": width, "height": 700}
    with visit(chromium, scripted_service, viewport=size, has_touch=True, is_mobile=True) as seen:
        page = seen.open(link_to("." * 16, "steady4,adaptive,8"))
        for cell, digit in enumerate(FOUR):
            if digit != ".":
                page.locator("#lane-a .cell").nth(cell).tap()
                page.get_by_role("button", name=f"Write {digit}").tap()
        assert board(page) == FOUR
        page.get_by_role("button", name="Think", exact=True).tap()
        done(page)
        assert board(page) == SOLVED
        wide = "() => document.documentElement.scrollWidth"
        assert page.evaluate(wide) <= width
        page.get_by_label("a second model or budget").check()
        assert page.evaluate(wide) <= width
        page.goto(seen.address + link_to("." * 81, task="sudoku-9x9"))
        page.reload()
        page.wait_for_selector("body[data-ready]")
        assert page.evaluate(wide) <= width
        cell = page.locator("#lane-a .cell").first.bounding_box()
        assert cell is not None
        assert cell["width"] >= 24
        assert page.evaluate(CHECKS) == []
        assert seen.unexpected() == []


def test_one_screen_of_a_laptop_has_it_all(visitor: Visit) -> None:
    page = visitor.open(link_to("." * 80 + "1", task="sudoku-9x9"))
    for part in ("#lane-a .board", "#transport", "#chart-a svg", "#candidates", "#pad", "#gif"):
        box = page.locator(part).bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 720, part


def test_little_movement_shows_the_end_at_once(visitor: Visit) -> None:
    page = visitor.open(link_to(FOUR, "steady4,fixed,8"))
    think(page)
    assert page.locator("#count").text_content() == "8 / 8"  # no waiting for the player
    assert page.evaluate("() => getComputedStyle(document.querySelector('.cell')).transitionDuration") == "0s"


def test_nothing_leaves_the_machine_and_nothing_is_inline(visitor: Visit) -> None:
    page = visitor.page
    response = page.goto(visitor.address)
    assert response is not None
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    page.wait_for_selector("body[data-ready]")
    ready = page.evaluate("() => Math.round(performance.now())")
    print(f"GET / to interactive: at most {ready} ms")
    think(page)
    assert (
        page.locator("[style]").evaluate_all(
            "found => found.filter(e => !e.matches('.board, .board *, .tile')).length"
        )
        == 0
    )
