"""The desk as people use it, in a real browser: `make test-desk`. Pictures stay in build/desk."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cluster.keys import make_key
from flows.plan.prepare import prepare
from flows.progress import Silent
from flows.render import render
from flows.review.gate import review_document
from flows.spec.request import make_request
from tests.browser.conftest import PICTURES
from tests.farm_here import FarmHere
from tests.flows.desk.conftest import FIRST, FRAMES, SECOND, Studio

pytestmark = pytest.mark.browser
Look = Callable[..., Any]
GREY = """video => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const paint = canvas.getContext("2d");
  paint.drawImage(video, 0, 0, 1, 1);
  return paint.getImageData(0, 0, 1, 1).data[0];
}"""


def store_key(studio: Studio) -> str:
    return make_key(studio.store.url)[:8]


def keep(page: Any, name: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


def until(page: Any, expression: str) -> None:
    """Wait for what Playwright's own waiting may not evaluate under the pages' policy."""
    for _ in range(400):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never became true: {expression}")


def check_accessible(page: Any) -> None:
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"][:200]) for each in found] == []


def fill(studio: Studio, condition: str) -> None:
    if condition == "empty":
        return
    shots: dict[str, Any] = {f"sh{10 * at:03d}": "rendered" for at in range(1, 9)}
    if condition == "failing":
        shots |= {"sh020": "failed", "sh050": "failed"}
        studio.failure("sh020", FIRST)
    studio.run(**shots)
    for shot, state in shots.items():
        if state == "rendered":
            studio.segment(shot)
    studio.decide("sh010", "approved")
    studio.decide("sh030", "retake")
    if condition == "busy":
        studio.run(episode="ep02", run=SECOND, ends=False, sh010="rendered", sh020="rendered")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("condition", ["empty", "busy", "failing"])
def test_every_page_is_accessible_and_kept_as_a_picture(
    studio: Studio, look: Look, condition: str, scheme: str
) -> None:
    fill(studio, condition)
    base = f"e/{store_key(studio)}/ep01"
    pages = {"board": "", "reviews": "reviews", "nights": "nights", "audit": "audit"}
    pages |= {"queue": "queue", "farm": "farm"}
    if condition != "empty":
        pages |= {"episode": base, "shot": f"{base}/s/sh040", "deliver": f"{base}/deliver"}
        pages |= {"failed": f"{base}/s/sh020"}
    for name, path in pages.items():
        page = look(path, color_scheme=scheme, reduced_motion="reduce")
        page.wait_for_load_state("load")
        if name == "shot":
            until(page, "document.querySelector('video.a').readyState > 1")
        check_accessible(page)
        keep(page, f"{name}-{condition}-{scheme}")
        page.context.close()


def test_stepping_lands_on_every_frame_exactly(studio: Studio, look: Look) -> None:
    """Each frame of the segment has a grey of its own, 8 apart."""
    studio.run(sh010="rendered")
    studio.segment("sh010")
    page = look(f"e/{store_key(studio)}/ep01/s/sh010")
    until(page, "document.querySelector('video.a').readyState > 1")
    greys = []
    for number in range(FRAMES):
        assert page.text_content(".counter").split(" ")[0] == str(1001 + number)
        until(page, "!document.querySelector('video.a').seeking")
        page.wait_for_timeout(60)  # the frame is painted after the seek has ended
        greys.append(page.locator("video.a").evaluate(GREY))
        page.keyboard.press("ArrowRight")
    # Browsers stretch 16..235 to 0..255 and paint: order and distance count, not the value.
    assert [round((grey - greys[0]) / 8) for grey in greys] == list(range(FRAMES))


def test_one_key_decides_and_leads_on_to_the_next(studio: Studio, look: Look) -> None:
    studio.run(sh010="rendered", sh020="rendered", sh030="rendered")
    for shot in ("sh010", "sh020", "sh030"):
        studio.segment(shot)
    page = look("reviews")
    page.keyboard.press("Enter")
    page.wait_for_url("**/s/sh010")
    page.keyboard.press("a")
    page.wait_for_url("**/s/sh020")
    until(page, "document.querySelector('video.a').readyState > 1")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("d")
    box = page.locator("svg.ink").bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 150, steps=4)
    page.mouse.up()
    page.fill("textarea", "eyes too large")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/s/sh030")
    desk = studio.desk()
    (shelf,) = desk.library.shelves
    kept = desk.episode(shelf, "ep01").shots[1].decision
    assert (kept.verdict, kept.note, kept.frame) == ("retake", "eyes too large", 1)
    assert kept.strokes.startswith("M")
    page.keyboard.press("p")
    page.wait_for_url("**/s/sh020")
    page.get_by_role("button", name="frame 1002").click()
    assert page.locator("svg.ink path").count() == 1


def test_keys_are_shown_and_the_settings_hold(studio: Studio, look: Look) -> None:
    studio.run(sh010="rendered")
    studio.segment("sh010")
    page = look(f"e/{store_key(studio)}/ep01/s/sh010", timezone_id="Asia/Tokyo")
    page.keyboard.press("?")
    page.wait_for_selector("dialog#keys[open]")
    check_accessible(page)
    page.keyboard.press("Escape")
    page.click("[data-open=settings]")
    page.select_option("select[name=first]", "0")
    page.select_option("select[name=language]", "ja")
    page.click("button[value=save]")
    page.wait_for_selector("html[lang=ja][data-first='0']")
    assert page.text_content(".counter").split(" ")[0] == "0"


def test_what_somebody_else_decides_appears_by_itself(studio: Studio, look: Look) -> None:
    studio.run(sh010="rendered", sh020="rendered")
    page = look(f"e/{store_key(studio)}/ep01")
    board = look("")
    page.wait_for_selector("[data-shot=sh010][data-state=waiting]")
    studio.decide("sh010", "approved")
    page.wait_for_selector("[data-shot=sh010][data-state=approved]")
    board.wait_for_selector("#board .s-approved")
    studio.run(run=SECOND, ends=False, sh010="stored", sh020="stored", sh030="rendered")
    page.wait_for_selector("[data-shot=sh030]")


def test_many_shots_are_selected_and_approved_at_once(studio: Studio, look: Look) -> None:
    shots: dict[str, Any] = {f"sh{at:03d}": "rendered" for at in range(6)}
    studio.run(**shots)
    page = look(f"e/{store_key(studio)}/ep01")
    boxes = page.locator(".pick input")
    boxes.nth(1).click()
    boxes.nth(4).click(modifiers=["Shift"])
    assert page.text_content("#count") == "4"
    page.keyboard.press("a")
    until(page, "document.querySelectorAll('[data-state=approved]').length === 4")
    page.fill("#find", "sh00")
    page.locator("[data-filter=waiting]").click()
    shown = "document.querySelectorAll('#grid .card:not([hidden])').length === 2"
    until(page, shown)
    studio.decide("sh000", "retake")  # by somebody else: what is filtered stays so
    until(page, "document.querySelector('[data-shot=sh000]').dataset.state === 'retake'")
    page.wait_for_timeout(1500)  # the list of shots comes anew a moment after the shot
    assert page.locator("#grid .card:visible").count() == 1


EPISODE = """
name: ep01
source: {film}
cut: [24]
store: store
recipe: [hold]
review: {{gate: true}}
"""


def test_after_the_last_approval_the_film_is_there(
    studio: Studio, look: Look, tiny_film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its segments are stored: what is left takes no farm."""
    path = studio.folder / "ep.yaml"
    path.write_text(EPISODE.format(film=tiny_film))
    monkeypatch.chdir(studio.folder)
    request = make_request(str(path), command="douga render ep.yaml")
    assert len(render(request, Silent(), farm=FarmHere().opened).waiting) == 2
    page = look(f"e/{store_key(studio)}/ep01")
    page.wait_for_selector(".pick input")
    for box in page.locator(".pick input").all():
        box.check()
    began = time.monotonic()
    page.keyboard.press("a")
    page.wait_for_selector("#head .s-approved:text-is('done')", timeout=120_000)
    took = time.monotonic() - began
    assert Path(request.output).exists()
    shots = review_document(prepare(request, Silent()))["shots"]
    assert {shot["verdict"] for shot in shots} == {"approved"}
    print(f"the film was there {took:.1f} s after the last approval")
    page.goto(page.url + "/deliver")
    with page.expect_download() as told:
        page.get_by_role("link", name="Download ep01").click()
    assert Path(told.value.path()).read_bytes() == Path(request.output).read_bytes()
