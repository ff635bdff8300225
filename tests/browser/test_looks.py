"""What every state of the site owes to every visitor: wide or narrow, by day or by night, seen or heard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import SAMPLES, Made, Visitor, canvas, card, remember, still_picture
from tests.browser.screenshots import STATES, Studio, photo_of_noise
from tests.cloud.machine import QUICK, Machine

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
#: what the browser itself says of the failures that some states are made of
PROVOKED = {
    "home_failed": "ERR_FAILED",
    "home_offline": "ERR_INTERNET_DISCONNECTED",
    "not_found": "404",
    "access_key": "401",
}
#: sum of layout shift scores from which on a page is felt to jump (web.dev, "Cumulative Layout Shift": 0.1)
FELT = 0.1

#: serious and critical findings, a line each
FINDINGS = """async () => {
  for (const animation of document.getAnimations()) {
    if (Number.isFinite(animation.effect.getComputedTiming().endTime)) animation.finish();
  }
  const { violations } = await axe.run(document, { resultTypes: ["violations"] });
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html}\\n${failureSummary}`));
}"""
#: keeps account of what moves without having been asked to
WATCH_SHIFTS = """
  window.shifts = [];
  new PerformanceObserver((list) => {
    for (const { value, hadRecentInput, sources } of list.getEntries()) {
      const moved = sources.map(({ node }) => node?.className ?? node?.nodeName ?? "gone").join(", ");
      if (!hadRecentInput) window.shifts.push([value, moved]);
    }
  }).observe({ type: "layout-shift", buffered: true });
"""
#: whether a picture has been drawn since this was asked first
MOVES = """() => {
  const { framesDrawn } = document.querySelector("canvas").dataset;
  window.first ??= framesDrawn;
  return framesDrawn !== window.first;
}"""
#: pictures drawn in half a second
FRAMES = """async () => {
  const drawn = () => Number(document.querySelector("canvas").dataset.framesDrawn);
  const before = drawn();
  await new Promise((done) => setTimeout(done, 500));
  return drawn() - before;
}"""


@pytest.fixture(scope="module")
def studio(
    browser: Browser, cloud: Machine, made: Made, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Studio]:
    """A cloud with a model and a failure on its shelf."""
    context = browser.new_context()
    remember(context, QUICK)
    studio = Studio(cloud, context.new_page())
    noise = tmp_path_factory.mktemp("noise") / "noise.png"
    photo_of_noise(noise)
    studio.make(noise)
    studio.jobs["robot"] = made.job_id  # any model will do
    yield studio
    context.close()


def assert_steady(page: Page) -> None:
    """Nothing to speak of has moved so far; see WATCH_SHIFTS."""
    shifts: list[tuple[float, str]] = page.evaluate("window.shifts")
    assert sum(score for score, _ in shifts) < FELT, shifts


@pytest.mark.parametrize("state", STATES)
def test_no_state_scrolls_sideways_or_shuts_anybody_out(
    visit: Callable[..., Visitor], studio: Studio, state: str
) -> None:
    visitor = visit(viewport={"width": 360, "height": 740})
    visitor.expected += [PROVOKED[state]] if state in PROVOKED else []
    page = visitor.blank()
    STATES[state](page, studio)
    page.evaluate(AXE.read_text(encoding="utf-8"))
    # What a reader of the page finds depends on its width, contrast on its colours: two looks see both.
    for width, scheme in ((360, "dark"), (1280, "light")):
        page.set_viewport_size({"width": width, "height": 740})
        over = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(over) <= 0, f"{state}, {width} wide"
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert page.evaluate(FINDINGS) == [], f"{state}, {width} wide, {scheme}"


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_jumps_while_a_page_is_made_ready(
    visit: Callable[..., Visitor], studio: Studio, width: int
) -> None:
    visitor = visit(viewport={"width": width, "height": 740}, reduced_motion="no-preference")
    visitor.context.add_init_script(WATCH_SHIFTS)
    page = visitor.page()
    page.locator("article[data-status=succeeded] img").first.wait_for()
    page.wait_for_load_state("networkidle")
    assert_steady(page)
    shared = visitor.page(f"#/jobs/{studio.jobs['robot']}")
    canvas(shared)
    assert_steady(shared)


def test_nothing_jumps_while_a_photo_becomes_a_model(visitor: Visitor, studio: Studio) -> None:
    visitor.context.add_init_script(WATCH_SHIFTS)
    page = visitor.page()
    page.locator("article").first.wait_for()
    page.set_input_files("#photos", SAMPLES / "toadstool.jpg")
    card(page, "toadstool.jpg", "succeeded").wait_for()
    assert_steady(page)


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_a_model_turns_by_itself_only_where_motion_is_welcome(
    visit: Callable[..., Visitor], studio: Studio, motion: str
) -> None:
    page = visit(reduced_motion=motion).page(f"#/jobs/{studio.jobs['robot']}")
    turning = page.get_by_role("button", name="Rotate")
    pressed = canvas(page) and turning.get_attribute("aria-pressed")
    assert pressed == ("true" if motion == "no-preference" else "false")
    if motion == "reduce":
        still_picture(canvas(page))
        assert page.evaluate(FRAMES) == 0
    else:
        page.wait_for_function(MOVES)
