"""The cloud of tests/cloud, for what is asked of REST."""

from __future__ import annotations

from tests.cloud.conftest import ann, cloud, moto_environment, rest, use_environment

__all__ = ["ann", "cloud", "moto_environment", "rest", "use_environment"]
