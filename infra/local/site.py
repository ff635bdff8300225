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


def add_routes(
    router: web.UrlDispatcher, *, url: str, socket_url: str, endpoint_url: str, folder: Path
) -> None:
    """Serve the files of ``folder``, ``index.html`` at the root."""

    async def serve(request: web.Request) -> web.StreamResponse:
        root = folder.resolve()
        wanted = (root / (request.match_info["path"] or "index.html")).resolve()
        if wanted.is_relative_to(root) and wanted.is_file():
            return web.FileResponse(wanted, headers={"X-Content-Type-Options": "nosniff"})
        if not request.match_info["path"]:
            page = PAGE.format(url=url, socket_url=socket_url, endpoint_url=endpoint_url)
            return web.Response(text=page, content_type="text/html")
        error = {"code": "not_found", "message": "There is nothing at this address."}
        return web.json_response({"error": error}, status=404)

    async def configuration(request: web.Request) -> web.StreamResponse:
        return web.json_response({"rest": url, "socket": socket_url})

    # Where the site finds its two servers; on AWS this file is written when the site is deployed.
    router.add_get("/config.json", configuration)
    router.add_get("/{path:.*}", serve)
