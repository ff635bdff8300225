"""How soon a visitor sees what happens, and what the site's scripts weigh.

A real Chromium before a cloud on this machine; "seen" is the first animation frame after the page has changed.
"""

from __future__ import annotations

import gzip
import os
import statistics
import tempfile
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from unittest import mock

from playwright.sync_api import Page, sync_playwright
from rich.console import Console

from infra.job import OPERATOR
from infra.jobs import JobTable, Source
from infra.local.site import SITE
from tests.browser import chromium
from tests.browser.conftest import remember
from tests.cloud.machine import QUICK, Machine, machine, photo_of_a_vase

#: changes of one job that are written and waited for
WRITES = 100
#: seconds between two of them: progress of a real job comes no faster
PAUSE = 0.1

#: seconds since 1970 at which a photo was given, and at which each state of a card was first seen
FOLLOW_CARDS = """() => {
  window.given = 0;
  window.seen = {};
  const now = () => (performance.timeOrigin + performance.now()) / 1000;
  document.querySelector("#photos").addEventListener("change", () => (window.given = now()), { capture: true });
  new MutationObserver(() => {
    for (const { dataset } of document.querySelectorAll("article[data-status]")) {
      const { status, jobId } = dataset;
      if (status === "succeeded" || (window.known ?? []).includes(jobId)) continue;
      if (!(status in window.seen)) requestAnimationFrame(() => (window.seen[status] ??= now()));
    }
  }).observe(document.body, { subtree: true, childList: true, attributes: true });
}"""
#: seconds since 1970 at which each figure of the job's page was first there, and first drawn
FOLLOW_FIGURE = """() => {
  window.there = {};
  window.drawn = {};
  const now = () => (performance.timeOrigin + performance.now()) / 1000;
  const figure = document.querySelector(".watch-figure");
  new MutationObserver(() => {
    const text = figure.textContent;
    window.there[text] ??= now();
    requestAnimationFrame(() => (window.drawn[text] ??= now()));
  }).observe(figure, { subtree: true, childList: true, characterData: true });
}"""


@dataclass(frozen=True)
class Measured:
    """Seconds, and bytes after gzip."""

    runs: int
    #: from the drop of a photo until the card says: it is announced, it is in the queue, it is being worked on
    announced: float
    queued: float
    running: float
    #: from before a write of the jobs table until the page has it, and until it is drawn
    there_median: float
    there_p95: float
    drawn_median: float
    drawn_p95: float
    scripts: dict[str, int]

    def as_dict(self) -> dict[str, object]:
        """For bench.json."""
        return asdict(self)

    def rows(self) -> list[tuple[str, str]]:
        """What is measured, and the number."""
        return [
            ("drop → card, seconds", f"{self.announced:.3f}"),
            ("drop → in the queue, seconds", f"{self.queued:.3f}"),
            ("drop → first progress of the work, seconds", f"{self.running:.3f}"),
            ("table write → page, milliseconds, median", f"{self.there_median * 1000:.0f}"),
            ("table write → page, milliseconds, p95", f"{self.there_p95 * 1000:.0f}"),
            ("table write → drawn, milliseconds, p95", f"{self.drawn_p95 * 1000:.0f}"),
            *((f"{name}, kB after gzip", f"{size / 1000:.1f}") for name, size in self.scripts.items()),
            ("all scripts, kB after gzip", f"{sum(self.scripts.values()) / 1000:.1f}"),
        ]


def measure(runs: int, console: Console) -> Measured | None:
    """None where there is no Chromium."""
    path = chromium.find()
    if path is None:
        console.print(f"The site is not measured: {chromium.HOW_TO_GET_ONE}.")
        return None
    with (
        console.status("site"),
        tempfile.TemporaryDirectory() as folder,
        machine(Path(folder) / "cloud") as cloud,
        sync_playwright() as playwright,
    ):
        browser = chromium.launch(playwright, path)
        context = browser.new_context()
        remember(context, QUICK)
        page = context.new_page()
        drops = _drops(page, cloud, Path(folder), runs)
        there, drawn = _writes(page, cloud)
        browser.close()
    return Measured(
        runs=runs,
        announced=drops["draft"], queued=drops["queued"], running=drops["running"],
        there_median=statistics.median(there), there_p95=_p95(there),
        drawn_median=statistics.median(drawn), drawn_p95=_p95(drawn),
        scripts={script.name: len(gzip.compress(script.read_bytes())) for script in sorted(SITE.rglob("*.js"))},
    )  # fmt: skip


def _drops(page: Page, cloud: Machine, folder: Path, runs: int) -> dict[str, float]:
    """Medians over ``runs``, after one to warm up: seconds from the drop until a state is seen."""
    seconds: dict[str, list[float]] = {"draft": [], "queued": [], "running": []}
    photo = photo_of_a_vase(folder / "vase.png")
    for run in range(runs + 1):
        page.goto(cloud.running.url)
        page.locator("h2", has_text="Your shelf").wait_for()
        page.wait_for_load_state("networkidle")
        known = page.locator("article").evaluate_all("cards => cards.map(card => card.dataset.jobId)")
        page.evaluate("known => (window.known = known)", known)
        page.evaluate(FOLLOW_CARDS)
        page.set_input_files("#photos", photo)
        page.wait_for_function(
            "count => document.querySelectorAll('[data-status=succeeded]').length > count", arg=len(known)
        )
        given, seen = page.evaluate("[window.given, window.seen]")
        for state, found in seconds.items():
            if run > 0 and state in seen:  # the queue may have been left before it was drawn
                found.append(seen[state] - given)
    return {state: statistics.median(found) if found else float("nan") for state, found in seconds.items()}


def _writes(page: Page, cloud: Machine) -> tuple[list[float], list[float]]:
    """Seconds from each write of a job's progress until the page has it, and until it is drawn."""
    with mock.patch.dict(os.environ, cloud.running.environment):
        table = JobTable(cloud.running.environment["MAQUETTE_JOBS_TABLE"])
        source = Source(cloud.running.environment["MAQUETTE_UPLOAD_BUCKET"], "inbox/bench.png", bytes=1)
        # No message is sent for it, so no worker takes it from us.
        job = table.create(str(uuid.uuid4()), OPERATOR, source, {}, arrived=True)
        job = table.claim(job.job_id, "bench", lease_seconds=600, deadline_seconds=600).job
        page.goto(f"{cloud.running.url}/#/jobs/{job.job_id}")
        page.reload()
        page.locator("[data-view=job][data-status=running]").wait_for()
        page.wait_for_load_state("networkidle")
        page.evaluate(FOLLOW_FIGURE)
        written: dict[str, float] = {}
        for percent in range(WRITES):
            written[f"{percent} %"] = time.time()
            job = table.report(job, "render", (percent + 0.5) / 100)
            time.sleep(PAUSE)
        page.wait_for_function("text => text in window.drawn", arg=f"{WRITES - 1} %")
    there, drawn = page.evaluate("[window.there, window.drawn]")
    told = [text for text in written if text in there and text in drawn and text != "0 %"]
    return [there[text] - written[text] for text in told], [drawn[text] - written[text] for text in told]


def _p95(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=20)[-1]
