"""What leaves the page (text, JSON, GIF), what goes wrong around it, and mazes."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect

from tests.helpers.browser import FOUR, SOLVED, Visit, board, done, link_to, think, visit
from tests.helpers.live import live
from tests.helpers.scripted_backend import ScriptedBackend

STREAM = "**/v1/solve/stream"


def saved(page: Page, button: str) -> bytes:
    """What a button hands to the reader as a file."""
    with page.expect_download() as download:
        page.get_by_role("button", name=button, exact=True).click()
    return Path(download.value.path()).read_bytes()


def answers(status: int, code: str, message: str, headers: dict[str, str] | None = None, **more: Any) -> Any:
    """A route that refuses, in the shape of the service."""
    body = json.dumps({"error": {"code": code, "message": message, "id": "r1", **more}})
    kind = {"Content-Type": "application/json", **(headers or {})}
    return lambda route: route.fulfill(status=status, headers=kind, body=body)


def message(page: Page) -> Any:
    return expect(page.locator("#lane-a .message"))


def test_a_gif_of_two_models_that_other_programs_read(visitor: Visit) -> None:
    page = visitor.open(link_to(FOUR, "steady4,adaptive,8", "wrong4,adaptive,8", think=True))
    done(page)
    image = Image.open(io.BytesIO(saved(page, "GIF")))
    assert (image.format, image.n_frames, image.info["loop"]) == ("GIF", 5, 0)  # type: ignore[attr-defined]
    pictures = []
    for frame in range(5):
        image.seek(frame)
        pictures.append(image.convert("RGB").copy())
    assert pictures[0].size == pictures[4].size == (762, 430)
    assert pictures[0].getpixel((3, 3)) == (255, 253, 248)  # paper
    assert len({picture.tobytes() for picture in pictures}) == 5
    colours = {colour for _, colour in pictures[4].getcolors(100_000) or []}
    assert (179, 38, 30) in colours  # the wrong cells of the second model are red
    assert image.info["duration"] == 3000


def test_a_run_is_saved_and_comes_back(visitor: Visit, chromium: Browser) -> None:
    page = visitor.open(link_to(FOUR, "wrong4,adaptive,8", think=True))
    done(page)
    text = saved(page, "JSON").decode()
    run = json.loads(text)["runs"][0]
    assert json.loads(text)["puzzle"] == FOUR
    assert [segment["segment"] for segment in run["segments"]] == [1, 2, 3]
    assert run["result"]["solved"] is False
    with visit(chromium, visitor.address) as other:
        there = other.open()
        there.get_by_role("button", name="Paste or open").click()
        there.get_by_label("or a file").set_input_files(
            files=[{"name": "run.json", "mimeType": "application/json", "buffer": text.encode()}]
        )
        expect(there.get_by_label("Text")).not_to_have_value("")
        there.get_by_role("button", name="Use it").last.click()
        expect(there.locator("#lane-a .verdict")).to_have_text("Not solved in 3 segments")
        assert board(there) == board(page)
        assert other.unexpected() == []


def test_a_result_is_copied_as_text(visitor: Visit) -> None:
    page = visitor.open(link_to(FOUR, "steady4,adaptive,8", think=True))
    done(page)
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.locator("#kept")).to_have_text("Copied as text.")
    text = page.evaluate("() => navigator.clipboard.readText()")
    rows = [SOLVED[i : i + 4] for i in range(0, 16, 4)]
    assert "steady4, adaptive, at most 8 segments\nSolved in 4 segments\n" + "\n".join(rows) in text


@pytest.mark.parametrize(
    ("status", "code", "headers", "line"),
    [
        (429, "busy", {"Retry-After": "7"}, "The server is busy. Try again in 7 seconds."),
        (503, "stopping", {}, "The server is stopping and takes no new puzzles."),
        (504, "timeout", {}, "It took longer than the server allows. Try fewer segments."),
        (500, "internal", {}, "Something broke (r1)."),
    ],
)
def test_what_the_server_refuses_is_one_line_beside_the_board(
    visitor: Visit, status: int, code: str, headers: dict[str, str], line: str
) -> None:
    visitor.expected = "Failed to load resource"
    page = visitor.open(link_to(FOUR))
    page.route(STREAM, answers(status, code, "something broke (r1).", headers))
    think(page)
    message(page).to_have_text(line)
    page.unroute(STREAM)
    think(page)  # and another try works
    message(page).to_be_hidden()
    expect(page.locator("#lane-a .verdict")).to_have_text("Solved in 4 segments")


def test_a_cell_at_fault_is_marked_and_has_the_focus(visitor: Visit) -> None:
    visitor.expected = "Failed to load resource"
    page = visitor.open(link_to(FOUR))
    fault = answers(422, "invalid", "row 2, column 4: no", cell={"row": 2, "column": 4})
    page.route(STREAM, fault)
    think(page)
    message(page).to_have_text("Row 2, column 4: no")
    cell = page.get_by_role("gridcell", name="Row 2, column 4: 4, given, breaks the rule")
    expect(cell).to_be_focused()


def test_a_puzzle_with_several_solutions_can_be_thought_about_anyway(visitor: Visit) -> None:
    visitor.expected = "Failed to load resource"
    page = visitor.open(link_to("." * 16, "steady4,adaptive,8"))
    sent: list[dict[str, Any]] = []

    def refuse(route: Route) -> None:
        sent.append(route.request.post_data_json)
        answers(422, "invalid", "the puzzle has several solutions")(route)

    page.route(STREAM, refuse)
    think(page)
    page.get_by_role("button", name="Think about it anyway").click()
    done(page)
    assert [request.get("allow_unproven", False) for request in sent] == [False, True]


def test_a_stream_that_breaks_off_keeps_what_came(visitor: Visit) -> None:
    page = visitor.open(link_to(FOUR, "broken4,adaptive,8"))
    think(page)
    expect(page.locator("#lane-a .message.bad")).not_to_be_empty()
    expect(page.locator("#count")).to_have_text("2 / 2")
    expect(page.locator("#lane-a .verdict")).to_be_empty()  # it never answered

    whole = page.evaluate(
        """async body => await (await fetch("v1/solve/stream", {method: "POST", body: JSON.stringify(body),
        headers: {"Content-Type": "application/json"}})).text()""",
        {"puzzle": [5, 1, 1, 1, 2, 1, 1, 5, 1, 1, 1, 1, 1, 1, 3, 2], "model": "steady4"}
        | {"mode": "fixed", "segments": 3},
    )
    cut = whole[: whole.rindex("event: result") - 40]  # in the middle of an event
    page.route(STREAM, lambda route: route.fulfill(content_type="text/event-stream", body=cut))
    think(page)
    message(page).to_have_text("The connection was lost before the answer came.")
    expect(page.locator("#count")).to_have_text("2 / 2")


def test_no_server_is_said(visitor: Visit) -> None:
    visitor.expected = "Failed to load resource"
    page = visitor.open(link_to(FOUR))
    page.route(STREAM, lambda route: route.abort("connectionrefused"))
    think(page)
    message(page).to_have_text("The server does not answer. Is it still running?")


def test_the_page_asks_for_the_token(chromium: Browser) -> None:
    with live(ScriptedBackend(), token="open-sesame") as address, visit(chromium, f"{address}/") as seen:
        page = seen.page
        page.goto(seen.address)
        message(page).to_have_text("This server asks for a token.")
        expect(page.get_by_label("Token of this server")).to_be_focused()
        page.keyboard.type("wrong")
        page.keyboard.press("Enter")
        message(page).to_have_text("The server refuses this token.")
        page.keyboard.type("open-sesame")
        page.keyboard.press("Enter")
        page.wait_for_selector("body[data-ready]")
        expect(page.locator("#note")).to_contain_text("exactly one solution")
        think(page)
        expect(page.locator("#lane-a .verdict")).to_contain_text("Solved")
        seen.expected = "Failed to load resource"
        assert seen.unexpected() == []


def test_a_maze_is_drawn_with_the_mouse_and_walked(visitor: Visit) -> None:
    page = visitor.open()
    page.get_by_label("Kind").select_option("maze-6x6")
    expect(page.locator("#note")).to_contain_text("Its shortest way has")
    page.get_by_role("button", name="Clear").click()
    message(page).to_be_hidden()
    think(page)
    message(page).to_have_text("The maze has no start yet.")
    cells = page.locator("#lane-a .cell")
    first, last = cells.nth(6).bounding_box(), cells.nth(10).bounding_box()
    assert first
    assert last
    page.mouse.move(first["x"] + 9, first["y"] + 9)
    page.mouse.down()  # the wall is chosen already
    page.mouse.move(last["x"] + 9, last["y"] + 9, steps=12)
    page.mouse.up()
    page.get_by_role("button", name="Start").click()
    cells.nth(0).click()
    page.get_by_role("button", name="Goal").click()
    cells.nth(35).click()
    cells.nth(12).click()  # there is one goal only
    page.get_by_role("button", name="Copy", exact=True).click()
    drawn = page.evaluate("() => navigator.clipboard.readText()")
    assert drawn == "Maze 6×6\nS     \n##### \nG     \n      \n      \n      \n"  # noqa: RUF001
    think(page)
    expect(page.locator("#lane-a .verdict")).to_contain_text("Solved")
    assert page.locator("#lane-a .cell.path").count() == 11


def test_a_maze_is_drawn_with_keys_and_is_smaller_than_the_canvas(visitor: Visit) -> None:
    page = visitor.open()
    page.get_by_label("Kind").select_option("maze-6x6")
    expect(page.locator("#note")).to_contain_text("Its shortest way has")
    page.get_by_label("Size").select_option("5")
    expect(page.locator("#lane-a .cell")).to_have_count(25)
    page.locator("#lane-a .cell").first.focus()
    for key in ("s", "ArrowRight", "w", "ArrowRight", "g", "ArrowRight", " "):
        page.keyboard.press(key)
    names = [cell.get_attribute("aria-label") for cell in page.locator("#lane-a .cell").all()[:5]]
    assert [name and name.split(": ")[1] for name in names] == ["start", "wall", "goal", "wall", "free"]
    page.keyboard.press("Control+z")
    page.keyboard.press("Enter")
    done(page)
    expect(page.locator("#lane-a .verdict")).to_contain_text("Solved")
    assert page.locator("#lane-a .cell.path").count() == 3
