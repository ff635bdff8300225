"""Every state of the site as pictures, at two widths, by day and by night: to be looked at, and for the README.

python -m tests.browser.screenshots OUT [STATE…]     from the checkout, with the site built; needs a Chromium
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Route, sync_playwright

from tests.browser import chromium
from tests.cloud.machine import Machine, machine

SAMPLES = Path(__file__).parents[2] / "infra" / "local" / "samples"
WIDTHS = {1280: 860, 360: 740}
SCHEMES = ("light", "dark")


class Studio:
    """A running cloud with a few jobs, and ways to its pages."""

    def __init__(self, cloud: Machine, page: Page) -> None:
        self.url = cloud.running.url
        self.page = page
        self.jobs: dict[str, str] = {}

    def make(self, *photos: Path) -> None:
        """Drop the photos and wait until each has come to an end."""
        self.page.goto(self.url)
        for photo in photos:
            with self.page.expect_response(lambda answer: answer.url == f"{self.url}/jobs") as answer:
                self.page.set_input_files("#photos", photo)
            self.jobs[photo.stem] = str(answer.value.json()["job"]["job_id"])
        for photo in photos:
            card = f"article[data-job-id='{self.jobs[photo.stem]}']"
            ended = f"{card}[data-status=succeeded], {card}[data-status=failed]"
            self.page.locator(ended).wait_for(timeout=90_000)


def home(page: Page, studio: Studio) -> None:
    page.goto(f"{studio.url}/#/")
    page.locator("article[data-status=succeeded] img").first.wait_for()


def home_options(page: Page, studio: Studio) -> None:
    home(page, studio)
    page.locator("summary").click()


def home_hover(page: Page, studio: Studio) -> None:
    home(page, studio)
    page.evaluate(
        "const data = new DataTransfer(); data.items.add(new File(['x'], 'x.png', {type: 'image/png'}));"
        "document.body.dispatchEvent(new DragEvent('dragenter', {dataTransfer: data, bubbles: true}))"
    )


def home_empty(page: Page, studio: Studio) -> None:
    _answer(page, {"jobs": [], "cursor": None})
    page.goto(f"{studio.url}/#/")
    page.get_by_text("The shelf is empty").wait_for()


def home_loading(page: Page, studio: Studio) -> None:
    page.route("**/jobs?*", lambda route: None)
    page.goto(f"{studio.url}/#/")
    page.get_by_text("Looking along the shelf").wait_for()


def home_failed(page: Page, studio: Studio) -> None:
    page.route("**/jobs?*", lambda route: route.abort())
    page.goto(f"{studio.url}/#/")
    page.get_by_role("button", name="Try again").wait_for()


def home_offline(page: Page, studio: Studio) -> None:
    home(page, studio)
    page.context.set_offline(True)
    page.get_by_text("No connection").wait_for(timeout=60_000)


def home_refused(page: Page, studio: Studio) -> None:
    home(page, studio)
    page.set_input_files(
        "#photos",
        {"name": "holiday.png", "mimeType": "image/png", "buffer": b"<!doctype html><p>not a picture"},
    )
    page.locator("article[data-status=refused]").wait_for()


def watch(page: Page, studio: Studio) -> None:
    _running(page, studio, status="running", stage="render", progress=0.42)


def watch_queued(page: Page, studio: Studio) -> None:
    _running(page, studio, status="queued", stage=None, progress=0.0, queue_position=3)


def watch_failed(page: Page, studio: Studio) -> None:
    page.goto(f"{studio.url}/#/jobs/{studio.jobs['noise']}")
    page.locator("[data-view=job][data-status=failed] .failure").wait_for()


def turn(page: Page, studio: Studio) -> None:
    page.goto(f"{studio.url}/#/jobs/{studio.jobs['robot']}")
    page.locator("canvas[data-ready=true]").wait_for(timeout=60_000)
    page.wait_for_timeout(600)  # the poster fades


def turn_clay(page: Page, studio: Studio) -> None:
    turn(page, studio)
    page.locator("canvas[data-ready=true]").press("2")
    page.wait_for_timeout(300)


def delete(page: Page, studio: Studio) -> None:
    turn(page, studio)
    page.get_by_role("button", name="Delete").click()


def share(page: Page, studio: Studio) -> None:
    turn(page, studio)
    page.get_by_role("button", name="Link for others").click()
    page.get_by_label("Link for others", exact=True).wait_for()


def not_found(page: Page, studio: Studio) -> None:
    page.goto(f"{studio.url}/#/jobs/00000000-0000-4000-8000-000000000000")
    page.locator("[data-status=not_found]").wait_for()


def access_key(page: Page, studio: Studio) -> None:
    page.add_init_script("localStorage.removeItem('maquette.session')")
    error = {"error": {"code": "access_key_required", "message": "This deployment asks for an access key."}}
    page.route("**/sessions", lambda route: route.fulfill(status=401, json=error))
    page.goto(f"{studio.url}/#/")
    page.locator("dialog").wait_for()


STATES: dict[str, Callable[[Page, Studio], None]] = {
    state.__name__: state
    for state in (
        home,
        home_options,
        home_hover,
        home_empty,
        home_loading,
        home_failed,
        home_offline,
        home_refused,
        watch,
        watch_queued,
        watch_failed,
        turn,
        turn_clay,
        delete,
        share,
        not_found,
        access_key,
    )
}


def _answer(page: Page, body: dict[str, Any]) -> None:
    page.route("**/jobs?*", lambda route: route.fulfill(json=body))


def _running(page: Page, studio: Studio, **changes: Any) -> None:
    """The robot's page as if it were still being made."""
    job_id = studio.jobs["robot"]

    timings = {"decode": 0.1, "matte": 0.5, "frame": 0.2, "reconstruct": 1.1} if changes["stage"] else {}

    def altered(job: dict[str, Any]) -> dict[str, Any]:
        if job["job_id"] != job_id:
            return job
        return job | {"seq": 9_999, "timings": timings, "poster_url": None, **changes}

    def one(route: Route) -> None:
        route.fulfill(json={"job": altered(route.fetch().json()["job"])})

    def all_of_them(route: Route) -> None:
        page_of_jobs = route.fetch().json()
        route.fulfill(json=page_of_jobs | {"jobs": [altered(job) for job in page_of_jobs["jobs"]]})

    page.route(f"**/jobs/{job_id}", one)
    page.route("**/jobs?*", all_of_them)
    page.goto(f"{studio.url}/#/jobs/{job_id}")
    page.locator(f"[data-view=job][data-status={changes['status']}]").wait_for()


def photograph(browser: Browser, studio: Studio, out: Path, names: list[str]) -> None:
    for width, height in WIDTHS.items():
        for scheme in SCHEMES:
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme=scheme,  # type: ignore[arg-type]
                permissions=["clipboard-write"],
                reduced_motion="reduce",  # a model that turns is never the same twice, and slow to photograph
                has_touch=width < 600,
                is_mobile=width < 600,
            )
            for name in names:
                page = context.new_page()
                page.on("pageerror", lambda error, name=name: print(f"{name}: {error}"))
                started = time.monotonic()
                STATES[name](page, studio)
                scrolls = page.evaluate(
                    "document.documentElement.scrollWidth > document.documentElement.clientWidth"
                )
                page.screenshot(path=out / f"{name}-{width}-{scheme}.png", full_page=True)
                context.set_offline(False)
                page.close()
                print(
                    f"{name} {width} {scheme}: {time.monotonic() - started:.1f} s", "SCROLLS" if scrolls else ""
                )
            context.close()


def main() -> None:
    out, *names = sys.argv[1:]
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data, machine(Path(data)) as cloud, sync_playwright() as playwright:
        path = chromium.find()
        if path is None:
            sys.exit(chromium.HOW_TO_GET_ONE)
        browser = chromium.launch(playwright, path)
        studio = Studio(cloud, browser.new_page())
        noise = Path(data) / "noise.png"
        photo_of_noise(noise)
        studio.make(SAMPLES / "teapot.jpg", SAMPLES / "toadstool.jpg", noise, SAMPLES / "robot.jpg")
        photograph(browser, studio, folder, names or list(STATES))
        browser.close()


def photo_of_noise(path: Path) -> None:
    """A picture without any object."""
    import numpy as np
    from PIL import Image

    Image.fromarray(np.random.default_rng(1).integers(0, 255, (128, 128, 3), dtype=np.uint8)).save(path)


if __name__ == "__main__":
    main()
