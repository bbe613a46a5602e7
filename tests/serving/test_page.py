"""The page in a real browser: puzzles come in, models think, and what is seen is what they did."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from envs.sudoku import SudokuTask
from hrm_rl.runs.loading import load_model
from hrm_rl.serving.engine import LocalBackend
from tests.helpers.browser import FOUR, SOLVED, Visit, board, done, link_to, think, visit
from tests.helpers.live import live

NEWSPAPER = """
+-------+-------+-------+
| 5 3 . | . 7 . | . . . |
| 6 . . | 1 9 5 | . . . |
| . 9 8 | . . . | . 6 . |
+-------+-------+-------+
| 8 . . | . 6 . | . . 3 |
| 4 . . | 8 . 3 | . . 1 |
| 7 . . | . 2 . | . . 6 |
+-------+-------+-------+
| . 6 . | . . . | 2 8 . |
| . . . | 4 1 9 | . . 5 |
| . . . | . 8 . | . 7 9 |
+-------+-------+-------+
"""
NEWSPAPER_SOLVED = "534678912672195348198342567859761423426853791713924856961537284287419635345286179"


def paste(page: Page, text: str) -> None:
    """As Ctrl+V does."""
    page.evaluate(
        """text => { const data = new DataTransfer(); data.setData("text/plain", text);
        document.body.dispatchEvent(new ClipboardEvent("paste", {clipboardData: data, bubbles: true})); }""",
        text,
    )


def test_the_pages_own_4x4_puzzle_is_one() -> None:
    assert SudokuTask(4).write_text(SudokuTask(4).parse(FOUR).solution[0]) == SOLVED


def test_a_typed_puzzle_is_solved_and_one_slides_back(visitor: Visit) -> None:
    page = visitor.open()
    page.get_by_label("Kind").select_option("sudoku-4x4")
    expect(page.locator("#lane-a .cell")).to_have_count(16)
    page.get_by_role("button", name="Clear").click()
    for cell, digit in enumerate(FOUR):
        if digit != ".":
            page.locator("#lane-a .cell").nth(cell).click()
            page.keyboard.press(digit)
    assert board(page) == FOUR
    think(page)

    expect(page.locator("#lane-a .verdict")).to_have_text("Solved in 4 segments")
    assert board(page) == SOLVED
    expect(page.locator("#lane-a .wrong")).to_have_count(0)

    slider = page.get_by_role("slider", name="Segment")
    slider.fill("1")
    assert board(page) != SOLVED
    expect(page.locator("#lane-a .line")).to_contain_text("Segment 1")
    assert page.locator("#lane-a .wrong").count() > 0
    slider.fill("0")
    assert board(page) == FOUR
    page.get_by_role("button", name="To the last segment").click()
    assert board(page) == SOLVED


def test_a_pasted_newspaper_puzzle_is_solved(visitor: Visit) -> None:
    page = visitor.open()
    paste(page, NEWSPAPER)
    expect(page.locator("#note")).to_contain_text("30 clues")
    expect(page.locator("#task")).to_have_value("sudoku-9x9")
    think(page)
    expect(page.locator("#lane-a .verdict")).to_have_text("Solved in 4 segments")
    assert board(page) == NEWSPAPER_SOLVED


def test_a_random_puzzle_that_comes_late_replaces_nothing(visitor: Visit) -> None:
    page = visitor.open(link_to(FOUR))
    late: list[Route] = []
    page.route("**/v1/puzzles/random?*", lambda route: late.append(route))
    with page.expect_request("**/v1/puzzles/random?*"):
        page.get_by_role("button", name="Random").click()
    page.locator("#lane-a .cell").nth(1).click()
    page.keyboard.press("3")
    with page.expect_response("**/v1/puzzles/random?*"):
        late[0].continue_()
    page.wait_for_timeout(100)
    assert board(page) == "43" + FOUR[2:]


def test_what_cannot_be_read_is_said_beside_the_board_and_changes_nothing(visitor: Visit) -> None:
    page = visitor.open(link_to(FOUR))
    paste(page, "4...1..4......2")
    expect(page.locator("#lane-a .message")).to_have_text(re.compile("The text has 15 cells"))
    assert board(page) == FOUR


def test_a_dialog_takes_text_and_files_and_says_what_is_wrong(visitor: Visit) -> None:
    page = visitor.open()
    page.get_by_role("button", name="Paste or open").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Text").fill("4...1..4......27")
    dialog.get_by_role("button", name="Use it").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Row 4, column 4 is 7")
    dialog.get_by_label("or a file").set_input_files(
        files=[
            {"name": "four.txt", "mimeType": "text/plain", "buffer": b"4 . . .\n1 . . 4\n. . . .\n. . 2 1\n"}
        ]
    )
    expect(dialog.get_by_label("Text")).to_have_value(re.compile("1 . . 4"))
    dialog.get_by_role("button", name="Use it").click()
    expect(dialog).to_be_hidden()
    assert board(page) == FOUR


def test_a_file_is_dropped(visitor: Visit) -> None:
    page = visitor.open()
    page.evaluate(
        """text => { const data = new DataTransfer(); data.items.add(new File([text], "p.txt"));
        document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true})); }""",
        FOUR,
    )
    expect(page.locator("#lane-a .cell")).to_have_count(16)
    assert board(page) == FOUR


def test_a_random_puzzle_of_a_level_has_its_proof(visitor: Visit) -> None:
    page = visitor.open(link_to(FOUR))
    page.get_by_label("Level").select_option("very-easy")
    page.get_by_role("button", name="Random").click()
    expect(page.locator("#note")).to_contain_text("exactly one solution")
    assert 16 - board(page).count(".") in (9, 10)


def test_a_wrong_answer_is_shown_as_wrong(visitor: Visit) -> None:
    page = visitor.open(link_to(FOUR, "wrong4,adaptive,8"))
    think(page)
    expect(page.locator("#lane-a .verdict")).to_have_text("Not solved in 3 segments")
    expect(page.locator("#lane-a .line")).to_contain_text("It halts, on a wrong answer.")
    shown = board(page)
    wrong = {i for i in range(16) if shown[i] != SOLVED[i]}
    marked = page.locator("#lane-a .cell.wrong")
    assert {int(cell.get_attribute("data-cell") or -1) for cell in marked.all()} == wrong
    assert all("wrong" in (cell.get_attribute("aria-label") or "") for cell in marked.all())
    line = "element => getComputedStyle(element.querySelector('.ink')).textDecorationLine"
    assert marked.first.evaluate(line) == "line-through"  # not by its colour alone
    assert page.locator("#lane-a .cell.broken").count() > 0


def test_an_abandoned_answer_is_shown_as_abandoned(visitor: Visit) -> None:
    page = visitor.open(link_to(FOUR, "searcher4,search,16", think=True))
    done(page)
    expect(page.locator("#lane-a .verdict")).to_have_text("Solved in 4 segments")
    page.get_by_role("slider", name="Segment").fill("2")
    expect(page.locator("#lane-a .verdict")).to_have_text("Abandoned")
    expect(page.locator("#lane-a .board.gone")).to_have_count(1)
    expect(page.locator("#lane-a .line")).to_contain_text("contradicts itself: it starts over")
    assert page.locator("#lane-a .cell.assumed").count() == 2
    page.get_by_role("slider", name="Segment").fill("3")
    expect(page.locator("#lane-a .line")).to_contain_text("Segment 3 (start 2): filled afresh")
    expect(page.locator("#lane-a .board.gone")).to_have_count(0)
    expect(page.locator("#chart-a .over")).to_have_count(1)


def test_candidates_on_hover_and_on_focus(visitor: Visit) -> None:
    page = visitor.open(link_to(FOUR, "steady4,adaptive,8", think=True))
    done(page)
    page.locator("#lane-a .cell").nth(1).hover()
    tiles = page.locator("#candidates .tile")
    expect(tiles).to_have_count(4)
    expect(page.locator("#candidates .chosen b")).to_have_text("3")
    page.locator("#lane-a .cell").nth(1).focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#candidates .where")).to_have_text("Row 1, column 3")
    expect(page.locator("#candidates .chosen b")).to_have_text("1")
    page.get_by_label("in every cell").check()
    page.get_by_role("slider", name="Segment").fill("1")
    assert page.locator("#lane-a .cell.many i").count() == 4 * page.locator("#lane-a .cell.many").count() > 0


def test_two_models_or_budgets_side_by_side(visitor: Visit) -> None:
    page = visitor.open(link_to(FOUR, "steady4,adaptive,8"))
    page.get_by_label("a second model or budget").check()
    second = page.locator("#lane-b")
    second.locator(".model").select_option("wrong4")
    think(page)
    expect(page.locator("#lane-a .verdict")).to_have_text("Solved in 4 segments")
    expect(second.locator(".verdict")).to_have_text("Not solved in 3 segments")
    assert board(page) == SOLVED != board(page, "b")
    expect(page.locator("#chart-b figcaption")).to_have_text("wrong4, adaptive")
    second.locator(".model").select_option("steady4")
    second.locator(".mode").select_option("fixed")
    second.locator(".budget").fill("2")
    think(page)
    expect(second.locator(".verdict")).to_have_text("Not solved in 2 segments")
    page.get_by_role("slider", name="Segment").fill("1")
    assert board(page) == board(page, "b")


def test_a_link_brings_everything_back(visitor: Visit, chromium: Browser) -> None:
    page = visitor.open(link_to(FOUR, "steady4,fixed,3"))
    page.get_by_label("a second model or budget").check()
    page.locator("#lane-b .model").select_option("searcher4")
    think(page)
    page.get_by_role("button", name="Link").click()
    expect(page.locator("#kept")).to_have_text("Link copied.")
    link = page.evaluate("() => navigator.clipboard.readText()")
    with visit(chromium, visitor.address) as other:
        there = other.open(link.removeprefix(visitor.address))
        done(there)
        expect(there.locator("#lane-a .verdict")).to_have_text("Not solved in 3 segments")
        expect(there.locator("#lane-b .verdict")).to_have_text("Solved in 4 segments")
        assert board(there) == board(page)
        assert there.locator("#lane-a .mode").input_value() == "fixed"
        assert there.locator("#lane-b .model").input_value() == "searcher4"
        assert other.unexpected() == []


@pytest.mark.parametrize("fragment", ["#task=sudoku-4x4&puzzle=12", "#task=no&puzzle=1", "#%%%", "#a=<b>"])
def test_a_broken_link_leaves_a_page_that_works(visitor: Visit, fragment: str) -> None:
    page = visitor.open(fragment)
    think(page)
    expect(page.locator("#lane-a .verdict")).to_contain_text("Solved")


def test_playing_and_pausing(chromium: Browser, scripted_service: str) -> None:
    with visit(chromium, scripted_service, reduced_motion="no-preference") as seen:
        page = seen.open(link_to(FOUR, "steady4,adaptive,8"))
        think(page)
        expect(page.locator("#count")).to_have_text("4 / 4")  # it got there by itself
        page.get_by_label("Speed").select_option("1")
        page.get_by_role("button", name="Play").click()
        expect(page.locator("#count")).to_have_text(re.compile("[1-3] / 4"))
        page.get_by_role("button", name="Pause").click()
        before = page.locator("#count").text_content()
        page.wait_for_timeout(1200)
        assert page.locator("#count").text_content() == before != "4 / 4"
        page.get_by_role("button", name="One segment forth").click()
        expect(page.locator("#count")).not_to_have_text(before or "")
        assert seen.unexpected() == []


def test_the_shipped_model_solves_a_newspaper_puzzle(chromium: Browser) -> None:
    backend = LocalBackend([load_model("sudoku9")])
    with live(backend) as address, visit(chromium, f"{address}/") as seen:
        page = seen.open()
        paste(page, NEWSPAPER)
        think(page)
        expect(page.locator("#lane-a .verdict")).to_have_text(re.compile("Solved in [0-9]+ segments?"))
        assert board(page) == NEWSPAPER_SOLVED
        expect(page.locator("#lane-a .wrong, #lane-a .broken")).to_have_count(0)
        assert seen.unexpected() == []
