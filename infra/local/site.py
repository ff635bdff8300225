"""CloudFront's part: the built site at the root, or a plain page as long as there is none.

Everything goes out with security headers: the page may run its own scripts and styles, and speak to REST, to
the socket and to the buckets, and to nobody else. ``SiteHeaders`` in template.yaml says the same to CloudFront.
Reference: W3C, "Content Security Policy Level 3".
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from infra.site_files import ASK_FIRST, cache_control, content_type

#: what ``npm run build`` leaves behind
SITE = Path(__file__).parents[2] / "web" / "dist"

#: worth compressing; pictures and fonts are so already
_COMPRESSIBLE = (".html", ".js", ".css", ".json", ".webmanifest", ".txt", ".svg")
_CONDITIONS = (hdrs.RANGE, hdrs.IF_NONE_MATCH, hdrs.IF_MODIFIED_SINCE)

STYLE = """
  body { font: 1rem/1.6 system-ui, sans-serif; max-width: 42rem; margin: 12vh auto; padding: 0 1.5rem; }
  code { background: #8882; border-radius: 4px; padding: .1em .35em; }
  :root { color-scheme: light dark; }
"""
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Maquette runs here</title>
<link rel="icon" href="data:,">
<style>{style}</style>
<h1>Maquette runs here</h1>
<p>One photo in, a textured 3D model out. The site has not been built (<code>make web</code> does); everything
else is at work:</p>
<ul>
  <li>REST: <code>{url}</code></li>
  <li>WebSocket: <code>{socket_url}</code></li>
  <li>AWS endpoint: <code>{endpoint_url}</code></li>
</ul>
<p>Give it a photo from a terminal: <code>maquette submit photo.jpg</code></p>
</html>
"""

_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode("utf-8")).digest()).decode("ascii")
#: the plain page runs nothing, and its style is known by its hash
_PLAIN = {"Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:"}


def security_headers(*, socket_url: str, endpoint_url: str) -> dict[str, str]:
    """What every answer of the site carries; ``endpoint_url`` is where the presigned links lead."""
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "font-src": "'self'",
        # data: are previews of photos; blob: are the textures that a model brings along
        "img-src": f"'self' blob: data: {endpoint_url}",
        "media-src": f"'self' blob: {endpoint_url}",
        "connect-src": f"'self' blob: {socket_url} {endpoint_url}",
        "base-uri": "'none'",
        "form-action": "'self'",  # dialogs are forms of the page
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {sources}" for name, sources in policy.items()),
        "X-Content-Type-Options": "nosniff",
        # The addresses of shared models are as good as keys.
        "Referrer-Policy": "no-referrer",
        "Permissions-Policy": "camera=(self), fullscreen=(self), geolocation=(), microphone=(), payment=()",
        "Cross-Origin-Opener-Policy": "same-origin",
    }


def add_routes(
    router: web.UrlDispatcher, *, url: str, socket_url: str, endpoint_url: str, folder: Path
) -> None:
    """Serve the files of ``folder``, ``index.html`` at the root."""
    common = security_headers(socket_url=socket_url, endpoint_url=endpoint_url)
    authority = urlsplit(url).netloc

    async def serve(request: web.Request) -> web.StreamResponse:
        if not request.match_info["path"] and request.host != authority:
            # REST and the buckets answer pages of one origin: localhost is another one than 127.0.0.1.
            return web.Response(status=307, headers={**common, hdrs.LOCATION: f"{url}/"})
        root = folder.resolve()
        wanted = _inside(root, request.match_info["path"] or "index.html")
        if wanted is not None:
            return _file(request, wanted, common, name=wanted.relative_to(root).as_posix())
        if not request.match_info["path"]:
            page = PAGE.format(style=STYLE, url=url, socket_url=socket_url, endpoint_url=endpoint_url)
            return web.Response(text=page, content_type="text/html", headers={**common, **_PLAIN})
        error = {"code": "not_found", "message": "There is nothing at this address."}
        return web.json_response({"error": error}, status=404, headers=common)

    async def configuration(request: web.Request) -> web.StreamResponse:
        places = {"rest": url, "socket": socket_url}
        return web.json_response(places, headers={**common, hdrs.CACHE_CONTROL: ASK_FIRST})

    # Where the site finds its two servers; on AWS this file is written when the site is deployed.
    router.add_get("/config.json", configuration)
    router.add_get("/{path:.*}", serve)


def _inside(root: Path, name: str) -> Path | None:
    """The file of that name under ``root``, None where there is none."""
    try:
        wanted = (root / name).resolve()
        return wanted if wanted.is_relative_to(root) and wanted.is_file() else None
    except (ValueError, OSError):  # a zero byte, or longer than any name may be
        return None


def _file(request: web.Request, path: Path, common: dict[str, str], *, name: str) -> web.FileResponse:
    headers = {
        **common,
        hdrs.CONTENT_TYPE: content_type(name),
        hdrs.CACHE_CONTROL: cache_control(name),
        hdrs.VARY: hdrs.ACCEPT_ENCODING,
    }
    answer = web.FileResponse(path, headers=headers)
    # aiohttp would compress the empty body of a 304 and the part of a 206, too, and so break both.
    whole = request.method == "GET" and not any(name in request.headers for name in _CONDITIONS)
    if whole and path.suffix in _COMPRESSIBLE:
        answer.enable_compression()
    return answer
