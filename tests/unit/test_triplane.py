"""The Field of a triplane gives the reference's numbers, at free points and on grids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gpu_container.tsr.decoder import Decoder
from gpu_container.tsr.triplane import TriplaneField
from tests import reference

GOLDEN = Path(__file__).parents[1] / "data" / "golden_tiny.npz"


@pytest.fixture(scope="module")
def golden() -> dict[str, torch.Tensor]:
    with np.load(GOLDEN) as stored:
        return {
            name: torch.from_numpy(stored[name]) for name in stored.files if stored[name].dtype.kind in "fb"
        }


@pytest.fixture(scope="module")
def tiny(golden: dict[str, torch.Tensor]) -> TriplaneField:
    prefix = "sd/decoder."
    state = {name.removeprefix(prefix): it for name, it in golden.items() if name.startswith(prefix)}
    return TriplaneField(golden["scene_codes"], Decoder.from_state_dict(state))


def test_points_have_the_references_density_and_colour_also_outside_the_cube(
    golden: dict[str, torch.Tensor], tiny: TriplaneField
) -> None:
    radiance = tiny.radiance(golden["points"])
    torch.testing.assert_close(radiance[:, :1], golden["query_density"], rtol=0, atol=1e-5)
    torch.testing.assert_close(radiance[:, 1:], golden["query_color"], rtol=0, atol=1e-5)
    torch.testing.assert_close(
        tiny.density(golden["points"])[:, None], golden["query_density_act"], rtol=1e-5, atol=0
    )


def test_the_plain_formulas_have_the_references_density_and_colour(
    golden: dict[str, torch.Tensor], tiny: TriplaneField
) -> None:
    radiance = reference.triplane_query(tiny.planes, tiny.decoder, golden["points"]).detach()
    torch.testing.assert_close(radiance[:, :1], golden["query_density"], rtol=0, atol=1e-5)
    torch.testing.assert_close(radiance[:, 1:], golden["query_color"], rtol=0, atol=1e-5)


def test_the_plain_formulas_render_the_references_pictures(
    golden: dict[str, torch.Tensor], tiny: TriplaneField
) -> None:
    for name in ("", "wide_"):
        rays = golden[name + "rays_o"], golden[name + "rays_d"]
        expected = golden[name + "render"]
        origins, directions = (it.reshape(-1, 3).double() for it in rays)
        picture = reference.render_rays(tiny.radiance, origins, directions, 16).reshape(expected.shape)
        torch.testing.assert_close(picture.float(), expected, rtol=0, atol=1e-4)


def test_a_grid_has_the_references_density(golden: dict[str, torch.Tensor], tiny: TriplaneField) -> None:
    expected = golden["density_grid16"].reshape(16, 16, 16)
    torch.testing.assert_close((tiny.density_grid(16) - 1).exp(), expected, rtol=1e-5, atol=0)
