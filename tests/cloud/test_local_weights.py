"""The worker with weights: loaded when it starts, and kept."""

from __future__ import annotations

from pathlib import Path

from tests import checkpoints
from tests.cloud.machine import QUICK, machine, photo_of_a_vase


def test_two_jobs_in_a_row_show_one_load_of_the_weights(tmp_path: Path) -> None:
    weights = checkpoints.write_scene(tmp_path / "weights")
    photo = photo_of_a_vase(tmp_path / "vase.png").read_bytes()

    with machine(tmp_path / "cloud", MAQUETTE_WEIGHTS=str(weights)) as cloud:
        keys = [cloud.drop(f"inbox/vase-{k}.png", photo, **{**QUICK, "engine": "triposr"}) for k in range(2)]
        jobs = [cloud.ended_job(key) for key in keys]

        assert [(job.status, job.engine) for job in jobs] == [("succeeded", "triposr")] * 2, cloud.logs()
        logs = [path.read_text() for path in (cloud.data / "logs").iterdir() if path.name.startswith("worker")]
        assert sum(text.count("TripoSR loaded from") for text in logs) == len(logs) == 1
