"""What the site weighs, and when its parts are fetched."""

from __future__ import annotations

import gzip

import pytest
from playwright.sync_api import Page

from infra.local.site import SITE
from tests.browser.conftest import Made, Visitor, canvas, card

#: bytes after gzip that all scripts may have together
BUDGET = 250_000
#: what three.js calls its renderer in the names that it tells others, and that no bundler may change
THREE = b"THREE.WebGLRenderer"
#: collects every WebGL context that the page asks for
FOLLOW_CONTEXTS = """
  window.contexts = [];
  for (const kind of [HTMLCanvasElement, OffscreenCanvas]) {
    const { getContext } = kind.prototype;
    kind.prototype.getContext = function (name, ...options) {
      const context = getContext.call(this, name, ...options);
      if (name.startsWith("webgl") && context && !contexts.includes(context)) contexts.push(context);
      return context;
    };
  }
"""


def test_all_scripts_together_are_within_the_budget() -> None:
    if not SITE.exists():
        pytest.skip("the site is not built; `make web` builds it")
    sizes = {script.name: len(gzip.compress(script.read_bytes())) for script in SITE.rglob("*.js")}
    assert 0 < sum(sizes.values()) <= BUDGET, sizes


def test_the_shelf_does_without_three_and_a_model_brings_it(visitor: Visitor, made: Made) -> None:
    page = visitor.page()
    card(page, made.photo.name, "succeeded").wait_for()
    assert not any(THREE in script for script in scripts(page))
    page.goto(f"{visitor.url}/#/jobs/{made.job_id}")
    canvas(page)
    assert sum(THREE in script for script in scripts(page)) == 1


def test_leaving_a_model_gives_back_what_it_held(visitor: Visitor, made: Made) -> None:
    visitor.context.add_init_script(FOLLOW_CONTEXTS)
    page = visitor.page()
    card(page, made.photo.name, "succeeded").wait_for()
    assert page.evaluate("contexts.length") == 0, "the shelf draws nothing with WebGL"
    for _ in range(2):
        page.evaluate("address => (location.hash = address)", f"#/jobs/{made.job_id}")
        canvas(page)
        assert page.evaluate("contexts.filter((one) => !one.isContextLost()).length") == 1
        page.evaluate("location.hash = '#/'")
        page.locator("[data-view=home]").wait_for()
        page.wait_for_function("() => contexts.every((one) => one.isContextLost())")


def scripts(page: Page) -> list[bytes]:
    """The scripts that the page has fetched since it was opened."""
    fetched = page.evaluate("performance.getEntriesByType('resource').map(({ name }) => name)")
    found = [page.request.get(address).body() for address in fetched if address.endswith(".js")]
    assert found
    return found
