"""CloudFront's part: the built site at the root, or a plain page as long as there is none."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

#: what ``npm run build`` leaves behind
SITE = Path(__file__).parents[2] / "web" / "dist"

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Maquette runs here</title>
<style>
  body {{ font: 1rem/1.6 system-ui, sans-serif; max-width: 42rem; margin: 12vh auto; padding: 0 1.5rem; }}
  code {{ background: #8882; border-radius: 4px; padding: .1em .35em; }}
  :root {{ color-scheme: light dark; }}
</style>
<h1>Maquette runs here</h1>
<p>One photo in, a textured 3D model out. The site has not been built; everything else is at work:</p>
<ul>
  <li>REST: <code>{url}</code></li>
  <li>WebSocket: <code>{socket_url}</code></li>
  <li>AWS endpoint: <code>{endpoint_url}</code></li>
</ul>
<p>Give it a photo from a terminal: <code>maquette submit photo.jpg</code></p>
</html>
"""


def security_headers(*, socket_url: str, endpoint_url: str) -> dict[str, str]:
    """What every page and file is sent with.

    Only the site's own scripts and styles run, and only the two servers and the store are spoken to. Models
    carry their textures inside: three.js reads them by way of ``blob:`` addresses.

    Reference: W3C, "Content Security Policy Level 3".
    """
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "font-src": "'self'",
        "img-src": f"'self' blob: data: {endpoint_url}",
        "media-src": f"blob: {endpoint_url}",
        "connect-src": f"'self' blob: {socket_url} {endpoint_url}",
        "base-uri": "'none'",
        "form-action": "'self'",  # dialogs are forms of the page
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {sources}" for name, sources in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), payment=()",
    }


def caching(path: str) -> str:
    """How long a file may be kept: for good where its name changes with its contents, else not unasked."""
    return "public, max-age=31536000, immutable" if path.startswith("assets/") else "no-cache"


def add_routes(
    router: web.UrlDispatcher, *, url: str, socket_url: str, endpoint_url: str, folder: Path
) -> None:
    """Serve the files of ``folder``, ``index.html`` at the root."""

    secure = security_headers(socket_url=socket_url, endpoint_url=endpoint_url)

    async def serve(request: web.Request) -> web.StreamResponse:
        root, path = folder.resolve(), request.match_info["path"] or "index.html"
        wanted = (root / path).resolve()
        if wanted.is_relative_to(root) and wanted.is_file():
            return web.FileResponse(wanted, headers={**secure, "Cache-Control": caching(path)})
        if not request.match_info["path"]:
            page = PAGE.format(url=url, socket_url=socket_url, endpoint_url=endpoint_url)
            return web.Response(text=page, content_type="text/html")
        error = {"code": "not_found", "message": "There is nothing at this address."}
        return web.json_response({"error": error}, status=404)

    async def configuration(request: web.Request) -> web.StreamResponse:
        return web.json_response({"rest": url, "socket": socket_url}, headers={"Cache-Control": "no-cache"})

    # Where the site finds its two servers; on AWS this file is written when the site is deployed.
    router.add_get("/config.json", configuration)
    router.add_get("/{path:.*}", serve)
