"""What the largest grids take: a process of its own for each engine, from the start of Python on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

TRIPOSR = """
from tests import scene
from gpu_container.tsr.decoder import Decoder
from gpu_container.tsr.triplane import TriplaneField
field = TriplaneField(scene.triplane(), Decoder.from_state_dict(scene.decoder_weights()))
"""
EMBEDDED = """
from pathlib import Path
from gpu_container import matte, photo
from gpu_container.engines.inflate import Inflate
picture = photo.decode(Path("infra/local/samples/robot.jpg").read_bytes())
alpha = matte.cut_out(picture, "auto", None).alpha
engine = Inflate(torch.device("cpu"))
field = engine.reconstruct(photo.frame(picture, alpha, 0.85, engine.frame_size))
"""
MODEL = """
from pathlib import Path
from gpu_container import export, memory, mesh, texture
grid = field.density_grid(512)
surface = mesh.extract(field, grid, 5000)
textured = texture.bake(surface, field, grid, 2048)
export.write_models(textured, Path(sys.argv[1]), 100.0)
assert len(grid) == 512 and textured.texture.shape == (2048, 2048, 3)
print(memory.peak())
"""


@pytest.mark.parametrize("field", [TRIPOSR, EMBEDDED], ids=["triposr", "inflate"])
def test_a_model_of_512_samples_takes_less_than_3_gb(field: str, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", f"import sys, torch\n{field}{MODEL}", str(tmp_path)],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=110,
    )  # fmt: skip
    assert (tmp_path / "mesh.glb").stat().st_size > 1e6
    assert float(run.stdout) < 3000  # megabytes
