"""What happens to a job that is watched: reloads, lost connections, cancellation, failure, and others' eyes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import Page

from tests.browser.conftest import LONG, Visitor, become, card, finished_job, job_page
from tests.browser.screenshots import photo_of_noise
from tests.cloud.machine import QUICK, Machine, wait_for

#: collects the stages that the job's page shows, from now on
FOLLOW_STAGES = """() => {
  window.stages = [];
  const look = () => {
    const stage = document.querySelector("[data-view=job]")?.dataset.stage;
    if (stage && stage !== window.stages.at(-1)) window.stages.push(stage);
  };
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true });
}"""
#: a lost line is tried again after a tenth of the longest pause that chance could give
EAGER = "Math.random = () => 0.1"
STAGES = ["decode", "matte", "frame", "reconstruct", "render", "mesh", "texture", "export", "upload"]


@pytest.fixture
def long_visitor(visit: Callable[..., Visitor]) -> Visitor:
    """Somebody whose jobs take long enough to be met in the middle."""
    visitor = visit()
    visitor.prefer(**QUICK | LONG)
    return visitor


def tell(cloud: Machine, what: str) -> None:
    """One of the words that tests.browser.cloud obeys."""
    assert cloud.process.stdin is not None
    cloud.process.stdin.write(f"{what}\n".encode())
    cloud.process.stdin.flush()


class Gateway:
    """The cloud's gateway: REST, sockets, site. All else goes on without it."""

    def __init__(self, cloud: Machine) -> None:
        self._cloud = cloud

    def stop(self) -> None:
        tell(self._cloud, "stop")
        wait_for(lambda: not self._answers(), "the gateway's end")

    def start(self) -> None:
        if not self._answers():
            tell(self._cloud, "start")
            wait_for(self._answers, "the gateway's return")

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self._cloud.running.url}/config.json").is_success
        except httpx.TransportError:
            return False


@pytest.fixture
def gateway(cloud: Machine) -> Iterator[Gateway]:
    found = Gateway(cloud)
    yield found
    found.start()


class Worker:
    """The cloud's worker. While it is held its job comes no further, however long a page takes."""

    def __init__(self, cloud: Machine) -> None:
        self._cloud = cloud

    def hold(self) -> None:
        tell(self._cloud, "hold")

    def release(self) -> None:
        tell(self._cloud, "release")


@pytest.fixture
def worker(cloud: Machine) -> Iterator[Worker]:
    found = Worker(cloud)
    yield found
    found.release()


def held_job(page: Page, photo: Path, worker: Worker) -> str:
    """Give the page a photo, hold the worker as soon as it has it, and go to the job's page; the job's id."""
    page.set_input_files("#photos", photo)
    begun = card(page, photo.name, "running")
    begun.wait_for()
    worker.hold()
    job_id = str(begun.get_attribute("data-job-id"))
    begun.get_by_role("link").click()
    job_page(page, "running").wait_for()
    return job_id


def test_the_stages_are_seen_one_after_the_other(visitor: Visitor, vase: Path) -> None:
    visitor.prefer(**QUICK | {"views": 30, "view_size": 256})
    page = visitor.page()
    page.evaluate(FOLLOW_STAGES)
    page.set_input_files("#photos", vase)
    card(page, vase.name, "running").get_by_role("link").click()
    job_page(page, "succeeded").wait_for()
    seen = page.evaluate("window.stages")
    assert len(seen) >= 4
    assert seen == sorted(seen, key=STAGES.index)


def test_a_job_outlives_reloads_and_the_page_that_began_it(
    long_visitor: Visitor, worker: Worker, vase: Path
) -> None:
    page = long_visitor.page()
    job_id = held_job(page, vase, worker)
    page.reload()
    job_page(page, "running").wait_for()
    page.locator(".watch-picture").wait_for()  # the photo is still at hand
    page.close()
    worker.release()
    back = long_visitor.page()
    card(back, vase.name).wait_for()
    card(back, vase.name, "succeeded").wait_for()
    assert card(back, vase.name).get_attribute("data-job-id") == job_id


def test_a_gateway_that_dies_in_mid_job_is_missed_and_found_again(
    long_visitor: Visitor, gateway: Gateway, worker: Worker, vase: Path
) -> None:
    long_visitor.expected += ["WebSocket connection", "ERR_CONNECTION_REFUSED"]
    long_visitor.context.add_init_script(EAGER)
    page = long_visitor.page()
    held_job(page, vase, worker)
    page.evaluate("window.neverReloaded = true")
    gateway.stop()
    page.get_by_text("No connection").wait_for()
    worker.release()
    gateway.start()
    page.get_by_text("No connection").wait_for(state="hidden")
    job_page(page, "succeeded").wait_for()
    assert page.evaluate("window.neverReloaded")


def test_where_sockets_are_blocked_the_page_asks_instead(visitor: Visitor, vase: Path) -> None:
    visitor.context.add_init_script(EAGER)
    visitor.context.route_web_socket(re.compile("/socket"), lambda socket: socket.close())
    page = visitor.page()
    page.get_by_text("The live line is blocked here").wait_for()
    finished_job(page, vase)


def test_a_photo_in_the_drop_folder_appears_on_an_open_shelf(
    visitor: Visitor, cloud: Machine, vase: Path
) -> None:
    page = visitor.page()
    page.locator("article, .shelf-note").first.wait_for()
    cloud.drop(f"inbox/{vase.name}", vase.read_bytes(), **QUICK)
    card(page, vase.name, "succeeded").wait_for()


def test_a_canceled_job_stays_canceled_and_a_deleted_one_is_gone(
    long_visitor: Visitor, cloud: Machine, worker: Worker, vase: Path
) -> None:
    page = long_visitor.page()
    job_id = held_job(page, vase, worker)
    page.get_by_role("button", name="Cancel").click()
    job_page(page, "canceled").wait_for()
    assert page.get_by_role("heading", name="Canceled").is_visible()
    page.reload()
    job_page(page, "canceled").wait_for()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.locator("[data-view=home]").wait_for()
    token = httpx.post(f"{cloud.running.url}/sessions").json()["token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert httpx.get(f"{cloud.running.url}/jobs/{job_id}", headers=headers).status_code == 404


def test_a_failure_says_what_it_was_and_can_be_tried_again(visitor: Visitor, tmp_path: Path) -> None:
    noise = tmp_path / f"noise-{uuid4().hex[:6]}.png"
    photo_of_noise(noise)
    page = visitor.page()
    page.set_input_files("#photos", noise)
    failed = card(page, noise.name, "failed")
    failed.wait_for()
    first = failed.get_attribute("data-job-id")
    failed.get_by_role("link").click()
    job_page(page, "failed").wait_for()
    assert page.locator(".failure-code").inner_text() == "no_clear_object"
    page.reload()  # the photo is kept for another try
    page.get_by_role("button", name="Try again").click()
    page.wait_for_function("job => !location.hash.endsWith(job)", arg=first)
    job_page(page, "failed").wait_for()


def test_a_web_page_that_reaches_the_bucket_as_a_picture_fails_with_the_reason(
    visitor: Visitor, cloud: Machine
) -> None:
    cloud.drop("inbox/sneaked.png", b"<!doctype html><script>alert(1)</script>")
    page = visitor.page()
    card(page, "sneaked.png", "failed").get_by_role("link").click()
    job_page(page, "failed").wait_for()
    assert page.locator(".failure-code").inner_text() == "unsupported_image"


def test_nobody_sees_the_jobs_of_another(visit: Callable[..., Visitor], cloud: Machine, vase: Path) -> None:
    one, other = visit(), visit()
    become(one, cloud, "one")
    become(other, cloud, "other")
    job_id = finished_job(one.page(), vase)
    page = other.page()
    page.get_by_text("The shelf is empty").wait_for()
    other.expected += ["404", "401", "WebSocket connection"]
    page.goto(f"{other.url}/#/jobs/{job_id}")
    job_page(page, "not_found").wait_for()
    assert vase.name not in page.locator("body").inner_text()
    page.goto(f"{other.url}/#/shared/{job_id}/not.a.token")
    job_page(page, "not_found").wait_for()
