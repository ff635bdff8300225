"""How the built site's files are served, wherever they are: their types, and how long they may be kept.

The local cloud answers with these headers itself; a deployment stores them with each object.
References: RFC 9111, "HTTP Caching"; RFC 8246, "HTTP Immutable Responses".
"""

from __future__ import annotations

from pathlib import PurePosixPath

#: by suffix: a machine's own table may be incomplete, and with ``nosniff`` no browser runs what has a wrong one
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".txt": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".ico": "image/x-icon",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
}

#: the build's folder whose files carry a hash of their content in their names; all others change under theirs
HASHED = "assets"
FOREVER = "public, max-age=31536000, immutable"
ASK_FIRST = "no-cache"


def content_type(name: str) -> str:
    """The ``Content-Type`` of a file of the site."""
    return TYPES.get(PurePosixPath(name).suffix, "application/octet-stream")


def is_hashed(name: str) -> bool:
    """Whether ``name``, relative to the site's root, stands for one content for ever."""
    return PurePosixPath(name).parts[0] == HASHED


def cache_control(name: str) -> str:
    """The ``Cache-Control`` of a file, by its name relative to the site's root."""
    return FOREVER if is_hashed(name) else ASK_FIRST
