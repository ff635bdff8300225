"""Nobody in: what is asked, by whom, with whatever they made up, and what leaves with the answer.

The cloud and the ways to ask it are those of tests/cloud.
"""

from __future__ import annotations

from tests.cloud.conftest import (
    ann,
    clock,
    cloud,
    done,
    moto_environment,
    rest,
    socket_server,
    use_environment,
)

__all__ = ["ann", "clock", "cloud", "done", "moto_environment", "rest", "socket_server", "use_environment"]
