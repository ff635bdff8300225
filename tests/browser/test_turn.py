"""The tools around a finished model."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import numpy as np
from PIL import Image
from playwright.sync_api import Route

from tests.browser.conftest import Made, Visitor, canvas, still_picture
from tests.cloud.machine import QUICK


def test_every_way_to_look_at_a_model_is_another_picture(visitor: Visitor, made: Made) -> None:
    page = visitor.page(f"#/jobs/{made.job_id}")
    seen = {"textured": still_picture(canvas(page))}
    for key, way in (("2", "clay"), ("3", "wireframe"), ("4", "normals")):
        canvas(page).press(key)
        picture = still_picture(canvas(page))
        alike = [other for other, before in seen.items() if np.abs(picture - before).mean() < 0.5]
        assert not alike, f"{way} looks like {alike}"
        seen[way] = picture
    canvas(page).press("f")
    whole = still_picture(canvas(page))
    canvas(page).press("+")
    assert np.abs(still_picture(canvas(page)) - whole).mean() > 0.5
    canvas(page).press("f")
    assert np.abs(still_picture(canvas(page)) - whole).mean() < 0.5

    with page.expect_download() as download:
        canvas(page).press("s")
    assert download.value.suggested_filename == f"{made.photo.stem}.png"
    saved = np.asarray(Image.open(download.value.path()).convert("RGB"), dtype=np.float64)
    assert max(saved.shape) >= 2000
    assert saved.reshape(-1, 3).std(axis=0).max() > 5.0


def test_the_pictures_from_all_sides_and_the_video_are_at_hand(visitor: Visitor, made: Made) -> None:
    page = visitor.page(f"#/jobs/{made.job_id}")
    page.get_by_role("tab", name="Model").press("ArrowRight")
    scrubber = page.get_by_role("slider", name="Way around the model")
    shown: set[str] = set()
    for step in range(1, QUICK["views"] + 1):
        page.get_by_text(f"{step} of {QUICK['views']}").wait_for()
        page.wait_for_function(
            "name => document.querySelector('.frames-print img')?.src.includes(name)",
            arg=f"render_{step - 1:03d}.png",
        )
        shown.add(str(page.locator(".frames-print img").get_attribute("src")).partition("?")[0])
        scrubber.press("ArrowRight")
    assert len(shown) == QUICK["views"]
    page.get_by_role("tab", name="Video").click()
    page.wait_for_function("() => document.querySelector('video').readyState >= HTMLMediaElement.HAVE_METADATA")
    assert page.locator("video").evaluate("video => [video.videoWidth > 0, video.duration > 0]") == [True, True]


def test_the_page_shows_the_small_model_and_where_there_is_none_the_large_one_which_looks_alike(
    visit: Callable[..., Visitor], made: Made
) -> None:
    visitor = visit(viewport={"width": 480, "height": 480})
    page = visitor.blank()
    pictures = {}
    for name, other in (("mesh_small.glb", "mesh.glb"), ("mesh.glb", "mesh_small.glb")):
        if name == "mesh.glb":  # as models of former times

            def without_the_small_one(route: Route) -> None:
                told = route.fetch().json()
                told["artifacts"] = [file for file in told["artifacts"] if file["name"] != "mesh_small.glb"]
                route.fulfill(json=told)

            page.route(f"**/jobs/{made.job_id}/artifacts", without_the_small_one)
        fetched: list[str] = []
        page.on("request", lambda request, fetched=fetched: fetched.append(urlsplit(request.url).path))
        page.goto("about:blank")
        page.goto(f"{visitor.url}/#/jobs/{made.job_id}")
        pictures[name] = still_picture(canvas(page))
        assert sum(path.endswith("/" + name) for path in fetched) == 1
        assert not any(path.endswith("/" + other) for path in fetched)
    large, small = pictures.values()
    error = np.mean((large.astype(float) - small) ** 2)
    assert 10 * np.log10(255**2 / error) > 40
