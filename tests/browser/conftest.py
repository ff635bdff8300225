"""A real browser before a real cloud with a real worker.

A page fails its test if it logs an error, throws one, runs against the content security policy, or tells a
server where it comes from or a token that is not for it.
"""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Request, sync_playwright

from infra import tokens
from infra.job import iso
from infra.local.site import SITE
from tests.browser import chromium
from tests.cloud.machine import QUICK, Machine, machine, photo_of_a_vase, wait_for

SAMPLES = Path(__file__).parents[2] / "infra" / "local" / "samples"
#: milliseconds that anything may take on a busy machine
PATIENCE = 90_000
#: of a session or a share
TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.")
#: options with which a job takes long enough to be met in the middle
LONG = {"views": 40, "view_size": 256}
#: looked for now: later the tests have a cache folder of their own, without what Playwright has downloaded
CHROMIUM = chromium.find()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """For one module: as long as Playwright runs, no other test can have an event loop of its own."""
    if CHROMIUM is None:
        pytest.skip(chromium.HOW_TO_GET_ONE)
    with sync_playwright() as playwright:
        started = chromium.launch(playwright, CHROMIUM)
        yield started
        started.close()


@pytest.fixture(scope="package")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    if not (SITE / "index.html").exists():
        pytest.skip("the site is not built; `make web` builds it")
    data = tmp_path_factory.mktemp("cloud")
    with machine(data, program=[sys.executable, "-m", "tests.browser.cloud", str(data)]) as started:
        yield started


@dataclass(frozen=True)
class Made:
    """A finished model that tests look at and leave as it is."""

    photo: Path
    job_id: str


@pytest.fixture(scope="package")
def made(cloud: Machine, tmp_path_factory: pytest.TempPathFactory) -> Made:
    photo = photo_of_a_vase(tmp_path_factory.mktemp("photos") / "finished-vase.png")
    job = cloud.ended_job(cloud.drop(f"inbox/{photo.name}", photo.read_bytes(), **QUICK))
    assert job.status == "succeeded"
    return Made(photo, job.job_id)


@pytest.fixture
def vase(tmp_path: Path) -> Path:
    """A photo of a name of its own: on one machine every visitor sees the same shelf."""
    return photo_of_a_vase(tmp_path / f"vase-{uuid4().hex[:6]}.png")


@dataclass
class Visitor:
    """One browser profile, and what its pages complained of."""

    context: BrowserContext
    url: str
    complaints: list[str] = field(default_factory=list)
    #: parts of complaints that the test has provoked
    expected: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.context.on("request", lambda request: self.complaints.extend(self._leaks(request)))

    def blank(self) -> Page:
        """A page that has not been sent anywhere yet."""
        page = self.context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: self.complaints.append(f"thrown: {error}"))
        page.on("console", self._listen)
        return page

    def page(self, address: str = "#/") -> Page:
        page = self.blank()
        page.goto(f"{self.url}/{address}")
        return page

    def _listen(self, said: ConsoleMessage) -> None:
        if said.type == "error":
            self.complaints.append(f"{said.text} ({said.location['url']})")

    def _leaks(self, request: Request) -> Iterator[str]:
        """What the request tells that opens something, or by whose address it was sent."""
        ours = request.url.startswith(f"{self.url}/")
        if request.headers.get("referer"):
            yield f"a referrer to {request.url}"
        if TOKEN.search(request.url) and not (ours and "/events?" in request.url):  # EventSource has no headers
            yield f"a token in the address {request.url}"
        if not ours and any(TOKEN.search(value) for value in request.headers.values()):
            yield f"a token in a header to {request.url}"

    def prefer(self, **options: object) -> None:
        """Have the page remember these options of a job."""
        remember(self.context, options)

    def unexpected(self) -> list[str]:
        return [said for said in self.complaints if not any(part in said for part in self.expected)]


@pytest.fixture
def visit(browser: Browser, cloud: Machine) -> Iterator[Callable[..., Visitor]]:
    visitors: list[Visitor] = []

    def new(**options: Any) -> Visitor:
        options.setdefault("viewport", {"width": 640, "height": 480})  # WebGL is drawn by the processor
        # Nothing turns by itself then: what differs between two pictures was moved by hand.
        options.setdefault("reduced_motion", "reduce")
        visitor = Visitor(browser.new_context(**options), cloud.running.url)
        visitor.prefer(**QUICK)
        visitors.append(visitor)
        return visitor

    yield new
    for visitor in visitors:
        visitor.context.close()
    assert [said for visitor in visitors for said in visitor.unexpected()] == []


@pytest.fixture
def visitor(visit: Callable[..., Visitor]) -> Visitor:
    return visit()


def remember(context: BrowserContext, options: Mapping[str, object]) -> None:
    """Have every page of the context offer these options, as if they had been chosen there before."""
    keep(context, "maquette.options", options)


def card(page: Page, name: str, status: str | None = None) -> Locator:
    """The newest card of the photo of that name, in the given state."""
    state = f"[data-status={status}]" if status else ""
    return page.locator(f"article{state}", has_text=name).first


def job_page(page: Page, status: str) -> Locator:
    return page.locator(f"[data-view=job][data-status={status}]")


def canvas(page: Page) -> Locator:
    """The viewer's canvas, once it shows the model."""
    found = page.locator("canvas[data-ready=true]")
    found.wait_for()
    return found


def picture(of: Locator) -> np.ndarray[Any, Any]:
    """What is seen of an element: (h, w, 3) float64, 0..255."""
    return np.asarray(Image.open(io.BytesIO(of.screenshot())).convert("RGB"), dtype=np.float64)


def still_picture(of: Locator) -> np.ndarray[Any, Any]:
    """What is seen of an element once it moves no more."""
    seen = [picture(of)]

    def rests() -> bool:
        seen.append(picture(of))
        return np.array_equal(seen.pop(0), seen[0])

    wait_for(rests, "an end of all movement")
    return seen[0]


def finished_job(page: Page, photo: Path) -> str:
    """Give the page a photo and wait for its model; the job's id."""
    page.set_input_files("#photos", photo)
    done = card(page, photo.name, "succeeded")
    done.wait_for()
    return str(done.get_attribute("data-job-id"))


def become(visitor: Visitor, cloud: Machine, owner: str) -> None:
    """The visitor's session is that of another owner, as on a deployment where everyone has their own."""
    token, ends = tokens.issue(owner, cloud.running.environment["MAQUETTE_SESSION_SECRET"])
    keep(visitor.context, "maquette.session", {"token": token, "expires_at": iso(ends)})


def keep(context: BrowserContext, name: str, value: Mapping[str, object]) -> None:
    """Every page of the context finds this in its local storage; the browser's own error pages have none."""
    text = json.dumps(json.dumps(value))
    context.add_init_script(f"if (location.protocol === 'http:') localStorage.setItem('{name}', {text})")
