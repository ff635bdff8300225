"""The stages of a job, in order, and how far along a job is when one of them is under way."""

from __future__ import annotations

#: every stage, in order, with its share of a job's time (the embedded engine at default options, `make bench`)
SHARES = {
    "decode": 0.01,
    "matte": 0.08,
    "frame": 0.05,
    "reconstruct": 0.18,
    "render": 0.31,
    "mesh": 0.07,
    "texture": 0.23,
    "export": 0.04,
    "upload": 0.03,
}

STAGES = tuple(SHARES)


def overall_progress(stage: str, fraction: float) -> float:
    """The share of the whole job that is done, 0..1, when ``fraction`` of ``stage`` is."""
    before = sum(SHARES[name] for name in STAGES[: STAGES.index(stage)])
    return min(before + SHARES[stage] * fraction, 1.0)
