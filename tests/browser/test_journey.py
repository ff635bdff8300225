"""From a photo to a model in the hands of whoever it is shared with."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import trimesh
from playwright.sync_api import Page

from infra.artifacts import expected_names
from tests.browser.conftest import Made, Visitor, canvas, card, finished_job, job_page, still_picture
from tests.cloud.machine import QUICK

#: drops a file on the page as a mouse would
DROP = """([name, type, text]) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], name, { type }));
  for (const kind of ["dragenter", "dragover", "drop"]) {
    const event = new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true });
    document.querySelector(".drop-zone").dispatchEvent(event);
  }
}"""
#: collects what a job's card says, from now on
FOLLOW = """() => {
  window.said = new Set();
  new MutationObserver(() => {
    for (const card of document.querySelectorAll("article[data-job-id]"))
      window.said.add(card.dataset.status + ": " + card.querySelector(".card-line").textContent);
  }).observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
}"""


def test_a_photo_becomes_a_model_that_can_be_turned(visitor: Visitor, vase: Path) -> None:
    page = visitor.page()
    page.evaluate(FOLLOW)
    job_id = finished_job(page, vase)
    said = page.evaluate("[...window.said]")
    assert len([line for line in said if line.startswith("running: ")]) >= 3, said

    card(page, vase.name).get_by_role("link").click()
    seen = canvas(page)
    assert page.url.endswith(f"#/jobs/{job_id}")
    assert int(seen.get_attribute("data-vertices") or 0) > 500
    before = still_picture(seen)
    assert before.reshape(-1, 3).std(axis=0).max() > 5.0, "an empty canvas is of one colour"
    box = seen.bounding_box()
    assert box is not None
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 150, middle[1] + 30, steps=6)
    page.mouse.up()
    assert np.abs(still_picture(seen) - before).mean() > 0.5


def test_photos_may_be_dropped_anywhere_and_several_at_once(visitor: Visitor, vase: Path) -> None:
    page = visitor.page()
    page.locator(".drop-zone").wait_for()
    text = base64.b64encode(vase.read_bytes()).decode()
    names = [f"{name}-{vase.name}" for name in ("dropped", "one", "two")]
    page.evaluate(DROP, [names[0], "image/png", text])
    files = [{"name": name, "mimeType": "image/png", "buffer": vase.read_bytes()} for name in names[1:]]
    page.set_input_files("#photos", files)  # type: ignore[arg-type]
    for name in names:
        card(page, name, "succeeded").wait_for()
    ids = page.locator("article").evaluate_all("cards => cards.map(card => card.dataset.jobId)")
    assert len(ids) == len(set(ids)), "each photo stands on the shelf once"


def test_a_picture_may_be_pasted(visitor: Visitor, vase: Path) -> None:
    page = visitor.page()
    page.locator(".drop-zone").wait_for()
    page.evaluate(
        """text => {
          const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
          const data = new DataTransfer();
          data.items.add(new File([bytes], "pasted.png", { type: "image/png" }));
          document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
        }""",
        base64.b64encode(vase.read_bytes()).decode(),
    )
    card(page, "pasted.png", "succeeded").wait_for()


def test_a_sample_is_one_click_away(visitor: Visitor) -> None:
    page = visitor.page()
    page.get_by_role("button", name="Try the teapot").click()
    card(page, "teapot.jpg", "succeeded").wait_for()


def test_a_web_page_that_calls_itself_a_picture_is_refused_before_it_is_sent(visitor: Visitor) -> None:
    page = visitor.page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.method + " " + request.url))
    page.set_input_files(
        "#photos",
        {"name": "holiday.png", "mimeType": "image/png", "buffer": b"<!doctype html><script>alert(1)</script>"},
    )
    refused = card(page, "holiday.png", "refused")
    refused.wait_for()
    assert "web page (HTML)" in refused.inner_text()
    assert not [line for line in asked if line.startswith("POST") and not line.endswith("/sessions")]
    refused.get_by_role("button", name="Put aside holiday.png").click()
    refused.wait_for(state="detached")


def test_a_file_name_is_shown_as_text(visitor: Visitor, vase: Path) -> None:
    page = visitor.page()
    name = "<img src=x onerror=alert(1)>.png"
    page.set_input_files("#photos", {"name": name, "mimeType": "image/png", "buffer": vase.read_bytes()})
    card(page, name).wait_for()
    assert page.locator("article img[src=x]").count() == 0


def test_options_reach_the_job_and_are_remembered(visit: Callable[..., Visitor], vase: Path) -> None:
    visitor = visit()
    page = visitor.page()
    page.locator("summary", has_text="Options").click()
    page.get_by_label("Pictures", exact=True).fill("5")
    job_id = finished_job(page, vase)
    page.locator(f"article[data-job-id='{job_id}']").get_by_role("link").click()
    page.get_by_text("5 pictures from all sides").wait_for()


def test_every_file_can_be_taken_home(visitor: Visitor, made: Made) -> None:
    page = visitor.page(f"#/jobs/{made.job_id}")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download mesh.glb").click()
    assert download.value.suggested_filename == "mesh.glb"
    mesh = trimesh.load(download.value.path(), file_type="glb", force="mesh")
    assert 500 < len(mesh.faces) <= QUICK["target_faces"] * 1.01
    assert mesh.visual.uv is not None

    with page.expect_download() as download:
        page.get_by_role("button", name="All as ZIP").click()
    assert download.value.suggested_filename == f"{made.photo.stem}.zip"
    with zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes())) as archive:
        assert archive.testzip() is None
        names = [f"{made.photo.stem}/{name}" for name in expected_names(QUICK["views"])]
        assert sorted(archive.namelist()) == sorted(names)


def test_a_share_link_shows_the_model_to_others_and_lets_them_change_nothing(
    visit: Callable[..., Visitor], vase: Path
) -> None:
    owner = visit()
    page = owner.page()
    job_id = finished_job(page, vase)
    page.goto(f"{owner.url}/#/jobs/{job_id}")
    page.get_by_role("button", name="Link for others").click()
    address = page.get_by_label("Link for others", exact=True)
    address.wait_for()
    link = address.input_value()

    guest = visit()
    theirs = guest.page(link.removeprefix(f"{guest.url}/"))
    canvas(theirs)
    assert theirs.get_by_text("Shared with you").is_visible()
    for forbidden in ("Delete", "Link for others"):
        assert theirs.get_by_role("button", name=forbidden).count() == 0
    with theirs.expect_download() as download:
        theirs.get_by_role("button", name="Download mesh.stl").click()
    assert download.value.suggested_filename == "mesh.stl"

    page.get_by_role("button", name="Stop sharing").click()
    page.get_by_text("No link to this model holds any longer").wait_for()
    assert not address.is_visible()
    guest.expected.append("404")
    theirs.reload()
    job_page(theirs, "not_found").wait_for()

    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.locator("[data-view=home]").wait_for()
    assert page.locator(f"article[data-job-id='{job_id}']").count() == 0


def test_the_whole_way_can_be_gone_by_keyboard(visitor: Visitor) -> None:
    page = visitor.page()
    page.get_by_role("button", name="Try the robot").wait_for()
    tab_to(page, "Try the robot")
    page.keyboard.press("Enter")
    card(page, "robot.jpg", "succeeded").wait_for()
    tab_to(page, "robot.jpg")
    page.keyboard.press("Enter")
    before = still_picture(canvas(page))
    tab_to(page, str(canvas(page).get_attribute("aria-label")))
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    assert np.abs(still_picture(canvas(page)) - before).mean() > 0.5
    tab_to(page, "Download mesh.glb")
    with page.expect_download():
        page.keyboard.press("Enter")


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the element of that name has the focus."""
    for _ in range(120):
        page.keyboard.press("Tab")
        focused = page.evaluate("document.activeElement.ariaLabel || document.activeElement.textContent.trim()")
        if focused == name:
            return
    raise AssertionError(f"{name} cannot be reached by keyboard")
