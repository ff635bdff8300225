"""Who may call a server on one's own machine: programs, and pages that came from this machine itself.

A browser lets every page on the web send requests to ``127.0.0.1``, and a page whose own name is made to lead
there (DNS rebinding) may read the answers too, as those of its own origin. Neither can lie about two headers:
the name that it asked for, and the origin that it came from. Programs send no origin.

References: RFC 9110, section 7.4, "Rejecting Misdirected Requests"; RFC 6454, "The Web Origin Concept"; W3C,
"Fetch Metadata Request Headers".
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Mapping

_AUTHORITY = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9_][a-z0-9._-]*)(:[0-9]*)?")


def is_own_name(authority: str, own: str) -> bool:
    """Whether ``authority`` (``name[:port]``) is a name that nobody elsewhere can make lead here.

    That is any address, ``localhost``, what this machine calls itself, a name without a dot, which no name
    server of the world knows, and ``own``, the name that it was told to listen on.
    """
    found = _AUTHORITY.fullmatch(authority.lower())
    if found is None:
        return False
    name = found["name"].strip("[]").removesuffix(".")
    try:
        ipaddress.ip_address(name)
    except ValueError:
        machine = socket.gethostname().lower()
        return (
            "." not in name
            or name.endswith(".localhost")
            or name in (own.lower(), machine, f"{machine.partition('.')[0]}.local")
        )
    return True


def is_from_elsewhere(headers: Mapping[str, str], own: str) -> bool:
    """Whether a page from elsewhere has sent the request; header names in lower case."""
    origin = headers.get("origin")
    cross_site = headers.get("sec-fetch-site") == "cross-site"
    return cross_site or (origin is not None and not is_own_name(origin.partition("://")[2], own))
